"""A source with the intrinsics that the user gives, and without the distortion of its lens where wanted."""

from __future__ import annotations

from dataclasses import replace

from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.core.wrappers import WrappedSource
from streamdepth.geometry.camera import CameraSpec, Undistorter


class CalibratedSource(WrappedSource):
    """Another source with the user's intrinsics, which win over those that the other source knows.

    `open` raises ConfigError when the intrinsics do not fit the frames' size.

    Args:
        undistort: remaps each frame so that straight lines are straight; the intrinsics become those of a pinhole
            camera. Without known distortion nothing is remapped, and a notice says so.
    """

    def __init__(self, source: Source, camera: CameraSpec, *, undistort: bool = False) -> None:
        super().__init__(source)
        self._camera, self._undistort = camera, undistort
        self._undistorter: Undistorter | None = None
        self._changed_info: StreamInfo | None = None

    def on_open(self, info: StreamInfo) -> StreamInfo:
        self._undistorter = self._changed_info = None
        camera = self._camera.intrinsics(info.width, info.height) or info.intrinsics
        if self._undistort and camera is not None and camera.distortion:
            self._undistorter, camera = Undistorter(camera), camera.pinhole
        elif self._undistort:
            self.add_notice(
                f"{info.name}: no distortion is known, so there is none to undo; give it with --camera-info"
            )
        return replace(info, intrinsics=camera)

    def _with_intrinsics(self, info: StreamInfo) -> StreamInfo:
        """Returns the changed `info` with intrinsics for its size, or without them where none fit."""
        try:
            return self.on_open(info)
        except ConfigError as error:
            self.add_notice(f"{info.name} has another size now, for which its camera is unknown: {error}")
            return replace(info, intrinsics=None)

    def read(self) -> Frame | None:
        frame = self._source.read()
        if info := self._source.take_changed_info():
            self._changed_info = self._with_intrinsics(info)
        if frame is None or self._undistorter is None:
            return frame
        valid = None if frame.valid is None else self._undistorter.apply_to_mask(frame.valid)
        return replace(frame, pixels=self._undistorter(frame.image), valid=valid)

    def take_changed_info(self) -> StreamInfo | None:
        info, self._changed_info = self._changed_info, None
        return info
