"""Sound of a microphone beside the pictures of a camera that has none of its own."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.live_sound import LiveSound, SoundFeed, SoundPacket
from streamdepth.core.threads import StuckThreadError, WorkerThread
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.core.wrappers import WrappedSource
from streamdepth.sources.libav_errors import error_reason

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.frame import AudioFrame

_KINDS = ("alsa", "pulse", "oss", "jack", "dshow", "avfoundation", "lavfi")
_EXAMPLES = "alsa:default, dshow:audio=NAME or avfoundation::0"
_LARGEST_DRIFT_SECONDS = 0.1
"""The device's clock may be off by so much before its sound is moved."""
_STOP_SECONDS = 2.0


class SoundDeviceSource(WrappedSource):
    """The frames of a live source with the sound of a device, encoded as AAC, on the clock of the frames.

    Sound and pictures are brought together by the moments at which they arrive.

    Args:
        source: the live source of the pictures, without sound.
        device: libav's kind of device and its name, such as "alsa:default".

    Raises:
        ConfigError: from `open`, for a source that is not live ("not-live").
        SourceOpenError: from `open`, for a device that cannot be opened ("unknown-device").
    """

    def __init__(self, source: Source, device: str) -> None:
        super().__init__(source)
        self.device = device
        self._reader: _SoundDeviceReader | None = None

    def on_open(self, info: StreamInfo) -> StreamInfo:
        self._stop()
        if not info.is_live:
            raise ConfigError(
                f"a microphone records beside a camera, and {info.name} is a recording; leave audio out",
                code="not-live",
            )
        self._reader = _SoundDeviceReader(self.device)
        return self._with_sound(info)

    def _with_sound(self, info: StreamInfo) -> StreamInfo:
        return replace(info, live_sound=self._reader.sound if self._reader else None)

    def take_changed_info(self) -> StreamInfo | None:
        info = self._source.take_changed_info()
        return info and self._with_sound(info)

    def read(self) -> Frame | None:
        frame = self._source.read()
        if frame is not None and self._reader is not None:
            self._reader.feed.align(frame.pts * frame.time_base - Fraction(frame.captured_at))
        return frame

    def _stop(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop()

    def close(self) -> None:
        self._stop()
        super().close()


class _SoundDeviceReader:
    """Reads a device on a thread of its own; times are those of the monotonic clock."""

    def __init__(self, device: str) -> None:
        kind, _, name = device.partition(":")
        available = [known for known in _KINDS if known in av.formats_available]
        if kind not in available or not name:
            raise SourceOpenError(
                f"the sound device '{device}' is none of the kinds here: {', '.join(available)}; write {_EXAMPLES}",
                code="unknown-device",
            )
        try:
            self._container = av.open(name, format=kind)
        except (av.FFmpegError, ValueError) as error:
            raise SourceOpenError(
                f"the sound device '{device}' cannot be opened: {error_reason(error)}; write {_EXAMPLES}",
                code="unknown-device",
            ) from error
        stream = self._container.streams.audio[0]
        rate, layout = stream.codec_context.sample_rate, "stereo" if stream.codec_context.channels > 1 else "mono"
        self._encoder = _aac_encoder(rate, layout)
        self.feed = SoundFeed(_aac_header(rate, layout))
        self.sound = LiveSound(self.feed.header)
        self.feed.attach(self.sound)
        self._anchor: float | None = None
        """The moment of the first sample."""
        self._samples = 0
        self._stopped = threading.Event()
        self._thread = WorkerThread("sound", self._run, lambda error: None)
        self._thread.start()

    def _run(self) -> None:
        with self._container:
            for frame in self._container.decode(audio=0):
                if self._stopped.is_set():
                    return
                self._add(frame)

    def _add(self, frame: AudioFrame) -> None:
        rate = self._encoder.sample_rate
        begun = time.monotonic() - frame.samples / frame.sample_rate
        expected = None if self._anchor is None else self._anchor + self._samples / rate
        if expected is None or abs(begun - expected) > _LARGEST_DRIFT_SECONDS:
            self._anchor = begun - self._samples / rate
        frame.pts, frame.time_base = self._samples, Fraction(1, rate)
        self._samples += frame.samples
        assert self._anchor is not None
        for packet in self._encoder.encode(frame):
            begin = Fraction(self._anchor) + (packet.pts or 0) * Fraction(1, rate)
            self.feed.add(SoundPacket(begin, Fraction(1024, rate), bytes(packet)))

    def stop(self) -> None:
        """Ends the reading; a device that hangs is left behind."""
        self._stopped.set()
        with contextlib.suppress(StuckThreadError):
            self._thread.join(time.monotonic() + _STOP_SECONDS)


def _aac_encoder(rate: int, layout: str) -> AudioCodecContext:
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, layout, "fltp"
    encoder.time_base = Fraction(1, rate)
    encoder.bit_rate = 96_000 if layout == "mono" else 160_000
    return encoder


def _aac_header(rate: int, layout: str) -> bytes:
    """Returns the header of AAC as `LiveSound` takes it."""
    file = io.BytesIO()
    with av.open(file, "w", format="nut", options={"fflags": "+bitexact"}) as output:
        stream = output.add_stream("aac", rate=rate, layout=layout)
        output.start_encoding()
        packet = av.Packet(bytes(8))  # a file without packets cannot be opened
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        output.mux_one(packet)
    return file.getvalue()
