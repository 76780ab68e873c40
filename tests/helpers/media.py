"""Small videos for tests, made with PyAV in milliseconds, each with one property that readers often get wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

CORNERS = {
    "top left": (230, 30, 30),
    "top right": (30, 200, 30),
    "bottom left": (40, 40, 220),
    "bottom right": (220, 220, 220),
}
"""RGB of the four quarters of `quarters`."""
STRIPE_COLORS = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
    (255, 255, 255),
    (128, 128, 128),
    (16, 16, 16),
    (200, 80, 40),
]
"""RGB colors of the vertical stripes of `stripes`, left to right."""


def quarters(width: int, height: int) -> np.ndarray:
    """Returns (H, W, 3) uint8: four colors that show how a picture is rotated and mirrored."""
    image = np.empty((height, width, 3), np.uint8)
    y, x = height // 2, width // 2
    image[:y, :x], image[:y, x:], image[y:, :x], image[y:, x:] = CORNERS.values()
    return image


def stripes(width: int, height: int) -> np.ndarray:
    """Returns (H, W, 3) uint8: the colors of STRIPE_COLORS as stripes of equal width."""
    edges = np.linspace(0, len(STRIPE_COLORS), width, endpoint=False).astype(int)
    return np.repeat(np.array(STRIPE_COLORS, np.uint8)[edges][None], height, axis=0)


def moving(width: int, height: int, index: int) -> np.ndarray:
    """Returns (H, W, 3) uint8: `quarters` with a bright box that moves, so that no two frames are equal."""
    image = quarters(width, height)
    size = max(1, height // 4)
    left = index * 2 % max(1, width - size)
    image[height // 3 : height // 3 + size, left : left + size] = (255, 255, 0)
    return image


def write_video(
    path: Path,
    *,
    count: int = 20,
    size: tuple[int, int] = (64, 48),
    images: Sequence[np.ndarray] | None = None,
    rate: Fraction | int = 25,
    times: Sequence[int] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    rotation: int | None = None,
    mirrored: bool = False,
    colorspace: Colorspace | None = None,
    full_range: bool | None = None,
    tagged: bool = True,
    transfer: ColorTrc | None = None,
    primaries: ColorPrimaries | None = None,
    interlaced: bool = False,
    field_order: int | None = None,
    audio_offset_seconds: float | None = None,
    subtitles: Sequence[tuple[float, float, str]] = (),
    metadata: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    container_format: str | None = None,
) -> Path:
    """Writes a video and returns `path`.

    `times`: timestamps in milliseconds, for a variable frame rate. `rotation`: degrees counter-clockwise, 0 to 270, in
    the container's display matrix. `tagged` False: colors are converted as asked, but the file does not say so.
    `aspect`: shape of a pixel. `field_order`: libav's AVFieldOrder, for the container to state.
    `audio_offset_seconds`: adds a sound track that begins so late. `subtitles`: (start, end, text) in seconds.
    """
    images = images or [moving(*size, i) for i in range(count if times is None else len(times))]
    with av.open(str(path), "w", format=container_format, options=container_options or {}) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=rate, options=_options(codec, options))
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixel_format
        tick = Fraction(1, 1000) if times is not None else 1 / Fraction(rate)
        stream.time_base = stream.codec_context.time_base = tick
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if tagged:
            _tag(stream, colorspace, full_range, transfer, primaries)
        if interlaced:
            stream.codec_context.flags |= Flags.interlaced_dct
        if field_order is not None:
            stream.codec_context.field_order = field_order
        if rotation is not None or mirrored:
            stream.set_display_rotation(rotation or 0, hflip=mirrored)
        sound = None if audio_offset_seconds is None else container.add_stream("aac", rate=48000, layout="mono")
        text = container.add_mux_stream(_subtitle_codec(path)) if subtitles else None
        for index, frame in enumerate(_frames(images, pixel_format, colorspace, full_range)):
            frame.pts = index if times is None else times[index]
            frame.time_base = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _write_sound(container, sound, audio_offset_seconds or 0, seconds=0.8)
        if text is not None:
            _write_subtitles(container, text, subtitles, is_mp4=path.suffix == ".mp4")
    return path


def _options(codec: str, options: dict[str, str] | None) -> dict[str, str]:
    base = {"preset": "ultrafast", "crf": "10"} if codec == "libx264" else {}
    return {**base, **(options or {})}


def _tag(
    stream: VideoStream,
    colorspace: Colorspace | None,
    full_range: bool | None,
    transfer: ColorTrc | None,
    primaries: ColorPrimaries | None,
) -> None:
    context = stream.codec_context
    if colorspace is not None:
        context.colorspace = colorspace
    if full_range is not None:
        context.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG
    if transfer is not None:
        context.color_trc = transfer
    if primaries is not None:
        context.color_primaries = primaries


def _frames(
    images: Iterable[np.ndarray], pixel_format: str, colorspace: Colorspace | None, full_range: bool | None
) -> Iterable[av.VideoFrame]:
    for image in images:
        frame = av.VideoFrame.from_ndarray(image, "rgb24" if image.dtype == np.uint8 else "rgb48le")
        yield frame.reformat(
            format=pixel_format,
            dst_colorspace=colorspace or Colorspace.ITU601,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
        )


def _write_sound(container: OutputContainer, stream: av.AudioStream, offset_seconds: float, seconds: float) -> None:
    samples = np.sin(np.arange(int(48000 * seconds)) * 2 * np.pi * 440 / 48000).astype(np.float32)
    for start in range(0, len(samples) - 1023, 1024):
        frame = AudioFrame.from_ndarray(samples[None, start : start + 1024], "fltp", "mono")
        frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
        frame.pts = start + round(offset_seconds * 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _subtitle_codec(path: Path) -> str:
    return "mov_text" if path.suffix == ".mp4" else "subrip"


def _write_subtitles(
    container: OutputContainer, stream: av.stream.Stream, lines: Sequence[tuple[float, float, str]], *, is_mp4: bool
) -> None:
    for start, end, text in lines:
        data = text.encode()
        packet = av.Packet(len(data).to_bytes(2, "big") + data if is_mp4 else data)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = round(start * 1000)
        packet.duration = round((end - start) * 1000)
        container.mux(packet)


def write_packets(path: Path, packets: Sequence[bytes], codec: str, size: tuple[int, int], rate: int = 25) -> Path:
    """Writes pictures that are encoded already, each a keyframe, and returns `path`."""
    with av.open(str(path), "w") as container:
        stream = container.add_mux_stream(codec, rate=rate, width=size[0], height=size[1])
        for index, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, rate)
            packet.pts = packet.dts = index
            packet.is_keyframe = True
            container.mux(packet)
    return path


def write_sound_only(path: Path) -> Path:
    """Writes a file with a sound track and nothing else."""
    with av.open(str(path), "w") as container:
        _write_sound(container, container.add_stream("aac", rate=48000, layout="mono"), 0, seconds=0.5)
    return path


def write_size_change(path: Path, sizes: Sequence[tuple[int, int]] = ((64, 48), (96, 80)), count: int = 10) -> Path:
    """Writes an MPEG transport stream (`.ts`) whose pictures change their size after each `count` frames."""
    part = path.with_suffix(".part.ts")
    with path.open("wb") as whole:
        for number, size in enumerate(sizes):
            times = [round((number * count + i) * 40) for i in range(count)]
            write_video(part, size=size, times=times, options={"bf": "0"})
            whole.write(part.read_bytes())
    part.unlink()
    return path


def write_other_tracks(path: Path, counts: Sequence[int] = (30, 10)) -> Path:
    """Writes an MPEG transport stream of joined recordings with `counts` pictures, each in a track of its own."""
    part = path.with_suffix(".part.ts")
    with path.open("wb") as whole:
        for number, count in enumerate(counts):
            start = {"mpegts_start_pid": str(256 * (number + 1))}
            whole.write(write_video(part, count=count, container_options=start).read_bytes())
    part.unlink()
    return path


def truncate(path: Path, share: float) -> Path:
    """Cuts a file to `share` of its bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def write_beginning(clip: Path, path: Path, seconds: float) -> Path:
    """Copies the beginning of a clip, up to the first group of pictures that ends after `seconds`."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        copies = {s: target.add_stream_from_template(s) for s in (*source.streams.video, *source.streams.audio)}
        shown: list[Fraction] = []
        for packet in source.demux(*copies):
            if packet.pts is None or packet.time_base is None:
                continue
            if packet.stream.type == "video":
                times = sorted(shown)
                has_gaps = len({b - a for a, b in itertools.pairwise(times)}) > 1
                if times and times[-1] >= seconds and not has_gaps:
                    break
                shown.append(packet.pts * packet.time_base)
            packet.stream = copies[packet.stream]
            target.mux(packet)
    return path
