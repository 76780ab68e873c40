"""Sound of live connections: its format as a file's header, and its packets as plain bytes."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from streamdepth.core.live_sound import SoundFeed, SoundPacket
from streamdepth.utils.aac import audio_specific_config, without_adts

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet


_G711 = ("pcm_mulaw", "pcm_alaw")
"""Sound of telephony and of many cameras, which few containers hold; expanded to 16 bits, nothing is lost."""


class SoundReader:
    """Passes the packets of one sound track of a live container on to `feed`.

    Raises ValueError or FFmpegError for sound of an unknown format.
    """

    def __init__(self, stream: AudioStream) -> None:
        self._index, self._context = stream.index, stream.codec_context
        self._is_aac, self._is_g711 = self._context.name == "aac", self._context.name in _G711
        self.feed = SoundFeed(_header(stream))

    def add(self, packet: Packet[Any]) -> None:
        """Passes a packet of the container on if it is sound; others do nothing."""
        pts = packet.pts if packet.pts is not None else packet.dts
        if packet.stream.index != self._index or not packet.size or pts is None:
            return
        duration = Fraction(packet.duration or 0) * packet.time_base
        self.feed.add(SoundPacket(pts * packet.time_base, duration, self._data(packet)))

    def _data(self, packet: Packet[Any]) -> bytes:
        if self._is_g711:
            return b"".join(frame.to_ndarray().astype("<i2").tobytes() for frame in self._context.decode(packet))
        return without_adts(bytes(packet)) if self._is_aac else bytes(packet)


def open_sound(container: InputContainer) -> SoundReader | None:
    """Returns a reader of the sound track that libav prefers; None where there is none of a known format."""
    stream = container.streams.best("audio")
    if stream is None or stream.codec_context is None:
        return None
    try:
        return SoundReader(stream)  # type: ignore[arg-type]  # the best sound is sound
    except (av.FFmpegError, ValueError):
        return None


def _header(stream: AudioStream) -> bytes:
    """Returns a NUT file with a track of that format; two tracks of one format have the same."""
    file, context = io.BytesIO(), stream.codec_context
    with av.open(file, "w", format="nut", options={"fflags": "+bitexact"}) as output:
        if context.name in _G711:
            layout = "stereo" if context.channels == 2 else "mono"
            target: Any = output.add_stream("pcm_s16le", rate=context.sample_rate, layout=layout)
        else:
            target = output.add_stream_from_template(stream, opaque=True)
        if context.name == "aac" and not context.extradata:
            target.codec_context.extradata = audio_specific_config(context.sample_rate, context.channels)
        packet = av.Packet(bytes(8))  # a file without packets cannot be opened
        packet.stream, packet.pts, packet.dts = target, 0, 0
        output.mux_one(packet)
    return file.getvalue()
