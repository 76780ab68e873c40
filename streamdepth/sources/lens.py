"""A source whose camera is known, and its lens undone where wanted."""

from __future__ import annotations

from dataclasses import replace

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
        self.lost, self.notices = source.lost, source.notices
        self._undistorter: Undistorter | None = None

    def open(self) -> StreamInfo:
        info = self._source.open()
        camera = self._camera.intrinsics(info.width, info.height) or info.intrinsics
        self._undistorter = None
        if self._wants_undistorted and camera is not None and camera.distortion:
            self._undistorter, camera = Undistorter(camera), camera.pinhole
        elif self._wants_undistorted:
            self.notice(f"{info.name}: no distortion is known, so there is none to undo; --camera-info tells it")
        return replace(info, intrinsics=camera)

    def read(self) -> Frame | None:
        frame = self._source.read()
        self.reconnects = self._source.reconnects
        if frame is None or self._undistorter is None:
            return frame
        return replace(frame, image=self._undistorter(frame.image))

    def interrupt(self) -> None:
        self._source.interrupt()

    def close(self) -> None:
        self._source.close()
