"""A source whose camera is guessed from its own pictures where nothing is known of it."""

from __future__ import annotations

from dataclasses import replace

from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import StreamInfo
from streamdepth.core.wrappers import WrappedSource
from streamdepth.geometry.field_of_view import guess_field_of_view

_PICTURES, _MAX_STEP = 8, 30
"""Number of pictures that are looked at, and at most so many frames from one to the next."""


class GuessedCameraSource(WrappedSource):
    """Another source with the field of view that its pictures suggest, unless it knows its camera.

    The other source is opened twice: for some pictures of its beginning, and to be read. A notice says the guess.
    `open` raises ConfigError ("live-source") for a source that does not begin anew when it is opened again.
    """

    def open(self) -> StreamInfo:
        info = self._source.open()
        if info.intrinsics is not None:
            return info
        if info.is_live:
            raise ConfigError(
                f"the field of view of {info.name} cannot be guessed before it runs; give it in degrees (--fov 65)",
                code="live-source",
            )
        found = guess_field_of_view(self._some_pictures(info))
        self._source.close()
        self.add_notice(found.notice(info.name))
        info = self._source.open()
        return replace(info, intrinsics=Intrinsics.from_fov(found.degrees, info.width, info.height))

    def _some_pictures(self, info: StreamInfo) -> list[Image]:
        step = max(1, min(_MAX_STEP, (info.frame_count or _PICTURES * _MAX_STEP) // _PICTURES))
        pictures: list[Image] = []
        while len(pictures) < _PICTURES and (frame := self._source.read()) is not None:
            if frame.index % step == 0:
                pictures.append(frame.image)
        return pictures
