"""The video keeps the source's clock, colors and other tracks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.compare import compare_streams, read_contents
from helpers.errors import raises_code
from helpers.media import write_video
from helpers.sink_data import MODEL, fill, stream

from streamdepth.core.errors import ConfigError, SinkOpenError, SourceLostError
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.render.overlay import render
from streamdepth.sinks.encoders import CODECS, available_encoders, find_encoder
from streamdepth.sinks.video import VideoSink
from streamdepth.sources.file import FileSource

TICK = Fraction(1, 90000)
VARIABLE = [0, 3000, 6003, 6900, 21000, 24000, 60001, 63000, 66000, 90000, 93000, 120000]
"""Times in ticks of 1/90000 s."""


def make_movie(
    path: Path,
    pts: list[int],
    *,
    size: tuple[int, int] = (64, 48),
    audio: tuple[tuple[str, float], ...] = (),
    subtitle: bool = False,
    audio_seconds: float = 2.0,
    last: int = 3000,
    b_frames: int = 2,
) -> Path:
    """A video at `pts` whose last frame lasts `last` ticks, with a sound track per (language, start in seconds)."""
    exact = {"movie_timescale": "720000"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", container_options=exact) as out:
        video = out.add_stream("libx264", rate=30, width=size[0], height=size[1], pix_fmt="yuv420p", time_base=TICK)
        video.options = {"preset": "ultrafast", "bf": str(b_frames)}
        sounds = [(out.add_stream("aac", rate=16000, layout="mono"), start) for _, start in audio]
        for (sound, _), (language, _) in zip(sounds, audio, strict=True):
            sound.metadata.update(language=language, title=f"sound {language}")
        words = out.add_mux_stream("mov_text") if subtitle else None
        out.metadata["title"] = "a film"
        out.set_chapters(
            [{"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}},
             {"id": 2, "start": 500, "end": 1300, "time_base": Fraction(1, 1000), "metadata": {"title": "two"}}]
        )  # fmt: skip
        durations = dict(zip(pts, [*np.diff(pts).tolist(), last], strict=True))
        for packet in video_packets(video, pts, size):
            packet.duration = durations[packet.pts]
            out.mux(packet)
        for sound, start in sounds:
            for packet in sound_packets(sound, start, audio_seconds):
                out.mux(packet)
        for i in range(2 if words else 0):
            packet = av.Packet(b"\x00\x05hello")
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts = packet.dts = 200 + 600 * i
            packet.duration = 300
            out.mux(packet)
    return path


def video_packets(video: av.VideoStream, pts: list[int], size: tuple[int, int]) -> Iterator[av.Packet]:
    for i, ticks in enumerate(pts):
        frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 20 * i % 256, np.uint8))
        frame.pts, frame.time_base = ticks, TICK
        yield from video.encode(frame)
    yield from video.encode(None)


def sound_packets(sound: av.AudioStream, start: float, seconds: float) -> Iterator[av.Packet]:
    wave = (np.sin(np.arange(int(16000 * seconds)) / 9) * 9000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = 16000, round(start * 16000)
    resampled = av.AudioResampler("fltp", "mono", 16000, frame_size=1024).resample(frame)
    for part in resampled:
        yield from sound.encode(part)
    yield from sound.encode(None)


def convert(source: Path, sink: VideoSink, limit: int | None = None, *, is_live: bool = False) -> int:
    """Writes every frame of `source` with a made-up depth, as the pipeline does. Returns the number of frames."""
    count = 0
    with FileSource(source) as file:
        sink.open(replace(file.open(), is_live=is_live), MODEL)
        while count != limit and (frame := file.read()) is not None:
            depth = np.full((12, 16), 1 + count % 3, np.float32)
            sink.write(DepthFrame(frame, depth, DepthKind.METRIC, range=(0.5, 4.0)))
            count += 1
    sink.close()
    return count


@pytest.mark.parametrize(
    ("name", "languages"),
    [("in.mp4", (("eng", 0.0), ("deu", 0.25))), ("in.mov", (("fra", 0.0371),)), ("in.mkv", (("eng", 0.1),))],
)
def test_variable_rate_and_offset_sound_survive(
    name: str, languages: tuple[tuple[str, float], ...], tmp_path: Path
) -> None:
    source = make_movie(tmp_path / name, VARIABLE, audio=languages, subtitle=name == "in.mp4")
    output = (tmp_path / "out.x").with_suffix(source.suffix)
    sink = VideoSink(output)
    assert convert(source, sink) == len(VARIABLE)
    both = compare_streams(source, output)
    assert both.frame_counts == (len(VARIABLE), len(VARIABLE))
    assert both.pts_equal
    assert both.tracks_equal
    assert both.largest_track_shift == 0
    assert [t.language for t in both.output.tracks] == [t.language for t in both.source.tracks]
    assert len(both.output.tracks) == len(languages) + (name == "in.mp4")
    assert sum(len(t.payloads) for t in both.output.tracks) > 20
    assert sink.notices == []


def test_the_last_frame_keeps_its_duration(tmp_path: Path) -> None:
    source = make_movie(tmp_path / "in.mp4", VARIABLE, last=7001, b_frames=0)
    convert(source, VideoSink(tmp_path / "out.mp4", preset="ultrafast"))  # no B-frames: tracks' lengths can be compared
    with av.open(str(source)) as a, av.open(str(tmp_path / "out.mp4")) as b:
        assert a.duration == b.duration == round(127001 * TICK * av.time_base)


@pytest.mark.parametrize("first", [45000, 132000])
def test_a_late_start_stays(first: int, tmp_path: Path) -> None:
    source = make_movie(tmp_path / "in.mp4", [first + t for t in VARIABLE], audio=(("eng", 0.0),))
    convert(source, VideoSink(tmp_path / "out.mp4"))
    both = compare_streams(source, tmp_path / "out.mp4")
    assert both.source.times[0] == first * TICK
    assert both.pts_equal
    assert both.largest_track_shift == 0


def test_matroska_rounds_to_milliseconds(tmp_path: Path) -> None:
    source = make_movie(tmp_path / "in.mp4", VARIABLE)
    convert(source, VideoSink(tmp_path / "out.mkv"))
    both = compare_streams(source, tmp_path / "out.mkv")
    assert not both.pts_equal
    assert both.largest_shift <= Fraction(1, 2000)


def test_sound_before_zero_shifts_matroska_as_a_whole_and_is_announced(tmp_path: Path) -> None:
    source = make_movie(tmp_path / "in.mp4", VARIABLE, audio=(("eng", 0.0),))
    sink = VideoSink(tmp_path / "out.mkv")
    convert(source, sink)
    both = compare_streams(source, tmp_path / "out.mkv")
    assert both.source.tracks[0].times[0] == Fraction(-1024, 16000)
    assert both.tracks_equal
    shift = Fraction(1024, 16000)
    assert all(
        abs(b - a - shift) <= Fraction(1, 1000) for a, b in zip(both.source.times, both.output.times, strict=True)
    )
    assert "0.064 s" in sink.notices[0]


def test_what_the_container_cannot_hold_is_announced(tmp_path: Path) -> None:
    source = make_movie(tmp_path / "in.mp4", VARIABLE, audio=(("eng", 0.5),), subtitle=True)
    sink = VideoSink(tmp_path / "out.webm", codec="vp9")
    convert(source, sink)
    assert read_contents(tmp_path / "out.webm").tracks == []
    assert len(sink.notices) == 2
    assert "aac" in sink.notices[0]
    assert "mov_text" in sink.notices[1]


def test_sound_ends_with_the_last_picture_when_the_user_ends_early(tmp_path: Path) -> None:
    source = make_movie(tmp_path / "in.mp4", VARIABLE, audio=(("eng", 0.0),), subtitle=True)
    convert(source, VideoSink(tmp_path / "out.mp4"), limit=6)
    both = compare_streams(source, tmp_path / "out.mp4")
    assert both.output.times == both.source.times[:6]
    sound, words = both.output.tracks
    end = both.source.times[5] + (both.source.times[6] - both.source.times[5])
    kept = [t for t in both.source.tracks[0].times if t < end]
    assert sound.times == kept
    assert sound.payloads == both.source.tracks[0].payloads[: len(kept)]
    assert len(kept) < len(both.source.tracks[0].times)
    assert len([p for p in words.payloads if len(p) > 2]) == 1


def test_sound_longer_than_the_picture_is_kept_whole(tmp_path: Path) -> None:
    source = make_movie(tmp_path / "in.mp4", VARIABLE[:6], audio=(("eng", 0.0),), audio_seconds=3)
    convert(source, VideoSink(tmp_path / "out.mp4"))
    assert compare_streams(source, tmp_path / "out.mp4").tracks_equal


def test_chapters_and_tags_are_copied(tmp_path: Path) -> None:
    source = make_movie(tmp_path / "in.mp4", VARIABLE, audio=(("eng", 0.0),))
    for name in ("out.mp4", "out.mkv"):
        convert(source, VideoSink(tmp_path / name))
        with av.open(str(tmp_path / name)) as container:
            assert container.metadata["title"] == "a film"
            assert [c["metadata"]["title"] for c in container.chapters()] == ["one", "two"]
            assert container.streams.audio[0].language == "eng"
    convert(source, VideoSink(tmp_path / "short.mp4"), limit=4)
    with av.open(str(tmp_path / "short.mp4")) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == ["one"]
        assert container.duration is not None
        assert container.duration < 0.4 * av.time_base


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
@pytest.mark.parametrize("keep", [False, True])
def test_the_position_of_the_recording_is_left_out_unless_it_is_wanted(
    tmp_path: Path, name: str, *, keep: bool
) -> None:
    position = "+48.8577+002.2950/"
    tags = {"location": position, "com.apple.quicktime.location.ISO6709": position, "title": "a walk"}
    source = write_video(
        tmp_path / "in.mov", count=4, metadata=tags, container_options={"movflags": "use_metadata_tags"}
    )
    sink = VideoSink(tmp_path / name, codec="vp9" if name.endswith("webm") else "h264", keep_location=keep)
    convert(source, sink)
    assert any("keep_location" in text for text in sink.notices) is not keep
    with av.open(str(tmp_path / name)) as container:
        found = {key.lower(): value for key, value in container.metadata.items()}
    assert found["title"] == "a walk"
    assert found.get("location", "").startswith("+48.857") is keep
    assert keep or not any("48.857" in value for value in found.values())


def test_tracks_can_be_left_out(tmp_path: Path) -> None:
    source = make_movie(tmp_path / "in.mp4", VARIABLE, audio=(("eng", 0.0),))
    convert(source, VideoSink(tmp_path / "out.mp4", copy_tracks=False))
    assert read_contents(tmp_path / "out.mp4").tracks == []


def test_a_damaged_origin_ends_the_sound_early_and_says_so(tmp_path: Path) -> None:
    source = make_movie(tmp_path / "in.mkv", VARIABLE, audio=(("eng", 0.1),))
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 2 // 3])
    sink = VideoSink(tmp_path / "out.mkv")
    with pytest.raises(SourceLostError) as error:
        convert(source, sink)
    assert error.value.code == "cut-off"
    sink.close()
    assert read_contents(tmp_path / "out.mkv").times == read_contents(source).times


@pytest.mark.parametrize("codec", [c for c, names in CODECS.items() if set(names) & set(available_encoders())])
def test_codecs_keep_times_and_colors(codec: str, tmp_path: Path) -> None:
    info, items = stream(3, 64, 64)
    color = (200, 30, 60)
    for item in items:
        item.frame.image.setflags(write=True)
        item.frame.image[:] = color
    fill(VideoSink(tmp_path / "out.mp4", RenderOptions(alpha=0), codec=codec, crf=10), info, items)
    with av.open(str(tmp_path / "out.mp4")) as container:
        frames = list(container.decode(video=0))
        assert [f.time for f in frames] == [i.frame.time for i in items]
        assert {(f.colorspace, f.color_range, f.color_primaries, f.color_trc) for f in frames} == {(1, 1, 1, 1)}
        assert container.streams.video[0].codec_context.codec.canonical_name == codec
        if codec == "hevc":
            assert container.streams.video[0].codec_context.codec_tag == "hvc1", "Apple's players take no hev1"
        seen = frames[1].to_ndarray(format="rgb24")[32, 32].astype(int)
        assert np.abs(seen - color).max() <= 4


def test_luma_follows_bt709(tmp_path: Path) -> None:
    info, items = stream(1, 64, 64)
    items[0].frame.image.setflags(write=True)
    items[0].frame.image[:] = (0, 255, 0)
    fill(VideoSink(tmp_path / "out.mp4", RenderOptions(alpha=0), crf=1), info, items)
    with av.open(str(tmp_path / "out.mp4")) as container:
        luma = next(container.decode(video=0)).to_ndarray()[32, 32]
    assert abs(int(luma) - (16 + 219 * 0.7152)) <= 2  # 16 + 219 * 0.587 = 145 would be BT.601


@pytest.mark.parametrize(("style", "size"), [("overlay", (36, 62)), ("depth", (36, 62)), ("side-by-side", (70, 62))])
def test_odd_sizes_are_padded_by_one(style: str, size: tuple[int, int], tmp_path: Path) -> None:
    info, items = stream(2, 35, 61)
    fill(VideoSink(tmp_path / "out.mp4", RenderOptions(style=style)), info, items)
    assert read_contents(tmp_path / "out.mp4").size == size


def test_side_by_side_shows_the_picture_on_the_left(tmp_path: Path) -> None:
    info, items = stream(1, 64, 48)
    fill(VideoSink(tmp_path / "out.mp4", RenderOptions(style="side-by-side"), crf=5), info, items)
    with av.open(str(tmp_path / "out.mp4")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.abs(picture[:, :64] - items[0].frame.image).mean() < 12
    assert np.abs(picture[:, 64:] - items[0].frame.image).mean() > 40


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv"])
def test_a_live_file_keeps_step_with_its_sound(name: str, tmp_path: Path) -> None:
    """A file played at its own pace, which begins at 5 s."""
    later = [450000 + t for t in VARIABLE]
    source = make_movie(tmp_path / name, later, audio=(("eng", 4.9),))
    sink = VideoSink((tmp_path / "out.x").with_suffix(source.suffix))
    convert(source, sink, is_live=True)
    both = compare_streams(source, sink.path)
    assert both.source.times[0] == 5
    start = both.source.times[0] - both.output.times[0]
    assert start in (Fraction(49, 10), Fraction(49, 10) - Fraction(1024, 16000)), "the sound begins at 0"
    assert both.output.times == [time - start for time in both.source.times]
    assert both.tracks_equal
    assert both.largest_track_shift == abs(start - both.source.origin)


def test_names_with_a_colon_are_no_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_movie(tmp_path / "in.mp4", VARIABLE, audio=(("eng", 0.0),)).rename(tmp_path / "12:30.mp4")
    monkeypatch.chdir(tmp_path)
    sink = VideoSink("x:30.mp4")
    convert(Path("12:30.mp4"), sink)
    both = compare_streams("12:30.mp4", "x:30.mp4")
    assert both.pts_equal
    assert both.tracks_equal
    assert sink.notices == []


@pytest.mark.parametrize("is_live", [True, False])
def test_a_stream_without_a_file_begins_at_zero(is_live: bool, tmp_path: Path) -> None:
    info, items = stream(4)
    late = [replace(i, frame=replace(i.frame, pts=i.frame.pts + 10**9)) for i in items]
    fill(VideoSink(tmp_path / "out.mp4"), replace(info, is_live=is_live), late)
    assert read_contents(tmp_path / "out.mp4").times == [Fraction(i, 30) for i in range(4)]


def test_times_that_go_backwards_are_moved_on_and_announced(tmp_path: Path) -> None:
    info, items = stream(4)
    info = replace(info, time_base=TICK)
    ticks = (0, 3000, 3000, 2000)
    crooked = [replace(i, frame=replace(i.frame, pts=t, time_base=TICK)) for i, t in zip(items, ticks, strict=True)]
    sink = VideoSink(tmp_path / "out.mp4")
    fill(sink, info, crooked)
    assert read_contents(tmp_path / "out.mp4").times == [t * TICK for t in (0, 3000, 3001, 3002)]
    assert "backwards" in sink.notices[0]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("time_base", [TICK, Fraction(1, 1000), Fraction(1, 1200000), Fraction(1001, 30000)])
@pytest.mark.parametrize("hours", [1, 7, 30])
def test_a_pause_of_hours_keeps_all_frames(hours: int, time_base: Fraction, suffix: str, tmp_path: Path) -> None:
    """A camera that was away, or a program's own frames: 32 bits of 1/90000 s are 6.6 hours."""
    info, items = stream(6)
    times = [0, 1, 2, hours * 3600, hours * 3600 + 1, hours * 3600 + 2]
    ticks = [round(t / time_base) for t in times]
    late = [replace(i, frame=replace(i.frame, pts=t, time_base=time_base)) for i, t in zip(items, ticks, strict=True)]
    path = tmp_path / f"out{suffix}"
    fill(VideoSink(path), replace(info, time_base=time_base), late)
    written = [float(t) for t in read_contents(path).times]
    expected = [float(t * time_base) for t in ticks]
    assert [written[i] for i in (0, 1, 2, -3, -2, -1)] == pytest.approx(expected, abs=0.001)
    assert all(2 < t < expected[3] for t in written[3:-3]), "the picture before the pause may be repeated within it"


def test_another_size_is_scaled_to_the_first_and_announced(tmp_path: Path) -> None:
    info, items = stream(2)
    other = [replace(i, frame=replace(i.frame, pts=i.frame.pts + 2)) for i in stream(2, 96, 80)[1]]
    sink = VideoSink(tmp_path / "out.mp4")
    fill(sink, info, items + other)
    assert read_contents(tmp_path / "out.mp4").size == (48, 32)
    assert "size" in sink.notices[0]


def test_an_unknown_encoder_lists_those_that_exist(tmp_path: Path) -> None:
    with raises_code(SinkOpenError, "unknown-encoder", naming=r"'h265'.*h264, hevc.*libx264"):
        VideoSink(tmp_path / "out.mp4", codec="h265").open(stream()[0], MODEL)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_does_not_start_says_what_else_there_is(tmp_path: Path) -> None:
    info = replace(stream()[0], width=16500, height=2)
    with raises_code(SinkOpenError, "encoder-failed", naming=r"16500x2 px.*libx264"):
        VideoSink(tmp_path / "out.mp4").open(info, MODEL)
    assert list(tmp_path.iterdir()) == []


def test_a_codec_that_the_container_does_not_take(tmp_path: Path) -> None:
    with pytest.raises(SinkOpenError, match="webm"):
        VideoSink(tmp_path / "out.webm", codec="h264").open(stream()[0], MODEL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("codec", ["av1", "vp9"])
def test_mov_refuses_at_once_what_it_does_not_hold(codec: str, tmp_path: Path) -> None:
    with pytest.raises(SinkOpenError, match=f"mov does not hold {codec}"):
        VideoSink(tmp_path / "out.mov", codec=codec).open(stream()[0], MODEL)
    assert list(tmp_path.iterdir()) == []


def test_names_of_encoders_are_taken_as_they_are() -> None:
    assert find_encoder("libx264") == "libx264"
    assert find_encoder("H264") == "libx264"


def test_a_wrong_look_is_a_wrong_setting(tmp_path: Path) -> None:
    with raises_code(ConfigError, "unknown-colormap", naming="inferno"):
        VideoSink(tmp_path / "out.mp4", RenderOptions(colormap="infern"))


@pytest.mark.parametrize(
    ("name", "exact"),
    [("var_fps_video.mp4", True), ("nasa_13013.mp4", True), ("sample_fragmented.mp4", True), ("sample_h264.ts", True)],
)
def test_footage(name: str, exact: bool, tmp_path: Path, footage: Path) -> None:
    source = footage / "clips" / name
    convert(source, VideoSink(tmp_path / "out.mp4", preset="ultrafast"))
    both = compare_streams(source, tmp_path / "out.mp4")
    assert both.pts_equal is exact
    assert both.tracks_equal
    assert both.largest_track_shift == 0


@pytest.mark.parametrize(
    ("codec", "name", "pixel_format"),
    [("prores", "a.mov", "yuv422p10le"), ("dnxhr", "a.mov", "yuv422p"), ("mjpeg", "a.mkv", "yuvj420p")],
)
def test_codecs_of_editors_start_and_keep_gray(codec: str, name: str, pixel_format: str, tmp_path: Path) -> None:
    info, items = stream(3, 320, 240)
    for item in items:
        item.depth[:] = 1.0
    options = RenderOptions(style="depth", colormap="gray")
    expected = render(items[0], options).mean()
    fill(VideoSink(tmp_path / name, options, codec=codec), info, items)
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == pixel_format
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == 3
    assert abs(pictures[0].mean() - expected) < 3
