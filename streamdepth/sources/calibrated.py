"""A source whose camera is known, and its lens undone where wanted."""

from __future__ import annotations

from dataclasses import replace

from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.core.wrappers import WrappedSource
from streamdepth.geometry.camera import CameraSpec, Undistorter


class CalibratedSource(WrappedSource):
    """Another source's frames with the user's intrinsics, which win over those the source knows itself.

    undistort: straight lines become straight; the intrinsics are those of a pinhole then. `open` raises ConfigError
    where the camera does not fit the pictures, or is not known well enough to undo anything.
    """

    def __init__(self, source: Source, camera: CameraSpec, *, undistort: bool = False) -> None:
        super().__init__(source)
        self._camera, self._wants_undistorted = camera, undistort
        self._undistorter: Undistorter | None = None
        self._renewed: StreamInfo | None = None

    def on_open(self, info: StreamInfo) -> StreamInfo:
        self._undistorter = self._renewed = None
        camera = self._camera.intrinsics(info.width, info.height) or info.intrinsics
        if self._wants_undistorted and camera is not None and camera.distortion:
            self._undistorter, camera = Undistorter(camera), camera.pinhole
        elif self._wants_undistorted:
            self.add_notice(f"{info.name}: no distortion is known, so there is none to undo; --camera-info tells it")
        return replace(info, intrinsics=camera)

    def _with_another_size(self, info: StreamInfo) -> StreamInfo:
        try:
            return self.on_open(info)
        except ConfigError as error:
            self.add_notice(f"{info.name} has another size now, for which its camera is unknown: {error}")
            return replace(info, intrinsics=None)

    def read(self) -> Frame | None:
        frame = self._source.read()
        if info := self._source.take_changed_info():
            self._renewed = self._with_another_size(info)
        if frame is None or self._undistorter is None:
            return frame
        return replace(frame, pixels=self._undistorter(frame.image))

    def take_changed_info(self) -> StreamInfo | None:
        info, self._renewed = self._renewed, None
        return info
