"""A source whose camera is known, and its lens undone where wanted."""

from __future__ import annotations

from dataclasses import replace

from streamdepth.errors import ConfigError
from streamdepth.intrinsics import CameraChoice, Undistorter
from streamdepth.stages import Source
from streamdepth.types import Frame, StreamInfo


class LensSource(Source):
    """Another source's frames with the user's intrinsics, which win over those the source knows itself.

    undistort: straight lines become straight; the intrinsics are those of a pinhole then. `open` raises ConfigError
    where the camera does not fit the pictures, or is not known well enough to undo anything.
    """

    def __init__(self, source: Source, camera: CameraChoice, *, undistort: bool = False) -> None:
        super().__init__()
        self._source, self._camera, self._wants_undistorted = source, camera, undistort
        self.lost, self.notices, self.states = source.lost, source.notices, source.states
        self._undistorter: Undistorter | None = None
        self._renewed: StreamInfo | None = None

    def open(self) -> StreamInfo:
        return self._with_camera(self._source.open())

    def await_open(self) -> StreamInfo | None:
        info = self._source.await_open()
        return info and self._with_camera(info)

    def _with_camera(self, info: StreamInfo) -> StreamInfo:
        camera = self._camera.intrinsics(info.width, info.height) or info.intrinsics
        self._undistorter = None
        if self._wants_undistorted and camera is not None and camera.distortion:
            self._undistorter, camera = Undistorter(camera), camera.pinhole
        elif self._wants_undistorted:
            self.notice(f"{info.name}: no distortion is known, so there is none to undo; --camera-info tells it")
        return replace(info, intrinsics=camera)

    def _with_another_size(self, info: StreamInfo) -> StreamInfo:
        try:
            return self._with_camera(info)
        except ConfigError as error:
            self.notice(f"{info.name} came back with another size, for which its camera is unknown: {error}")
            return replace(info, intrinsics=None)

    def read(self) -> Frame | None:
        frame = self._source.read()
        if info := self._source.renewed():
            self._renewed = self._with_another_size(info)
        if frame is None or self._undistorter is None:
            return frame
        return replace(frame, pixels=self._undistorter(frame.image))

    def renewed(self) -> StreamInfo | None:
        info, self._renewed = self._renewed, None
        return info

    def interrupt(self) -> None:
        self._source.interrupt()

    def close(self) -> None:
        self._source.close()
