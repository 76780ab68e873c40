"""A virtual webcam, which video calls and other programs use like a real camera."""

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
    from pyvirtualcam import Camera

_DEFAULT_FPS = Fraction(30)

_PYVIRTUALCAM = OptionalPackage("pyvirtualcam", "pyvirtualcam", "virtualcam", "a virtual webcam")


class VirtualCameraSink(Sink):
    """Shows the frames to programs that open the virtual camera (v4l2loopback on Linux, OBS elsewhere).

    Pictures of another size than the first are scaled to it, since programs cannot follow a change.

    Args:
        device: such as /dev/video10; None takes the first free one.
        options: how depth is drawn.

    Raises:
        ConfigError: an option of drawing is wrong.
        MissingDependencyError: from `open`, without pyvirtualcam.
        SinkOpenError: from `open`, without a virtual camera ("not-found").
        SinkWriteError: from `write`.
    """

    can_drop_frames = True

    def __init__(
        self,
        device: str | None = None,
        options: RenderOptions = RenderOptions(),
    ) -> None:
        super().__init__()
        check_render_options(options)
        self.device, self.options = device, options
        self._camera: Camera | None = None
        self._size = (0, 0)

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [_PYVIRTUALCAM]

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise MissingDependencyError(*_PYVIRTUALCAM[1:]) from error
        self._size = rendered_size((info.width, info.height), self.options.style)
        fps, format = float(info.fps or _DEFAULT_FPS), pyvirtualcam.PixelFormat.RGB
        where = f" at {self.device}" if self.device else ""
        try:
            self._camera = pyvirtualcam.Camera(*self._size, fps, fmt=format, device=self.device)
        except (RuntimeError, ValueError, OSError) as error:
            raise SinkOpenError(
                f"there is no virtual camera{where} ({' '.join(str(error).split())}); on Linux load one: "
                "sudo modprobe v4l2loopback; on Windows and macOS install OBS",
                code="not-found",
            ) from error

    def on_write(self, item: DepthFrame) -> None:
        assert self._camera is not None
        picture: Any = render(item, self.options)
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        try:
            self._camera.send(picture)
        except (RuntimeError, ValueError, OSError) as error:
            raise SinkWriteError(f"the virtual camera failed: {error}") from error

    def on_close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
