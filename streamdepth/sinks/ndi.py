"""NDI: video over the local network for OBS, vMix, TouchDesigner and other programs for live production."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cv2

from streamdepth.core.errors import MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.render.overlay import check_render_options, render, rendered_size

if TYPE_CHECKING:
    from cyndilib.sender import Sender

_DEFAULT_FPS = Fraction(30)

_CYNDILIB = OptionalPackage("cyndilib", "cyndilib", "ndi", "NDI")


class NdiSink(Sink):
    """Sends the frames to all NDI receivers of the local network that choose this source.

    Frames of a file are sent at its frame rate, those of a live stream at once. Pictures of another size than the
    first are scaled to it.

    Args:
        name: the source's name in receivers, where NDI puts the machine's name before it.
        options: how depth is drawn.

    Raises:
        ConfigError: an option of drawing is wrong.
        MissingDependencyError: from `open`, without cyndilib.
        SinkOpenError: from `open`, where NDI cannot start ("ndi").
        SinkWriteError: from `write`.
    """

    can_drop_frames = True

    def __init__(self, name: str = "streamdepth", options: RenderOptions = RenderOptions()) -> None:
        super().__init__()
        check_render_options(options)
        self.name, self.options = name, options
        self._sender: Sender | None = None
        self._size = (0, 0)

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [_CYNDILIB]

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        try:
            from cyndilib.sender import Sender
            from cyndilib.video_frame import VideoSendFrame
            from cyndilib.wrapper.ndi_structs import FourCC
        except ImportError as error:
            raise MissingDependencyError(*_CYNDILIB[1:]) from error
        self._size = rendered_size((info.width, info.height), self.options.style)
        frame = VideoSendFrame()
        frame.set_resolution(*self._size)
        frame.set_fourcc(FourCC.RGBX)
        frame.set_frame_rate(info.fps or _DEFAULT_FPS)
        try:
            sender = Sender(self.name, clock_video=not info.is_live)
            sender.set_video_frame(frame)
            sender.open()
        except Exception as error:  # the package's own classes, and bare ones
            raise SinkOpenError(
                f"the NDI source '{self.name}' cannot be made ({error}); try another name, and end another program "
                "that sends under this one",
                code="ndi",
            ) from error
        self._sender = sender

    def on_write(self, item: DepthFrame) -> None:
        assert self._sender is not None
        picture: Any = render(item, self.options)
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        try:
            self._sender.write_video(cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA).ravel())
        except Exception as error:  # the package's own classes, and bare ones
            raise SinkWriteError(f"sending by NDI failed: {error}") from error

    def on_close(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()
