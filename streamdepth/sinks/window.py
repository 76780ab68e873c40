"""A window on the screen, drawn by OpenCV."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import closing

import cv2

from streamdepth.core.arrays import Image
from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.render.overlay import check_render_options, draw_stalled, render, rendered_size

_ESCAPE = 27
_WITHOUT_WINDOW = "write a file instead: streamdepth convert INPUT -o out.mp4"


class WindowSink(Sink):
    """Shows the frames in a window of OpenCV. The key q, Escape, or closing the window ends the run.

        sink = WindowSink("front door", RenderOptions(style="depth"))

    Args:
        title: the window's title, which is its identity, too: there is one window per title.
        options: how depth is drawn.
        hold_last: while a camera is lost, True shows its last picture darkened behind the words, False shows words on
            black.

    Raises:
        ConfigError: an option of drawing is wrong.
        SinkOpenError: from `open`, without a screen.
    """

    can_drop_frames = needs_calling_thread = True

    def __init__(
        self,
        title: str = "streamdepth",
        options: RenderOptions = RenderOptions(),
        *,
        hold_last: bool = False,
    ) -> None:
        super().__init__()
        check_render_options(options)
        self.title, self.options, self.hold_last = title, options, hold_last
        self._has_picture = self._wants_stop = False

    def check(self) -> None:
        check_display()

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        check_display()
        # Qt inside OpenCV complains of fonts that the wheel does not carry; no text is drawn with them.
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
        try:
            cv2.namedWindow(self.title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
            cv2.resizeWindow(self.title, *self._first_size(info))
        except cv2.error as error:
            raise SinkOpenError(f"the window cannot be opened ({error.err}); {_WITHOUT_WINDOW}") from error
        self._has_picture = self._wants_stop = False

    def _first_size(self, info: StreamInfo) -> tuple[int, int]:
        """Returns (width, height) of at most 1280x720 px, so that any stream fits on the screen."""
        width, height = rendered_size((info.width, info.height), self.options.style)
        scale = min(1.0, 1280 / width, 720 / height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def on_write(self, item: DepthFrame) -> None:
        self._show(render(item, self.options))

    def on_stalled(self, last: DepthFrame, seconds: float) -> None:
        self._show(draw_stalled(render(last, self.options), seconds, show_picture=self.hold_last))

    def _show(self, picture: Image) -> None:
        if self._wants_stop:
            return
        try:
            cv2.imshow(self.title, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        except cv2.error as error:
            raise SinkWriteError(f"the window '{self.title}' failed: {error.err}") from error
        self._has_picture = True
        self.on_idle()

    def on_idle(self) -> None:
        if not self.is_open or self._wants_stop:
            return
        try:
            key = cv2.waitKey(1) & 0xFF
            # some window libraries call a window visible only once it has a picture
            is_closed = self._has_picture and cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error as error:
            raise SinkWriteError(f"the window '{self.title}' failed: {error.err}") from error
        self._wants_stop = is_closed or key in (ord("q"), _ESCAPE)

    def on_close(self) -> None:
        try:
            cv2.destroyWindow(self.title)
            cv2.waitKey(1)
        except cv2.error:
            return  # the user has closed it already

    @property
    def wants_stop(self) -> bool:
        return self._wants_stop


def check_display() -> None:
    """Raises SinkOpenError ("no-display") when no window can be shown.

    On Linux this asks the X server first, because OpenCV's window library ends the whole process without one.
    """
    if _lacks_windows():
        raise SinkOpenError(
            "this OpenCV cannot open windows; pip uninstall opencv-python-headless and pip install opencv-python, "
            f"or {_WITHOUT_WINDOW}",
            code="no-display",
        )
    if sys.platform.startswith("linux") and not _has_x_server(os.environ.get("DISPLAY", "")):
        raise SinkOpenError(
            f"there is no screen here (DISPLAY is unset or does not answer); {_WITHOUT_WINDOW}", code="no-display"
        )


def _lacks_windows() -> bool:
    lines = cv2.getBuildInformation().splitlines()
    return any(line.strip().startswith("GUI:") and line.split()[-1] == "NONE" for line in lines)


def _has_x_server(display: str) -> bool:
    """True if an X server answers at `display`, which is written as in DISPLAY: [host]:number[.screen]."""
    host, _, rest = display.rpartition(":")
    number = rest.split(".")[0]
    if not number.isdigit():
        return False
    local = host in ("", "unix")
    addresses: list[tuple[int, object]] = (
        [(socket.AF_UNIX, f"/tmp/.X11-unix/X{number}"), (socket.AF_UNIX, f"\0/tmp/.X11-unix/X{number}")]
        if local
        else [(socket.AF_INET, (host, 6000 + int(number)))]
    )
    return any(_can_connect(family, address) for family, address in addresses)


def _can_connect(family: int, address: object) -> bool:
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.settimeout(2)
        try:
            probe.connect(address)  # type: ignore[arg-type]  # a path or a pair, as the family wants
        except OSError:
            return False
    return True
