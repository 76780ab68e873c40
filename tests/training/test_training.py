"""Training: batches, losses, the loop, and what happens when it is stopped or goes wrong."""

from __future__ import annotations

import copy
import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
from streamdepth.training.blend import blend
from streamdepth.training.fast_convolutions import use_fast_convolutions
from streamdepth.training.losses import scale_and_shift_loss
from streamdepth.training.replicas import gather_gradients, parts_of, replicate, split
from streamdepth.training.sampler import BatchSampler, make_sampler
from streamdepth.training.settings import StepSettings, TrainSettings, make_settings, read_settings
from streamdepth.training.trainer import Trainer, learning_rate, train


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
    train(root, out, settings(test_sets=["mine"]), "cpu")
    result = train(root, out, settings(steps=4), "cpu")
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert 0 <= rows[0]["delta1 mine"] <= 1
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

    def stop_after_two(self: Trainer, *args: Any) -> float:
        if self.step == 2:
            raise KeyboardInterrupt
        return steps(self, *args)

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
    write_pairs(root / "more", "other")
    train(root, root / "run", settings(steps=1), "cpu")
    other = {"name": str(root / "more" / "other")}
    for changes in ({"sets": [other]}, {"start": "nano"}):
        with raises_code(ConfigError, "bad-checkpoint") as caught:
            train(root, root / "run", settings(**changes), "cpu")
        assert "imagenet, mine" in str(caught.value)
    train(root, root / "run", settings(sets=[{"name": "mine"}, other]), "cpu")  # more pictures may come


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
    batch = make_sampler(root, settings(), torch.device("cpu"))[0].draw(0, (64, 64), 4, 1)
    losses = []
    for _ in range(15):
        loss = scale_and_shift_loss(network(batch.images), batch.truth, batch.detail_weights, batch.picture_weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.75 * losses[0]


def test_the_end_of_each_set_is_held_back_and_the_error_told(root: Path) -> None:
    write_pairs(root / "more", "other", count=10)
    sets = [{"name": "mine"}, {"name": str(root / "more" / "other")}]
    plan = settings(sets=sets, validation_share=0.2, start="nano", steps=1)
    sampler, validation = make_sampler(root, plan, torch.device("cpu"))
    assert [len(s) for s in sampler.sets] == [3, 8]
    assert len(validation) == 1 + 2
    result = train(root, root / "run", plan, "cpu")
    assert result.before is not None
    assert result.after is not None
    assert 0 < result.before < 2
    assert abs(result.after - result.before) < 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(16, 16), (15, 22)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_fast_depthwise_gradients_are_the_true_ones(
    kernel: int, stride: int, size: tuple[int, int], dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=False)
    fast = nn.Sequential(nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=False))
    fast[0].load_state_dict(plain.state_dict())
    use_fast_convolutions(fast)
    inputs = [torch.randn(2, 8, *size).to(dtype).float().requires_grad_()]
    inputs += [inputs[0].detach().to(dtype).requires_grad_()]
    output = plain(inputs[0])
    weights = torch.randn_like(output).to(dtype).float()
    (output * weights).sum().backward()
    (fast(inputs[1]).float() * weights).sum().backward()
    tolerance = 1e-5 if dtype == torch.float32 else 0.01
    pairs = ((inputs[0].grad, inputs[1].grad.float()), (plain.weight.grad, fast[0].weight.grad))
    for true, found in pairs:
        assert (true - found).abs().max() < tolerance * true.abs().max()


def test_folded_batch_norms_give_the_true_results_and_gradients() -> None:
    torch.manual_seed(0)
    plain = load_network().float().requires_grad_(True).eval()
    fast = use_fast_convolutions(copy.deepcopy(plain))
    outputs = [network(torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)) for network in (plain, fast)]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-3, atol=1e-4)
    for output in outputs:
        output.square().sum().backward()
    gradients = [torch.cat([p.grad.flatten() for p in network.parameters()]) for network in (plain, fast)]
    assert (gradients[0] - gradients[1]).norm() < 1e-3 * gradients[0].norm()
    assert list(plain.state_dict()) == list(fast.state_dict())


def test_folded_batch_norms_train_in_bfloat16() -> None:
    gradients = []
    for change in (lambda network: network, use_fast_convolutions):
        network = change(load_network().float().requires_grad_(True).eval())
        with torch.autocast("cpu", torch.bfloat16):
            output = network(torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64))
        output.float().square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.98


def test_batch_norms_that_learn_are_not_folded() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)).train()
    use_fast_convolutions(nn.Sequential(layers))(torch.randn(2, 3, 8, 8))
    assert layers[1].num_batches_tracked == 1


def test_replicas_share_weights_and_add_their_gradients() -> None:
    network = nn.Linear(3, 2)
    replicas = replicate(network, 3)
    inputs = torch.randn(3, 5, 3)
    for replica, x in zip(replicas, inputs, strict=True):
        replica(x).square().sum().backward()
    gather_gradients(replicas)
    expected = torch.autograd.grad(network(inputs.flatten(0, 1)).square().sum(), network.weight)[0]
    torch.testing.assert_close(network.weight.grad, expected)
    with torch.no_grad():
        network.weight.zero_()
    assert not replicas[2].weight.any()


@pytest.mark.parametrize("batch", [1, 2, 7, 8, 17, 24])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_parts_of_a_batch_are_the_whole(batch: int, parts: int) -> None:
    step = StepSettings(batch=batch, pairs=batch // 3)
    views, pairs = zip(*(split(step, part, parts) for part in range(parts)), strict=True)
    assert sum(views) == batch
    assert batch // 3 - parts < sum(pairs) <= batch // 3
    assert all(2 * p <= v for v, p in zip(views, pairs, strict=True))


def test_large_batches_are_trained_in_parts_of_eight_views_at_least() -> None:
    torch.set_num_threads(4)
    cpu = torch.device("cpu")
    assert parts_of(settings(batch=16), cpu) == 2
    assert parts_of(settings(batch=64), cpu) == 4
    assert parts_of(settings(batch=4, phases=[{"batch": 32}]), cpu) == 4
    assert parts_of(settings(batch=8, phases=[{"batch": 32, "until": 0.5}]), cpu) == 1
    assert parts_of(settings(batch=64), torch.device("cuda")) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("no_imagenet")
def test_a_batch_in_parts_trains_and_leaves_the_threads_as_they_were(root: Path) -> None:
    torch.set_num_threads(2)
    losses = []
    for name in ("a", "b"):
        train(root, root / name, settings(batch=16, pairs=3), "cpu")
        losses.append(json.loads((root / name / "log.jsonl").read_text())["loss"])
    assert losses[0] == losses[1]
    assert torch.get_num_threads() == 2


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


@pytest.mark.parametrize("recipe", ["nano", "nano2", "nano2_cpu", "nano2_gpu", "nano2_maps"])
def test_the_recipes_are_valid_and_keep_evaluation_sets_out(recipe: str) -> None:
    path = ROOT / "configs" / "train" / f"{recipe}.yaml"
    plan = make_settings(read_settings(path))
    names = {Path(data.name).name for data in plan.sets}
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


def test_a_recipe_may_change_another(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("steps: 100\nbatch: 8\nsets: [{name: mine}]\n")
    (tmp_path / "other.yaml").write_text("base: base.yaml\nbatch: 64\n")
    plan = make_settings(read_settings(tmp_path / "other.yaml"))
    assert (plan.steps, plan.batch, plan.sets[0].name) == (100, 64, "mine")


def test_phases_follow_each_other() -> None:
    phases = [{"until": 0.5, "sizes": [(32, 32)], "batch": 8}, {"sizes": [(64, 64)], "batch": 4, "pairs": 1}]
    plan = settings(steps=10, phases=phases)
    assert [plan.phase(step).batch for step in range(10)] == [8] * 5 + [4] * 5
    assert settings(steps=10).phase(9).batch == 3


def test_a_missing_set_is_named(root: Path) -> None:
    with pytest.raises(SourceOpenError, match="nothing"):
        make_sampler(root, settings(sets=[{"name": "nothing"}]), torch.device("cpu"))


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
