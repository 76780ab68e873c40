from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import pytest
from helpers.depth_frames import depth_frame, push_all, ramp
from helpers.moving_scene import scene
from PIL import Image as Pillow
from typer.testing import CliRunner

from streamdepth.cli.app import app
from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.evaluation.steadiness.baselines import DepthNoise, LookAheadMinMax, PerFramePercentiles, PixelAverage
from streamdepth.evaluation.steadiness.generated import SyntheticSequence, SyntheticSequenceSource, synthetic_sequences
from streamdepth.stabilizers import CutDetector

pytestmark = pytest.mark.slow

SEQUENCES = {sequence.name: sequence for sequence in synthetic_sequences()}


def run(stabilizer, depths: Iterable[DepthMap]):
    return push_all(stabilizer, [depth_frame(i / 30, d) for i, d in enumerate(depths)])


class TestBaselines:
    def test_percentiles_normalize_each_frame_by_itself(self) -> None:
        for scale, out in zip((1, 2, 3), run(PerFramePercentiles(), [ramp(s) for s in (1, 2, 3)]), strict=True):
            assert out.range == pytest.approx((0.02 * scale, 0.98 * scale), rel=0.01)
            assert (out.depth.min(), out.depth.max()) == (0, 1)

    def test_the_look_ahead_average_follows_its_formula(self) -> None:
        highs = np.random.default_rng(0).uniform(1, 2, 50)
        out = run(LookAheadMinMax(0.75, look_ahead=30), [ramp(h) for h in highs])
        assert len(out) == 50
        expected = None
        for i, one in enumerate(out):
            window = highs[i : i + 31].max()
            expected = window if expected is None else 0.75 * expected + 0.25 * window
            assert one.range == pytest.approx((0, expected), rel=1e-5)

    def test_the_pixel_average_comes_late_as_a_tenth_a_frame_does(self) -> None:
        low, high = ramp(), ramp()[:, ::-1]
        out = run(PixelAverage(0.9), [low] * 5 + [high] * 30)
        change = [np.abs(o.depth - out[4].depth).mean() for o in out[5:]]
        np.testing.assert_allclose(change, change[-1] / (1 - 0.9**30) * (1 - 0.9 ** np.arange(1, 31)), rtol=1e-3)

    def test_noise_is_the_same_for_the_same_seed(self) -> None:
        first, again, other = DepthNoise(1), DepthNoise(1), DepthNoise(2)
        depth = ramp()
        for _ in range(3):
            noisy = first(depth)
            np.testing.assert_array_equal(noisy, again(depth))
            assert not np.array_equal(noisy, other(depth))
            assert 0.005 < np.abs(noisy - depth).mean() < 0.2


@pytest.fixture(params=SEQUENCES)
def sequence(request: pytest.FixtureRequest) -> SyntheticSequence:
    return SEQUENCES[request.param]


@pytest.mark.timeout(400)  # much arithmetic, where a machine may be busy
class TestGenerated:
    def test_they_are_what_the_names_say(self) -> None:
        assert {"static", "snow", "moving box", "zoom", "cut", "flash", "fade", "dropped", "duplicated"} == set(
            SEQUENCES
        )
        assert len(set(np.diff(SEQUENCES["dropped"].ticks))) > 1
        assert SEQUENCES["cut"].cuts == {30}
        brightness = [image.mean() for image in SEQUENCES["fade"].images]
        assert min(brightness) == 0 < brightness[0]

    def test_the_same_at_every_reading(self, sequence: SyntheticSequence) -> None:
        for first, again in zip(sequence.estimated(), sequence.estimated(), strict=True):
            np.testing.assert_array_equal(first, again)

    def test_cuts_are_found_and_nothing_else(self, sequence: SyntheticSequence) -> None:
        source, detector = SyntheticSequenceSource(sequence), CutDetector()
        source.open()
        frames = zip(iter(source.read, None), sequence.estimated(), strict=True)
        outs = [out for f, d in frames for out in detector.push(DepthFrame(f, d, DepthKind.RELATIVE))]
        assert {out.frame.index for out in outs if out.cut} == sequence.cuts

    @pytest.mark.parametrize("name", ["moving box", "cut", "dropped"])
    def test_the_default_is_steady_and_not_late(self, name: str) -> None:
        rows = SEQUENCES[name].comparison().compare(["moving average 0.9", "--smooth off", "--smooth default"])
        average, off, default = (row.score.result for row in rows)
        assert default["flow_warped_error"] <= 0.25 * off["flow_warped_error"]
        assert default["tepe_m"] <= 0.4 * off["tepe_m"]
        assert default["abs_rel"] <= off["abs_rel"]
        assert default["edge_retention"] >= 0.95
        if name == "cut":
            assert default["cut_recovery_frames"] == 0 < average["cut_recovery_frames"]
        else:
            assert default["lag_frames"] <= 1
            assert default["ghosting"] <= average["ghosting"] / 3

    def test_lone_outliers_are_taken_out(self) -> None:
        rows = SEQUENCES["snow"].comparison().compare(["moving average 0.9", "--smooth off", "--smooth default"])
        average, off, default = (row.score.result["tepe_m"] for row in rows)
        assert default < 0.1 * off
        assert default < average


def test_nothing_to_compare_on_is_said() -> None:
    with pytest.raises(ConfigError, match="--generated"):
        CliRunner().invoke(app, ["eval", "steadiness"], catch_exceptions=False)


def test_the_table_has_every_method(tmp_path) -> None:
    for part in ("set/rgb", "set/depth"):
        (tmp_path / part).mkdir(parents=True)
    for i, (picture, inverse) in enumerate(scene(count=18)):
        Pillow.fromarray(picture).save(tmp_path / f"set/rgb/{i:03}.png")
        Pillow.fromarray((1000 / inverse).astype(np.uint16)).save(tmp_path / f"set/depth/{i:03}.png")
    (tmp_path / "set/index.json").write_text('{"depth_scale": 1000}')
    arguments = ["eval", "steadiness", str(tmp_path / "set"), "--device", "cpu", "--engine", "torch", "--size", "112"]
    done = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "out.json")])
    assert done.exit_code == 0, done.output
    rows = {row["method"]: row for row in json.loads((tmp_path / "out.json").read_text())["rows"]}
    assert {"percentiles per frame", "look-ahead min/max 0.75", "moving average 0.9"} < rows.keys()
    assert {f"--smooth {n}" for n in ("off", "light", "default", "strong", "offline")} < rows.keys()
    off, default = rows["--smooth off"], rows["--smooth default"]
    assert off["result"]["flow_warped_error"] == off["raw"]["flow_warped_error"]
    assert default["result"]["flow_warped_error"] < off["result"]["flow_warped_error"]
    assert default["frames"] == 18
    assert "--smooth default" in done.output
