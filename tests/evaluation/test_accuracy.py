from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.pairs import write_pairs
from PIL import Image as Pillow

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError, InferenceError, SinkOpenError, SourceOpenError
from streamdepth.core.types import DepthKind, Estimate, Frame, ModelInfo
from streamdepth.evaluation.accuracy import report
from streamdepth.evaluation.accuracy.contact_sheet import CELL_PX, ContactSheet, evenly_spaced
from streamdepth.evaluation.accuracy.crops import CROPS, EIGEN_CROP, GARG_CROP
from streamdepth.evaluation.accuracy.evaluate import ValidRegion, evaluate
from streamdepth.evaluation.accuracy.protocol import EvaluationProtocol, evaluate_dataset
from streamdepth.evaluation.datasets import DepthDataset, ImageDepthPair
from streamdepth.testing import ConstantEstimator, SyntheticSource

SOURCE = SyntheticSource(count=9, width=96, height=72)


class Oracle(ConstantEstimator):
    """Knows the depth of each pair, up to what is done to it."""

    def __init__(self, pairs: Sequence[ImageDepthPair], kind: DepthKind, change) -> None:
        super().__init__(kind)
        self._known = {pair.image.tobytes(): pair.depth for pair in pairs}
        self._change = change

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        self.batches.append([frame.stream for frame in frames])
        return [Estimate(self._change(self._known[frame.image.tobytes()]).astype(np.float32)) for frame in frames]


def pair(index: int, depth: DepthMap | None = None) -> ImageDepthPair:
    return ImageDepthPair(f"{index:04d}", SOURCE.image_at(index), SOURCE.depth_at(index) if depth is None else depth)


def outdoors() -> DepthMap:
    """A street at 5 m, houses at 40 m, sky."""
    depth = np.full((60, 60), 5, np.float32)
    depth[:40], depth[:20] = 40, np.inf
    return depth


def test_relative_depth_is_fitted() -> None:
    pairs = [pair(i) for i in range(3)]
    found = evaluate(pairs, Oracle(pairs, DepthKind.RELATIVE, lambda d: 7 / d - 3))
    assert found.unaligned is None
    assert found.aligned.abs_rel == pytest.approx(0, abs=1e-5)
    assert (found.aligned.delta1, found.aligned.boundary_f1, found.scored_pictures) == (1, 1, 3)


def test_metric_depth_is_judged_as_it_is_and_fitted() -> None:
    pairs = [pair(i) for i in range(3)]
    found = evaluate(pairs, Oracle(pairs, DepthKind.METRIC, lambda d: d * 1.5))
    assert found.unaligned is not None
    assert found.unaligned.abs_rel == pytest.approx(0.5)
    assert (found.unaligned.delta1, found.unaligned.delta2, found.unaligned.boundary_f1) == (0, 1, 1)
    assert found.aligned.abs_rel == pytest.approx(0, abs=1e-5)


def test_the_mean_is_over_pictures() -> None:
    pairs = [pair(0), ImageDepthPair("small", np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 2, np.float32))]
    found = evaluate(pairs, Oracle(pairs, DepthKind.METRIC, lambda d: d if len(d) > 8 else d * 2))
    assert found.unaligned is not None
    assert found.unaligned.abs_rel == pytest.approx(0.5)
    assert found.unaligned.boundary_f1 == 1  # the flat picture has no boundaries and does not count


def test_the_answer_is_brought_to_the_size_of_the_truth() -> None:
    evaluated = []
    evaluate([pair(0)], ConstantEstimator(size=(24, 32)), on_picture=evaluated.append)
    assert evaluated[0].aligned_m.shape == evaluated[0].truth_m.shape == (72, 96)


def test_the_first_picture_warms_up_and_is_not_timed() -> None:
    estimator = ConstantEstimator()
    found = evaluate([pair(i) for i in range(3)], estimator)
    assert len(estimator.batches) == 4
    assert len(found.seconds) == 3
    assert 0 < found.percentile_seconds(50) <= found.percentile_seconds(95)
    assert (found.picture_px, found.output_px) == ((96, 72), (32, 24))


def test_what_is_beyond_the_cap_does_not_count_but_has_contours() -> None:
    pairs = [pair(0, outdoors())]
    wrong_in_the_sky = Oracle(pairs, DepthKind.METRIC, lambda d: np.where(np.isinf(d), 500, d))
    found = evaluate(pairs, wrong_in_the_sky, ValidRegion(farthest_m=80))
    assert found.unaligned is not None
    assert (found.unaligned.abs_rel, found.unaligned.boundary_f1) == (0, 1)
    assert (found.known_pixels, found.valid_pixels) == (3600, 2400)
    near = evaluate(pairs, Oracle(pairs, DepthKind.METRIC, lambda d: np.minimum(d, 60)), ValidRegion(farthest_m=30))
    assert near.unaligned is not None
    assert (near.unaligned.abs_rel, near.unaligned.boundary_f1) == (0, 1)
    assert near.valid_pixels == 1200
    no_sky = evaluate(pairs, Oracle(pairs, DepthKind.METRIC, lambda d: np.minimum(d, 40)), ValidRegion(farthest_m=80))
    assert no_sky.unaligned is not None
    assert 0.6 < no_sky.unaligned.boundary_f1 < 0.7


def test_sparse_truth_has_no_contours() -> None:
    truth = np.full((72, 96), np.nan, np.float32)
    truth[::5, ::3] = SOURCE.depth_at(0)[::5, ::3]
    found = evaluate([pair(0, truth)], ConstantEstimator())
    assert math.isnan(found.aligned.boundary_f1)
    assert found.valid_pixels == found.known_pixels == np.isfinite(truth).sum()


def test_pictures_without_truth_are_skipped_and_counted() -> None:
    nothing = np.full((72, 96), np.nan, np.float32)
    found = evaluate([pair(0, nothing), pair(1)], ConstantEstimator())
    assert (found.scored_pictures, found.skipped_pictures) == (1, 1)
    with raises_code(SourceOpenError, "no-truth"):
        evaluate([pair(0), pair(1)], ConstantEstimator(), ValidRegion(nearest_m=5))


def test_a_model_that_says_nothing_is_an_error_and_gaps_are_counted() -> None:
    pairs = [pair(0)]
    with raises_code(InferenceError, "no-depth"):
        evaluate(pairs, Oracle(pairs, DepthKind.METRIC, lambda d: d * np.nan))
    half = evaluate(pairs, Oracle(pairs, DepthKind.METRIC, lambda d: np.where(np.arange(96) < 48, d, np.nan)))
    assert half.predicted_pixels == half.valid_pixels / 2
    assert half.unaligned is not None
    assert half.unaligned.abs_rel == 0


def test_pictures_are_taken_one_at_a_time() -> None:
    alive: list[weakref.ref[np.ndarray]] = []

    def pairs() -> Iterator[ImageDepthPair]:
        for i in range(9):
            assert sum(ref() is not None for ref in alive) <= 2
            made = pair(i)
            alive.append(weakref.ref(made.image))
            yield made

    assert evaluate(pairs(), ConstantEstimator()).scored_pictures == 9


def test_the_eigen_crop_is_the_fields() -> None:
    rows, columns = EIGEN_CROP.region(624, 464)
    border = EIGEN_CROP.border_px
    assert (rows.start + border, rows.stop + border) == (45, 471)
    assert (columns.start + border, columns.stop + border) == (41, 601)
    with raises_code(ConfigError, "wrong-size"):
        EIGEN_CROP.region(1226, 359)


def test_the_garg_crop_is_the_fields() -> None:
    assert GARG_CROP.region(1242, 375) == (slice(153, 371), slice(44, 1197))
    assert CROPS["none"].region(7, 5) == (slice(0, 5), slice(0, 7))


def test_only_the_crop_counts() -> None:
    truth = np.full((375, 1242), 20, np.float32)
    inside = np.zeros(truth.shape, bool)
    inside[GARG_CROP.region(1242, 375)] = True
    pairs = [ImageDepthPair("0", np.zeros((375, 1242, 3), np.uint8), truth)]
    oracle = Oracle(pairs, DepthKind.METRIC, lambda d: np.where(inside, d, 1))
    found = evaluate(pairs, oracle, ValidRegion(GARG_CROP, farthest_m=GARG_CROP.farthest_m))
    assert found.unaligned is not None
    assert found.unaligned.abs_rel == 0
    assert found.valid_pixels == inside.sum()


def test_a_protocol_follows_flags_then_the_index_then_custom(tmp_path: Path) -> None:
    plain = DepthDataset(write_pairs(tmp_path, "plain"))
    street = DepthDataset(write_pairs(tmp_path, "street", crop="garg", max_depth=50))
    assert EvaluationProtocol().region(plain).farthest_m == 10
    assert EvaluationProtocol("garg").region(plain).farthest_m == 80
    assert (EvaluationProtocol().region(street).crop, EvaluationProtocol().region(street).farthest_m) == (GARG_CROP, 50)
    assert EvaluationProtocol("none", farthest_m=30).region(street).crop.name == "none"
    assert EvaluationProtocol("none", farthest_m=30).region(street).farthest_m == 30
    with raises_code(ConfigError, "unknown-crop"):
        EvaluationProtocol("egien").region(plain)
    with raises_code(ConfigError, "empty-range"):
        EvaluationProtocol(nearest_m=5, farthest_m=2).region(plain)


def test_a_set_becomes_facts_and_a_row(tmp_path: Path) -> None:
    data = DepthDataset(write_pairs(tmp_path, "mine", count=5))
    result = evaluate_dataset(data, ConstantEstimator(DepthKind.METRIC), EvaluationProtocol(farthest_m=3.5, every=2))
    info = ModelInfo("constant", DepthKind.METRIC, parameters=1_500_000)
    facts = report.as_json(info, 224, [result])
    (row,) = facts["sets"]
    assert (row["set"], row["pictures"], row["of"], row["every"], row["limit"]) == ("mine", 3, 5, 2, None)
    assert set(row["scores"]) == {"as_is", "fitted", "ramp"}
    assert set(row["scores"]["fitted"]) >= {"abs_rel", "sq_rel", "rmse_m", "log10", "silog", "delta1", "boundary_f1"}
    assert (facts["model"]["size"], facts["model"]["parameters"]) == (224, 1_500_000)
    assert facts["versions"]["streamdepth"]
    assert report.table([result]).row_count == 3
    model, footnote = report.footnotes(info, [result])
    assert "metric, 1.5 million parameters" in model
    assert "of the known depth lies outside" in footnote


def test_evenly_spaced() -> None:
    names = [str(i) for i in range(10)]
    assert evenly_spaced(names, 4) == {"0", "3", "6", "9"}
    assert evenly_spaced(names, 99) == set(names)
    assert evenly_spaced(names, 1) == {"0"}


def test_a_contact_sheet_shows_truth_prediction_and_error(tmp_path: Path) -> None:
    data = DepthDataset(write_pairs(tmp_path, "mine", count=9))
    pairs = list(data.pairs())
    sheet = ContactSheet(tmp_path / "sheet.png", per_set=3)
    evaluate_dataset(
        data, Oracle(pairs, DepthKind.RELATIVE, lambda d: np.nan_to_num(2 / d)), EvaluationProtocol(), sheet=sheet
    )
    sheet.write()
    drawn = np.asarray(Pillow.open(tmp_path / "sheet.png"))
    rows, width = (drawn.shape[0] - 20) // 3, CELL_PX + 4
    assert drawn.shape == (20 + 3 * rows, 4 * width, 3)
    first = drawn[20 + 20 : 20 + rows - 4]
    picture, truth, prediction, error = (first[:, i * width : i * width + CELL_PX] for i in range(4))
    np.testing.assert_allclose(
        picture, cv2.resize(pairs[0].image, picture.shape[1::-1], interpolation=cv2.INTER_AREA), atol=1
    )
    np.testing.assert_allclose(truth[10:], prediction[10:], atol=3)
    assert truth[:2].max() == 0  # the unknown row
    assert truth[10:].max() > 200
    assert error.max() < 3


def test_points_of_sparse_truth_can_be_seen(tmp_path: Path) -> None:
    truth = np.full((375, 1242), np.nan, np.float32)
    truth[::40, ::40] = np.linspace(2, 9, 32)
    sheet = ContactSheet(tmp_path / "sheet.jpg")
    pairs = [ImageDepthPair("0", np.zeros((375, 1242, 3), np.uint8), truth)]
    evaluate(pairs, ConstantEstimator(), on_picture=lambda evaluated: sheet.add(evaluated, "x"))
    sheet.write()
    cell = np.asarray(Pillow.open(tmp_path / "sheet.jpg"))[40:, CELL_PX + 4 : 2 * CELL_PX]
    assert (cell.max(2) > 30).mean() > 2 * 320 / (256 * 77)


def test_a_contact_sheet_is_a_picture_and_replaces_nothing(tmp_path: Path) -> None:
    with raises_code(SinkOpenError, "unknown-format"):
        ContactSheet(tmp_path / "sheet.txt")
    (tmp_path / "sheet.png").touch()
    with pytest.raises(SinkOpenError, match="exists"):
        ContactSheet(tmp_path / "sheet.png")
