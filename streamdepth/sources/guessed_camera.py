"""A source whose camera, if it is unknown, is guessed from its own pictures."""

from __future__ import annotations

from dataclasses import replace

from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Source
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import StreamInfo
from streamdepth.core.wrappers import WrappedSource
from streamdepth.geometry.field_of_view import FieldOfViewGuess, guess_field_of_view

_PICTURES, _MAX_STEP = 8, 30
"""Number of pictures that are examined, and most frames from one to the next."""


class GuessedCameraSource(WrappedSource):
    """Another source with the field of view that its pictures suggest, unless it knows its camera.

    The other source is opened twice: for some pictures of its beginning, and to be read. A notice states the guess.
    `open` raises ConfigError ("live-source") for cameras and pipes, whose pictures come only once.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._found: FieldOfViewGuess | None = None

    def open(self) -> StreamInfo:
        return self._with_camera(self._source.open())

    def wait_until_open(self) -> StreamInfo | None:
        info = self._source.wait_until_open()
        return info and self._with_camera(info)

    def _with_camera(self, info: StreamInfo) -> StreamInfo:
        if info.intrinsics is not None:
            return info
        if info.is_live or not self._source.can_begin_anew:
            raise ConfigError(
                f"the field of view of {info.name} cannot be guessed, because its pictures come only once; give it in "
                "degrees (--fov 65), or record it to a file first",
                code="live-source",
            )
        if self._found is None:
            self._found = guess_field_of_view(self._some_pictures(info))
            self._source.close()
            self.add_notice(self._found.notice(info.name))
            info = self._source.open()
        return replace(info, intrinsics=Intrinsics.from_fov(self._found.degrees, info.width, info.height))

    def _some_pictures(self, info: StreamInfo) -> list[Image]:
        step = max(1, min(_MAX_STEP, (info.frame_count or _PICTURES * _MAX_STEP) // _PICTURES))
        pictures: list[Image] = []
        while len(pictures) < _PICTURES and (frame := self._source.read()) is not None:
            if frame.index % step == 0:
                pictures.append(frame.image)
        return pictures
