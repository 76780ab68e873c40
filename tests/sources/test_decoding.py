"""Parts that sources share: correction of timestamps, decoding, rotation and tone mapping."""

from __future__ import annotations

import traceback
from collections.abc import Generator
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from av.error import InvalidDataError
from helpers.errors import raises_code
from hypothesis import given
from hypothesis import strategies as st

from streamdepth.core.errors import SourceLostError
from streamdepth.core.types import StreamInfo
from streamdepth.sources import hdr
from streamdepth.sources.decoded_source import DecodedSource
from streamdepth.sources.decoder import FrameDecoder
from streamdepth.sources.frame_converter import FrameConverter, apply_display_matrix
from streamdepth.sources.timestamps import TimestampCorrector

MS = Fraction(1, 1000)


def corrected(stamps: list[int | None]) -> list[int]:
    corrector = TimestampCorrector(MS, Fraction(25))
    return [corrector.correct(stamp, MS) for stamp in stamps]


@given(st.lists(st.one_of(st.none(), st.integers(-(10**12), 10**12)), min_size=2))
def test_time_always_increases(stamps: list[int | None]) -> None:
    result = corrected(stamps)
    assert all(a < b for a, b in pairwise(result))


@given(st.lists(st.integers(-(10**12), 10**12), unique=True))
def test_healthy_times_are_left_alone(stamps: list[int]) -> None:
    assert corrected(sorted(stamps)) == sorted(stamps)


def test_repairs() -> None:
    assert corrected([None, None, None]) == [0, 40, 80]
    assert corrected([100, None, 200]) == [100, 140, 200]
    assert corrected([100, 90, 120]) == [100, 101, 120]
    assert corrected([50000, 0, 40, 80]) == [50000, 50040, 50080, 50120]


def test_a_new_clock_goes_on_after_the_time_that_passed() -> None:
    corrector = TimestampCorrector(MS, Fraction(25))
    corrector.correct(5000, MS)
    corrector.resume(2.0)
    assert [corrector.correct(stamp, Fraction(1, 90000)) for stamp in (900_000, 903_600)] == [7000, 7040]
    assert not corrector.has_repairs


@pytest.mark.parametrize(("is_live", "expected"), [(True, [0, 40, 540, 580]), (False, [0, 40, 90_040, 90_080])])
def test_a_clock_that_jumps_ahead_of_the_wall(is_live: bool, expected: list[int]) -> None:
    """Half a second has passed, and the stream's clock says 90 s: impossible for a live stream, fine for a file."""
    corrector = TimestampCorrector(MS, Fraction(25), is_live=is_live)
    stamps = zip((0, 40, 90_040, 90_080), (5.0, 5.04, 5.54, 5.58), strict=True)
    assert [corrector.correct(stamp, MS, arrived) for stamp, arrived in stamps] == expected
    assert corrector.has_jumped is is_live


def test_a_live_stream_may_pause() -> None:
    corrector = TimestampCorrector(MS, Fraction(25), is_live=True)
    assert [corrector.correct(stamp, MS, arrived) for stamp, arrived in ((0, 1.0), (60_000, 52.0))] == [0, 60_000]
    assert not corrector.has_jumped


def test_live_pictures_without_timestamps_are_timed_by_their_arrival() -> None:
    corrector = TimestampCorrector(MS, Fraction(25), is_live=True)
    assert [corrector.correct(None, MS, at) for at in (7.0, 7.1, 7.35, 8.0)] == [0, 100, 350, 1000]
    assert not corrector.has_repairs


def test_timestamps_that_begin_late_go_on_from_those_that_were_missing() -> None:
    """An RTSP server says its time only with its first report; frames before that have no timestamps."""
    corrector = TimestampCorrector(MS, Fraction(25), is_live=True)
    stamps = [(None, 1.0), (None, 1.04), (90_000, 1.08), (90_040, 1.12)]
    assert [corrector.correct(stamp, MS, at) for stamp, at in stamps] == [0, 40, 80, 120]
    assert not corrector.has_jumped


def test_a_clock_that_wraps_goes_on() -> None:
    """A transport stream has 33 bits at 90 kHz, which wrap after 26.5 hours."""
    tick, wrap = Fraction(1, 90_000), 2**33
    corrector = TimestampCorrector(tick, Fraction(25), is_live=True)
    stamps = [(wrap - 3600, 1.0), (0, 1.04), (3600, 1.08)]
    corrected = [corrector.correct(stamp, tick, at) for stamp, at in stamps]
    assert [b - a for a, b in pairwise(corrected)] == [3600, 3600]


@pytest.mark.parametrize("speed", [0.0, 0.2, 3.0])
def test_a_live_clock_of_the_wrong_speed_is_not_believed_for_long(speed: float) -> None:
    corrector = TimestampCorrector(MS, Fraction(10), is_live=True)
    times = [(corrector.correct(round(i * 100 * speed), MS, i / 10), i / 10) for i in range(1000)]
    assert corrector.is_clock_rejected
    assert all(a[0] < b[0] for a, b in pairwise(times))
    assert times[-1][0] - times[-100][0] == pytest.approx(9900, abs=10)


@pytest.mark.parametrize("is_live", [True, False])
def test_a_clock_of_the_right_speed_is_left_alone(is_live: bool) -> None:
    """Frames may come in bursts, as from a playlist, or a file be read faster than it plays."""
    corrector = TimestampCorrector(MS, Fraction(10), is_live=is_live)
    arrivals = [i // 60 * 6.0 if is_live else i / 1000 for i in range(2000)]
    corrected = [corrector.correct(i * 100, MS, at) for i, at in enumerate(arrivals)]
    assert corrected == [i * 100 for i in range(2000)]
    assert not corrector.is_clock_rejected


class PreparedDecoder(FrameDecoder):
    """A decoder of black frames with the given timestamps in milliseconds, and a given number of undecodable ones."""

    def __init__(self, stamps: list[int], undecodable: int = 0) -> None:
        super().__init__(self._frames_at(stamps), "made", FrameConverter(lambda _: None, "made"), lambda _: None)
        self.undecodable_count = undecodable

    @staticmethod
    def _frames_at(stamps: list[int]) -> Generator[av.VideoFrame]:
        for stamp in stamps:
            frame = av.VideoFrame.from_ndarray(np.zeros((4, 4, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = stamp, MS
            yield frame


class PreparedSource(DecodedSource[PreparedDecoder]):
    def __init__(self, decoder: PreparedDecoder, is_live: bool = False) -> None:
        super().__init__()
        self._start(decoder, is_live=is_live)

    def open(self) -> StreamInfo:
        raise NotImplementedError


def test_a_jump_ahead_is_announced_once() -> None:
    source = PreparedSource(PreparedDecoder([0, 90_000, 180_000]), is_live=True)
    frames = [frame for frame in iter(source.read, None) if frame]
    assert frames[-1].time < 1
    assert ["jumps ahead" in notice for notice in source.notices] == [True]


@pytest.mark.parametrize("count", [1, 3, 9])
def test_undecodable_frames_are_counted_once_wherever_reading_stops(count: int) -> None:
    source = PreparedSource(PreparedDecoder([0, 40, 80], undecodable=2))
    for _ in range(count):
        source.read()
    source.close()
    source.close()
    assert source.undelivered == {"undecodable": 2}


@pytest.mark.parametrize(
    "error", [InvalidDataError(1, "rtsp://u:hunter2@host"), ValueError("bad format"), OSError(28, "No space left")]
)
def test_a_picture_that_cannot_be_converted_ends_the_stream(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    source = PreparedSource(PreparedDecoder([0, 40, 80]))
    source.read()
    monkeypatch.setattr(FrameConverter, "convert", lambda *_: (_ for _ in ()).throw(error))
    with raises_code(SourceLostError, "undecodable", naming=r"made.*\b1\b") as caught:
        source.read()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert source.read() is None


ONE = 65536
IMAGE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[ONE, 0], [0, ONE]], IMAGE),
        ([[0, ONE], [-ONE, 0]], np.rot90(IMAGE, -1)),
        ([[-ONE, 0], [0, -ONE]], np.rot90(IMAGE, 2)),
        ([[0, -ONE], [ONE, 0]], np.rot90(IMAGE)),
        ([[-ONE, 0], [0, ONE]], IMAGE[:, ::-1]),
        ([[ONE, 0], [0, -ONE]], IMAGE[::-1]),
        ([[0, ONE], [ONE, 0]], IMAGE.transpose(1, 0, 2)),
        ([[0, -ONE], [-ONE, 0]], np.rot90(IMAGE, 2).transpose(1, 0, 2)),
        ([[ONE, 300], [-300, ONE]], IMAGE),
    ],
)
def test_every_display_matrix(matrix: list[list[int]], expected: np.ndarray) -> None:
    """The matrix is QuickTime's x' = ax + cy, y' = bx + dy with y downwards; [[0, 1], [-1, 0]] turns clockwise."""
    assert np.array_equal(apply_display_matrix(IMAGE, np.array(matrix, np.int32)), expected)


@pytest.mark.parametrize(
    ("pixel_format", "low", "high", "is_announced"),
    [
        ("gray16le", 0, 4095, True),
        ("gray16be", 7600, 8600, True),
        ("rgb48le", 0, 4095, True),
        ("gray16le", 0, 65535, False),
        ("gray12le", 1900, 2150, True),
        ("gray12le", 0, 4095, False),
        ("gray10le", 0, 1023, False),
    ],
)
def test_samples_of_more_than_eight_bits_fill_the_picture(
    pixel_format: str, low: int, high: int, is_announced: bool
) -> None:
    """FFV1 and raw video hold a camera's 12 bits, or a thermal camera's counts, in 16."""
    eight = np.linspace(0, 255, 24 * 32).round().reshape(24, 32)
    samples = (low + eight / 255 * (high - low)).round().astype(np.uint16)
    is_color = pixel_format.startswith("rgb")
    samples = np.repeat(samples[..., None], 3, axis=2) if is_color else samples
    notices: list[str] = []
    image, _ = FrameConverter(notices.append, "it").convert(av.VideoFrame.from_ndarray(samples, format=pixel_format))
    assert image.shape == (24, 32, 3)
    assert np.abs(np.asarray(image, int) - eight[..., None]).max() <= 1
    assert [f"{low} to {high}" in notice for notice in notices] == [True] * is_announced


@pytest.mark.parametrize(("pixel_format", "channels"), [("ya16le", 2), ("rgba64le", 4)])
def test_samples_of_sixteen_bits_with_alpha_fill_the_picture(pixel_format: str, channels: int) -> None:
    eight = np.linspace(0, 255, 24 * 32).round().reshape(24, 32)
    samples = np.repeat((eight / 255 * 4095).round().astype(np.uint16)[..., None], channels, axis=2)
    samples[..., -1] = np.where(np.arange(32) < 8, 0, 65535)
    frame = av.VideoFrame(32, 24, pixel_format)
    padding = (0, frame.planes[0].line_size // 2 - 32 * channels)
    frame.planes[0].update(np.pad(samples.reshape(24, -1), ((0, 0), padding)).tobytes())
    image, valid = FrameConverter(lambda text: None, "it").convert(frame)
    np.testing.assert_array_equal(valid, samples[..., -1] > 0)
    assert np.abs(np.asarray(image, int)[:, 8:] - eight[:, 8:, None]).max() <= 1


def test_pq_has_the_values_of_the_standard() -> None:
    """SMPTE ST 2084: 0.5081 is 100 cd/m2, 0.5806 is 203, 0.7518 is 1000, 1 is 10000."""
    assert hdr.pq_to_nits(np.array([0, 0.5081, 0.5806, 0.7518, 1])) == pytest.approx(
        [0, 100, 203, 1000, 10000], rel=5e-3
    )
    code = np.linspace(0, 1, 50)
    assert hdr.nits_to_pq(hdr.pq_to_nits(code)) == pytest.approx(code, abs=1e-6)


def test_hlg_white_is_the_peak_of_the_display() -> None:
    assert hdr.hlg_to_nits(np.ones(3)) == pytest.approx(np.full(3, 1000), rel=1e-3)
    # ITU-R BT.2408: diffuse white is at 75 % of HLG and at 203 cd/m2.
    assert hdr.hlg_to_nits(np.full(3, 0.75)) == pytest.approx(np.full(3, 203), rel=0.02)


@pytest.mark.parametrize("curve", ["PQ", "HLG"])
def test_grays_stay_gray_and_brighter_stays_brighter(curve: str) -> None:
    mapped = hdr.tone_map(np.repeat(np.linspace(0, 1, 200)[:, None], 3, 1), curve)
    assert np.ptp(mapped, axis=1).max() < 2e-3
    assert (np.diff(mapped[:, 1]) >= -1e-9).all()
    assert mapped[0].max() == 0
    assert mapped[-1] == pytest.approx(np.ones(3), abs=2e-3)


def test_shadows_and_midtones_keep_their_brightness() -> None:
    """Below the knee a PQ gray of n cd/m2 becomes n/203 of SDR white: 36.5 is 18 % gray, sRGB code 0.461."""
    code = hdr.nits_to_pq(np.full(3, 0.18 * 203))
    assert hdr.tone_map(code, "PQ") == pytest.approx(np.full(3, 0.461), abs=2e-3)


def test_the_lookup_table_agrees_with_the_formula() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 65536, (32, 32, 3)).astype(np.uint16)
    mapper = hdr.ToneMapper("PQ", 32, 32)
    frame = av.VideoFrame.from_ndarray(codes, "rgb48le").reformat(format=hdr.FORMAT)
    got = mapper.map(frame).to_ndarray() / 255
    assert np.abs(got - hdr.tone_map(codes / 65535, "PQ")).mean() < 0.01
