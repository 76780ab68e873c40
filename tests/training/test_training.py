"""Training: batches, losses, the loop, and what happens when it is stopped or goes wrong."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from helpers.errors import raises_code
from helpers.pairs import write_pairs
from helpers.paths import ROOT
from safetensors.torch import save_file
from torch import nn

from streamdepth.core.errors import ConfigError, DiskFullError, SinkWriteError, SourceOpenError
from streamdepth.estimators.nano import load_network
from streamdepth.estimators.nano_network import NanoNetwork, load_imagenet_encoder
from streamdepth.training import trainer
from streamdepth.training.augment import compose_affine, crop_view, degrade, random_camera_motion, random_crop
from streamdepth.training.blend import blend
from streamdepth.training.data import BatchSampler, read_samples
from streamdepth.training.depthwise import use_fast_depthwise
from streamdepth.training.losses import agreement_loss, gradient_loss, normalize, scale_and_shift_loss
from streamdepth.training.settings import TrainSet, TrainSettings, make_settings, read_settings
from streamdepth.training.trainer import Trainer, learning_rate, to_input, train


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So small a work is no slower on one; several, which wait for each other, crawl where a machine is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pairs(tmp_path, "mine")
    return tmp_path


@pytest.fixture
def no_imagenet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "initial_network", lambda _: NanoNetwork())


def settings(**changes: Any) -> TrainSettings:
    small: dict[str, Any] = {"sets": [{"name": "mine"}], "batch": 3, "pairs": 1, "sizes": [(32, 64)], "steps": 2}
    return make_settings(small | changes)


@pytest.mark.slow
@pytest.mark.usefixtures("no_imagenet")
def test_a_run_trains_saves_resumes_and_can_be_used(root: Path) -> None:
    out = root / "run"
    train(root, out, settings(test_set="mine"), "cpu")
    result = train(root, out, settings(steps=4), "cpu")
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert 0 <= rows[0]["delta1"] <= 1
    assert all(np.isfinite(row["loss"]) for row in rows)
    assert torch.isfinite(load_network(result.weights)(torch.zeros(1, 3, 32, 32))).all()
    assert (out / "curves.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.usefixtures("no_imagenet")
def test_the_same_seed_gives_the_same_losses(root: Path) -> None:
    losses = []
    for name in ("a", "b"):
        train(root, root / name, settings(seed=7, steps=3), "cpu")
        losses.append(json.loads((root / name / "log.jsonl").read_text())["loss"])
    assert losses[0] == losses[1]


@pytest.mark.slow
@pytest.mark.usefixtures("no_imagenet")
def test_a_stopped_run_ends_as_one_that_was_not_stopped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = settings(steps=4, save_every=2)
    whole = train(root, root / "whole", plan, "cpu").weights.read_bytes()
    steps = Trainer.train_step

    def stop_after_two(self: Trainer, batch: Any) -> float:
        if self.step == 2:
            raise KeyboardInterrupt
        return steps(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", stop_after_two)
        with pytest.raises(KeyboardInterrupt):
            train(root, root / "parts", plan, "cpu")
    assert train(root, root / "parts", plan, "cpu").weights.read_bytes() == whole


def test_a_foreign_checkpoint_is_refused(root: Path) -> None:
    (root / "run").mkdir()
    (root / "run" / "checkpoint.pt").write_bytes(b"something else")
    with raises_code(ConfigError, "bad-checkpoint"):
        train(root, root / "run", settings(start="nano"), "cpu")


def test_what_cannot_be_written_is_said_before_the_first_step(root: Path) -> None:
    (root / "file").touch()
    with raises_code(SinkWriteError, "no-folder"):
        train(root, root / "file", settings(start="nano"), "cpu")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: trainer.write_log(path.parent, {"step": 1, "loss": 2.0}),
        lambda path: blend(path.parent.parent / "a.safetensors", path.parent.parent / "a.safetensors", 0.5, path),
        lambda path: Trainer(path.parent, settings(start="nano"), "cpu").save(),
    ],
)
def test_what_the_disk_refuses_is_an_error_of_the_output(tmp_path: Path, write) -> None:
    save_file({k: v for k, v in load_network().state_dict().items() if v.dim()}, tmp_path / "a.safetensors")
    (tmp_path / "file").touch()
    with pytest.raises(SinkWriteError, match="file' failed"):
        write(tmp_path / "file" / "out")


def test_a_full_disk_is_told_as_one_and_not_kept_full(tmp_path: Path, monkeypatch) -> None:
    def fill(path: Path, _: bytes) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(DiskFullError, match=r"checkpoint\.pt.*make room"):
        Trainer(tmp_path, settings(start="nano"), "cpu").save()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "lo')
    with raises_code(ConfigError, "bad-log"):
        trainer.write_log(tmp_path, {"step": 2, "loss": 1.0})


@pytest.mark.usefixtures("no_imagenet")
def test_a_training_on_other_pictures_does_not_go_on_from_there(root: Path) -> None:
    train(root, root / "run", settings(steps=1), "cpu")
    for changes in ({"sets": [{"name": "mine"}, {"name": "mine"}]}, {"start": "nano"}):
        with raises_code(ConfigError, "bad-checkpoint") as caught:
            train(root, root / "run", settings(**changes), "cpu")
        assert "imagenet, mine" in str(caught.value)


def test_a_folder_that_moves_with_its_pictures_goes_on(tmp_path: Path) -> None:
    for name in ("run", "moved"):
        sets = [{"name": str(tmp_path / name / "labels")}, {"name": "mine"}]
        going = Trainer(tmp_path / name, settings(sets=sets, start="nano"), "cpu")
        going.resume()
        assert going.step == (3 if name == "moved" else 0)
        going.step = 3
        going.save()
        if name == "run":
            (tmp_path / "run").rename(tmp_path / "moved")


@pytest.mark.slow
def test_training_learns(root: Path) -> None:
    torch.manual_seed(0)
    network = NanoNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    batch = BatchSampler(root, settings(batch=4, sizes=[(64, 64)])).draw(0)
    losses = []
    for _ in range(15):
        loss = scale_and_shift_loss(network(to_input(batch.images)), batch.truth, batch.detail_weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.75 * losses[0]


def test_the_end_of_each_set_is_held_back_and_the_error_told(root: Path) -> None:
    write_pairs(root / "more", "other", count=10)
    sets = [{"name": "mine"}, {"name": str(root / "more" / "other")}]
    plan = settings(sets=sets, validation_share=0.2, start="nano", steps=1)
    sampler = BatchSampler(root, plan)
    assert [len(s) for s in sampler.samples] == [3, 8]
    assert [len(s) for s in sampler.validation] == [1, 2]
    result = train(root, root / "run", plan, "cpu")
    assert result.before is not None
    assert result.after is not None
    assert 0 < result.before < 2
    assert abs(result.after - result.before) < 0.5


def test_the_loss_ignores_scale_shift_and_unknown_pixels() -> None:
    truth = torch.rand(2, 16, 16) + 0.1
    prediction = truth * 3 - 1
    truth[:, :4] = torch.nan
    prediction.requires_grad_()
    loss = scale_and_shift_loss(prediction, truth, torch.ones(2), anchor=0.0)
    assert loss.item() == pytest.approx(0, abs=1e-4)
    scale_and_shift_loss(prediction + torch.rand(2, 16, 16), truth, torch.tensor([1.0, 0.0])).backward()
    assert torch.isfinite(prediction.grad).all()


def test_a_picture_without_any_truth_does_not_poison_the_batch() -> None:
    prediction = torch.rand(2, 8, 8, requires_grad=True)
    truth = torch.rand(2, 8, 8)
    truth[1] = torch.nan
    scale_and_shift_loss(prediction, truth, torch.ones(2)).backward()
    assert torch.isfinite(prediction.grad).all()
    assert not prediction.grad[1].any()


def test_fine_gradients_count_as_far_as_the_truth_is_sharp() -> None:
    checker = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    difference, known = checker.float()[None], torch.ones(1, 16, 16, dtype=torch.bool)
    sparse, sensor, exact = (gradient_loss(difference, known, torch.tensor([d])).item() for d in (0.0, 0.3, 1.0))
    assert sparse == 0
    assert sensor == pytest.approx(0.3 * exact)


def test_normalized_maps_have_median_zero_and_deviation_one() -> None:
    values = torch.randn(3, 40, 40) * 7 + 5
    known = torch.rand(3, 40, 40) > 0.3
    result = normalize(values, known)
    for i in range(3):
        inside = result[i][known[i]]
        assert inside.median().item() == pytest.approx(0, abs=1e-5)
        assert inside.abs().mean().item() == pytest.approx(1, abs=1e-5)


def test_two_views_of_one_scene_agree() -> None:
    move = random_camera_motion((32, 64), np.random.default_rng(3))
    x, y = np.meshgrid(np.arange(64.0), np.arange(32.0))
    moved = move @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    first = torch.from_numpy(x + 2 * y)[None].float()
    second = torch.from_numpy((moved[0] + 2 * moved[1]).reshape(32, 64))[None].float()
    view_transforms = torch.from_numpy(move.astype(np.float32))[None]
    assert (first - second).abs().mean() > 1
    assert (
        agreement_loss(first, second, view_transforms).item() < 0.05
    )  # the border's half pixels cannot be interpolated


def test_the_second_view_shows_what_the_first_shows() -> None:
    rng = np.random.default_rng(5)
    image = np.asarray(cv2.GaussianBlur(rng.integers(0, 255, (120, 160, 3), np.uint8), (0, 0), 4))
    first, move = random_crop((120, 160), (64, 96), rng), random_camera_motion((64, 96), rng)
    depth = image[..., 0].astype(np.float32)
    a, b = (crop_view(image, depth, place, (64, 96))[0] for place in (first, compose_affine(first, move)))
    there = cv2.warpAffine(a, move, (96, 64), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    inside = (slice(8, -8), slice(8, -8))
    apart = np.abs(a[inside].astype(int) - b[inside]).mean()
    assert np.abs(there[inside].astype(int) - b[inside]).mean() < 0.35 * apart


def test_crops_keep_picture_and_depth_together(root: Path) -> None:
    sample = read_samples(root, TrainSet(name="mine"))[0]
    seen = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        image, inverse = crop_view(
            sample.image, sample.inverse, random_crop(sample.inverse.shape, (48, 64), rng), (48, 64)
        )
        assert image.shape == (48, 64, 3)
        near = np.nan_to_num(inverse) > 0.6
        if 50 < near.sum() < near.size - 50:
            seen += 1
            assert image[near].mean() > image[~near].mean() + 30
    assert seen > 3


def test_what_is_infinitely_far_has_no_inverse_depth_and_unknown_stays_unknown(root: Path) -> None:
    depth = np.full((72, 96), 2000, np.uint16)
    depth[:20], depth[20:40] = 65535, 0
    cv2.imwrite(str(root / "mine" / "depth" / "0000.png"), depth)
    (root / "index.json").write_text(json.dumps({"mine": {"depth_scale": 1000, "infinity": 65535}}))
    inverse = read_samples(root, TrainSet(name="mine"))[0].inverse
    values = set(inverse[np.isfinite(inverse)].tolist())
    assert values == {0.0, 0.5}
    assert np.isnan(inverse[30]).all()


def test_disturbed_pictures_keep_their_form() -> None:
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    for seed in range(60):
        out = degrade(image, np.random.default_rng(seed))
        assert out.shape == (24, 32, 3)
        assert out.dtype == np.uint8


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_fast_depthwise_gradients_are_the_true_ones(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=False)
    fast = nn.Sequential(nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=False))
    fast[0].load_state_dict(plain.state_dict())
    use_fast_depthwise(fast)
    x = torch.randn(2, 8, 16, 16)
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    for module, value in ((plain, inputs[0]), (fast, inputs[1])):
        module(value).square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(plain.weight.grad, fast[0].weight.grad, rtol=1e-4, atol=1e-3)


def test_foreign_encoder_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="not the weights of an EfficientNet-Lite0"):
        load_imagenet_encoder(NanoNetwork().encoder, {"x": torch.zeros(1)})


@pytest.mark.usefixtures("no_imagenet")
def test_a_batch_that_cannot_be_drawn_ends_the_training(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(BatchSampler, "draw", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        train(root, root / "run", settings(), "cpu")


def test_the_learning_rate_rises_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 1000, 1.0) for step in range(1001)]
    assert 0 < rates[0] < 0.05
    assert max(rates) == rates[99]
    assert rates[-1] == pytest.approx(0)


def test_the_recipe_of_the_shipped_weights_is_valid() -> None:
    path = ROOT / "configs" / "train" / "nano.yaml"
    plan = make_settings(read_settings(path))
    names = {data.name for data in plan.sets}
    assert "nyuv2_train" in names
    assert not names & {"nyuv2_dev", "replica_office", "kitchen_video"}


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"sets": []}, "sets"),
        ({"sizes": [(30, 64)]}, "multiples of 32"),
        ({"pairs": 2}, "a batch of 4"),
        ({"stepps": 3}, "stepps"),
        ({"sets": [{"name": "a", "depth": "good"}]}, "sets.0.depth"),
    ],
)
def test_wrong_settings_are_explained(changes: dict[str, Any], fact: str) -> None:
    with raises_code(ConfigError, "bad-settings") as caught:
        settings(**changes)
    assert fact in str(caught.value)


def test_a_file_without_settings_is_explained(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    with raises_code(ConfigError, "no-settings"):
        read_settings(tmp_path / "empty.yaml")
    with raises_code(ConfigError, "unreadable"):
        read_settings(tmp_path / "none.yaml")


def test_a_missing_set_is_named(root: Path) -> None:
    with pytest.raises(SourceOpenError, match="nothing"):
        BatchSampler(root, settings(sets=[{"name": "nothing"}]))


def test_frozen_stages_keep_their_weights(root: Path) -> None:
    plan = settings(start="nano", frozen_stages=2)
    result = train(root, root / "run", plan, "cpu")
    before, after = load_network().encoder, load_network(result.weights).encoder
    for stage in (0, 1):
        for old, new in zip(before.stages[stage].parameters(), after.stages[stage].parameters(), strict=True):
            assert torch.equal(old, new)
    assert any(
        not torch.equal(old, new)
        for old, new in zip(before.stages[5].parameters(), after.stages[5].parameters(), strict=True)
    )
