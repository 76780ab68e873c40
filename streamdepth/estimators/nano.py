"""The built-in model: small, shipped with the package, relative depth."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn.utils.fusion import fuse_conv_bn_eval

from streamdepth.errors import ConfigError, ModelLoadError
from streamdepth.estimators.engines import Engine
from streamdepth.estimators.engines.choose import make_engine
from streamdepth.estimators.nano_network import MULTIPLE, NanoNetwork
from streamdepth.stages import Estimator
from streamdepth.types import DepthKind, Estimate, Frame, Image, ModelInfo

DEFAULT_SIZE = 224
"""px of the input's short side."""
LONGEST = 1536
"""px: the input's long side is never longer, however wide the picture."""


class NanoEstimator(Estimator):
    """`nano` on one of the engines.

    size: px of the short side of the network's input, rounded to multiples of 32; the aspect is kept. weights: a
    safetensors file of `NanoNetwork`, the shipped one by default. Raises ModelLoadError when it cannot be read.
    """

    def __init__(
        self,
        *,
        size: int | None = None,
        engine: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        weights: Path | None = None,
    ) -> None:
        self.size = size or DEFAULT_SIZE
        if not MULTIPLE <= self.size <= LONGEST:
            raise ConfigError(f"nano takes sizes from {MULTIPLE} to {LONGEST} px, not {self.size}")
        network = fuse(load_network(weights))
        self._name = str(weights or "nano")
        self._engine: Engine = make_engine(
            network, engine=engine, device=device, precision=precision, cache_name="nano"
        )

    @property
    def info(self) -> ModelInfo:
        engine = self._engine
        return ModelInfo(
            self._name,
            DepthKind.RELATIVE,
            licence="Apache-2.0",
            engine=engine.name,
            device=str(engine.device),
            precision=engine.precision,
        )

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        results: list[Estimate] = []
        for size, group in groupby(frames, lambda f: input_size(f.image.shape[1], f.image.shape[0], self.size)):
            pixels = torch.from_numpy(np.stack([shrink(f.image, size) for f in group])).to(self._engine.device)
            pixels = pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
            depth = self._engine.run(pixels)[0].cpu().numpy()
            results += [Estimate(np.ascontiguousarray(d)) for d in depth]
        return results

    def close(self) -> None:
        self._engine.close()


def input_size(width: int, height: int, short: int) -> tuple[int, int]:
    """(width, height) of the network's input: multiples of 32, the short side near `short`, the aspect near kept."""
    scale = min(short / min(width, height), LONGEST / max(width, height))
    return tuple(max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE) for side in (width, height))  # type: ignore[return-value]


def shrink(image: Image, size: tuple[int, int]) -> Image:
    """(H, W, 3) -> (h, w, 3); averages areas when it makes the picture smaller."""
    smaller = image.shape[1] > size[0] or image.shape[0] > size[1]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8)


def load_network(path: Path | None = None) -> NanoNetwork:
    """The network in evaluation mode, float32. Raises ModelLoadError."""
    with resources.as_file(resources.files(__package__) / "weights" / "nano.safetensors") as shipped:
        source = path or shipped
        with torch.device("meta"):  # no time is lost on random weights
            network = NanoNetwork()
        try:
            weights = {k: v.float() for k, v in load_file(source).items()}
            missing, unknown = network.load_state_dict(weights, strict=False, assign=True)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ModelLoadError(f"cannot read nano's weights from '{source}': {error}") from error
    if unknown or any(not name.endswith("num_batches_tracked") for name in missing):
        raise ModelLoadError(f"'{source}' does not hold nano's weights; train them with streamdepth.training.nano")
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.num_batches_tracked = torch.zeros((), dtype=torch.long)
    return network.eval()


def fuse(network: NanoNetwork) -> NanoNetwork:
    """Folds every batch norm into the convolution before it."""
    for module in network.modules():
        if isinstance(module, torch.nn.Sequential) and len(module) > 1 and isinstance(module[1], torch.nn.BatchNorm2d):
            module[0] = fuse_conv_bn_eval(module[0], module[1])  # type: ignore[type-var]
            module[1] = torch.nn.Identity()
    return network
