"""The built-in model: small, shipped with the package, relative depth."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Unpack

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn.utils.fusion import fuse_conv_bn_eval

from streamdepth.errors import ConfigError, ModelLoadError
from streamdepth.estimators.engines import EngineOptions
from streamdepth.estimators.engines.choose import make_engine
from streamdepth.estimators.nano2_network import Nano2Network
from streamdepth.estimators.nano_network import MULTIPLE, NanoNetwork
from streamdepth.estimators.network import Card, Network
from streamdepth.estimators.network_estimator import NetworkEstimator
from streamdepth.estimators.preprocess import InputSpec
from streamdepth.types import DepthKind

DEFAULT_SIZE = 224
"""px of the input's short side."""
AnyNano = NanoNetwork | Nano2Network
"""The first generation and the second; a file of weights is of one of them."""
LONGEST = 1536
"""px: the input's long side is never longer, however wide the picture."""


class NanoEstimator(NetworkEstimator):
    """`nano` on one of the engines.

    size: px of the short side of the network's input, rounded to multiples of 32; the aspect is kept. weights: a
    safetensors file of `NanoNetwork`, the shipped one by default. options: as `make_engine` takes them. Raises
    ModelLoadError when it cannot be read.
    """

    def __init__(
        self, *, size: int | None = None, weights: Path | None = None, **options: Unpack[EngineOptions]
    ) -> None:
        network = nano(size=size, weights=weights)
        super().__init__(network.card, make_engine(network.module, cache_name=network.cache_name, **options))


def nano(*, size: int | None = None, weights: Path | None = None) -> Network:
    """`nano`, loaded, its batch norms folded away. Raises ModelLoadError and ConfigError."""
    spec = _spec(size or DEFAULT_SIZE)
    module = load_network(weights)
    parameters = sum(p.numel() for p in module.parameters())
    card = Card(str(weights or "nano"), DepthKind.RELATIVE, "Apache-2.0", parameters, spec, shrinks_first=True)
    return Network(fuse(module), card, "nano")


def _spec(short: int) -> InputSpec:
    if not MULTIPLE <= short <= LONGEST:
        raise ConfigError(f"nano takes sizes from {MULTIPLE} to {LONGEST} px, not {short}")
    return InputSpec((short, short), multiple=MULTIPLE, mean=(0.5,) * 3, std=(0.5,) * 3, longest=LONGEST)


def load_network(path: Path | None = None) -> AnyNano:
    """The network of the weights' generation in evaluation mode, float32. Raises ModelLoadError."""
    with resources.as_file(resources.files(__package__) / "weights" / "nano.safetensors") as shipped:
        source = path or shipped
        try:
            weights = {k: v.float() for k, v in load_file(source).items()}
            with torch.device("meta"):  # no time is lost on random weights
                network: AnyNano = NanoNetwork() if "head.weight" in weights else Nano2Network()
            missing, unknown = network.load_state_dict(weights, strict=False, assign=True)
        except (OSError, SafetensorError) as error:
            raise ModelLoadError(f"cannot read nano's weights from '{source}': {error}") from error
        except RuntimeError as error:  # shapes differ
            raise ModelLoadError(_not_nano(source)) from error
    if unknown or any(not name.endswith("num_batches_tracked") for name in missing):
        raise ModelLoadError(_not_nano(source))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.num_batches_tracked = torch.zeros((), dtype=torch.long)
    return network.eval()


def _not_nano(path: Path) -> str:
    return (
        f"'{path}' does not hold nano's weights; give a file that streamdepth train wrote, or, for another model, its "
        "folder with config.json and model.safetensors"
    )


def fuse(network: AnyNano) -> AnyNano:
    """Folds every batch norm into the convolution before it."""
    for module in network.modules():
        if isinstance(module, torch.nn.Sequential) and len(module) > 1 and isinstance(module[1], torch.nn.BatchNorm2d):
            module[0] = fuse_conv_bn_eval(module[0], module[1])  # type: ignore[type-var]
            module[1] = torch.nn.Identity()
    return network
