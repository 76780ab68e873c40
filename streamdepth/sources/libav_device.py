"""Base class of sources that read one of libav's input devices."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import av
from av.error import FFmpegError

from streamdepth.core.errors import SourceOpenError
from streamdepth.core.types import StreamInfo
from streamdepth.sources.decoded_source import DecodedSource
from streamdepth.sources.decoder import FrameDecoder
from streamdepth.sources.libav_errors import error_reason, redact_error
from streamdepth.sources.limits import MAX_SIDE_PX
from streamdepth.sources.track_decoder import TrackDecoder
from streamdepth.utils.redact import redact

EXAMPLE = "lavfi:testsrc2=size=640x360:rate=30"
"""An address that works wherever PyAV does."""


class LibavDeviceSource(DecodedSource[FrameDecoder]):
    """A source with an address `KIND:DETAILS`, opened by libav as a device or as a filter."""

    is_live: ClassVar[bool]
    """True if frames are lost when they are not read in time."""

    def __init__(self, address: str, *, max_side_px: int = MAX_SIDE_PX) -> None:
        super().__init__(redact(address))
        self.address, self.max_side_px = address, max_side_px

    @property
    def drops_unread_frames(self) -> bool:
        return self.is_live

    @abstractmethod
    def _open_decoder(self, details: str) -> FrameDecoder:
        """Opens what the address names after its colon. Raises SourceOpenError, FFmpegError and ValueError."""

    def open(self) -> StreamInfo:
        self._release()
        try:
            decoder = self._open_decoder(self.address.partition(":")[2])
        except (FFmpegError, ValueError) as error:
            raise SourceOpenError(
                f"{self.name} cannot be opened: {error_reason(error)}; an address that works is {EXAMPLE}",
                code="unknown-device",
            ) from redact_error(error)
        self._start(decoder, is_live=self.is_live)
        return StreamInfo(
            self.name,
            decoder.width,
            decoder.height,
            fps=decoder.fps,
            is_live=self.is_live,
            time_base=decoder.time_base,
        )

    def _open_device(self, file: str, device: str, options: dict[str, str]) -> TrackDecoder:
        container = av.open(file, format=device, options=options)
        return TrackDecoder(container, self.name, self.add_notice, max_side_px=self.max_side_px)


def has_device(name: str) -> bool:
    """True if this build of PyAV has libav's input device `name`."""
    return name in av.formats_available
