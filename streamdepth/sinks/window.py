"""A window on the screen, drawn by OpenCV, with keys for what it shows."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import cv2

from streamdepth.core.arrays import Image
from streamdepth.core.errors import SinkError, SinkOpenError, SinkWriteError
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.render.captions import draw_caption
from streamdepth.render.overlay import check_render_options, draw_stalled, rendered_size
from streamdepth.sinks.snapshot import write_snapshot_files
from streamdepth.sinks.window_view import WINDOW_KEYS, WindowView
from streamdepth.utils.numbering import unused_name

_ESCAPE = "\x1b"
_FPS_SECONDS = 2.0
"""Time over which the frames per second are counted."""
_MESSAGE_SECONDS = 3.0
"""Time for which the name of a snapshot is shown."""
_WITHOUT_WINDOW = "write a file instead: streamdepth convert INPUT -o out.mp4"


class WindowSink(Sink):
    """Shows the frames in a window of OpenCV. The key q, Escape, or closing the window ends the run.

    The other keys are those of WINDOW_KEYS.

        sink = WindowSink("front door", RenderOptions(style="depth"))

    Args:
        title: the window's title, which is its identity, too: there is one window per title.
        options: how depth is drawn.
        hold_last: while a camera is lost, True shows its last picture darkened behind the words, False shows words on
            black.
        snapshot_folder: where the key s writes its files.
        clock: returns the time in seconds, for the frames per second.

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
        snapshot_folder: Path = Path(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        check_render_options(options)
        self.title, self.hold_last, self.snapshot_folder = title, hold_last, snapshot_folder
        self.view = WindowView(options)
        self._clock = clock
        self._last: DepthFrame | None = None
        """The frame that is shown."""
        self._shown_at: deque[float] = deque()
        """Times at which the frames of the last _FPS_SECONDS were shown."""
        self._message, self._message_end = "", 0.0
        self._picture_size = (0, 0)
        self._wants_stop = False

    def check(self) -> None:
        check_display()

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        check_display()
        # Qt inside OpenCV complains of fonts that the wheel does not carry; no text is drawn with them.
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
        try:
            cv2.namedWindow(self.title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.setWindowTitle(self.title, f"{self.title} (h: keys)")
            self._fit_to(rendered_size((info.width, info.height), self.view.options.style))
        except cv2.error as error:
            raise SinkOpenError(f"the window cannot be opened ({error.err}); {_WITHOUT_WINDOW}") from error
        self._last, self._wants_stop = None, False

    def _fit_to(self, size: tuple[int, int]) -> None:
        """Gives the window the shape of a picture of `size` (width, height), of at most 1280x720 px."""
        self._picture_size = size
        scale = min(1.0, 1280 / size[0], 720 / size[1])
        cv2.resizeWindow(self.title, *(max(1, round(scale * side)) for side in size))

    def on_write(self, item: DepthFrame) -> None:
        if not self.view.is_paused:
            self._last = item
            self._count_frame()
            self._show(self.view.draw(item))
        self.on_idle()

    def on_stalled(self, last: DepthFrame, seconds: float) -> None:
        self._show(draw_stalled(self.view.draw(last), seconds, show_picture=self.hold_last))
        self.on_idle()

    def _count_frame(self) -> None:
        now = self._clock()
        self._shown_at.append(now)
        while now - self._shown_at[0] > _FPS_SECONDS:
            self._shown_at.popleft()

    @property
    def fps(self) -> float:
        """Frames per second shown in the last seconds; 0 before the second frame."""
        times = self._shown_at
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0

    def _show(self, picture: Image) -> None:
        if self._wants_stop:
            return
        size = picture.shape[1], picture.shape[0]
        try:
            if size != self._picture_size:  # another style, or a camera that came back with another size
                self._fit_to(size)
            cv2.imshow(self.title, cv2.cvtColor(draw_caption(picture, self._caption()), cv2.COLOR_RGB2BGR))
        except cv2.error as error:
            raise SinkWriteError(f"the window '{self.title}' failed: {error.err}") from error

    def _caption(self) -> tuple[str, ...]:
        """Returns the lines of text to show: rate, state, message and keys, as far as they are turned on."""
        rate = [f"{self.fps:.1f} fps"] if self.view.shows_fps else []
        paused = ["paused, p goes on"] if self.view.is_paused else []
        message = [self._message] if self._clock() < self._message_end else []
        keys = [f"{key}   {text}" for key, text in WINDOW_KEYS.items()] if self.view.shows_help else []
        return (*rate, *paused, *message, *keys)

    def on_idle(self) -> None:
        if not self.is_open or self._wants_stop:
            return
        try:
            code = cv2.waitKey(1) & 0xFF
            # some window libraries call a window visible only once it has a picture
            is_closed = self._last is not None and cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error as error:
            raise SinkWriteError(f"the window '{self.title}' failed: {error.err}") from error
        key = chr(code).lower()
        self._wants_stop = is_closed or key in ("q", _ESCAPE)
        if self._last is None:
            self.view.press(key)
        elif key == "s":
            self._save_snapshot(self._last)
            self._show(self.view.draw(self._last))
        elif self.view.press(key):
            self._show(self.view.draw(self._last))

    def _save_snapshot(self, item: DepthFrame) -> None:
        """Writes the current frame to files; a failure becomes a notice and is shown, and the stream goes on."""
        base = f"streamdepth_{datetime.now():%Y%m%d-%H%M%S}"
        try:
            taken = {path.name.removesuffix(".png") for path in self.snapshot_folder.glob(f"{base}*.png")}
            paths = write_snapshot_files(item, self.snapshot_folder / unused_name(base, taken, "-"), self.view.options)
            self._message = f"saved {paths[0].name}"
        except (SinkError, OSError) as error:
            self._message = f"no snapshot: {error}"
            self.add_notice(self._message)
        self._message_end = self._clock() + _MESSAGE_SECONDS

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
