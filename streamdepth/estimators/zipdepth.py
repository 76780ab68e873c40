"""ZipDepth, a small model for relative depth: its published weights in a network of our own."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.core.types import DepthKind
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.network import ModelCard, Network
from streamdepth.estimators.preprocess import InputSpec
from streamdepth.estimators.published_file import PublishedFile, find_published_file, git_blob_of

if TYPE_CHECKING:
    from streamdepth.estimators.zipdepth_network import ZipDepthNetwork

PUBLISHED = PublishedFile(
    "https://raw.githubusercontent.com/fabiotosi92/ZipDepth/a302e5437bc58f15c4efd41d3e8222bf24f7d470/checkpoints/"
    "zipdepth_base.pth",
    "https://github.com/fabiotosi92/ZipDepth",
    "bc629a21c3e975fcbfc8cfc29b5179ca2cec8b06",
)
"""The weights of the base variant, MIT license."""
DEFAULT_SIZE = 384
"""Short side of the input in px, as its authors judge it."""
MULTIPLE = 32
_MAX_LONG_SIDE = 4096
_PARAMETERS = 6_142_782
_FIRST_TENSOR = "encoder.stem_half.conv.weight"
"""The name of the first weights in the published layout, without prefixes."""


def is_zipdepth_file(path: Path) -> bool:
    """Returns True if a file of pickled weights holds tensors by the names of ZipDepth; only tensors are read."""
    import torch

    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
        return any(name.endswith(_FIRST_TENSOR) for name in found.get("model_state_dict", found))
    except Exception:  # zip files and pickles raise whatever they like; whoever loads the file says what is wrong
        return False


def load_zipdepth(*, size: int | None = None, weights: Path | None = None, has_random_weights: bool = False) -> Network:
    """Describes ZipDepth without an engine; its weights are downloaded if they are not on this machine.

    Args:
        size: short side of the network's input in px, rounded to multiples of 32; the aspect is kept.
        weights: a checkpoint in the layout of the published one (.pth), which need not be that one.
        has_random_weights: takes random weights instead, to measure speed.

    Raises:
        ModelLoadError: as `find_published_file` does, and "damaged" when the network is needed and the weights are not
            what they should be.
        ConfigError: for a size that it does not take ("bad-size").
    """
    short = size or DEFAULT_SIZE
    if not MULTIPLE <= short <= _MAX_LONG_SIDE:
        raise ConfigError(f"zipdepth takes sizes from {MULTIPLE} to {_MAX_LONG_SIDE} px, not {short}", code="bad-size")
    spec = InputSpec(
        (short, short), multiple=MULTIPLE, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
        max_long_side=_MAX_LONG_SIDE,
    )  # fmt: skip
    if has_random_weights:
        card = ModelCard("zipdepth (random weights)", DepthKind.RELATIVE, "none", _PARAMETERS, spec, True)
        return Network(LazyModule(_random_network, "random"), card)
    path = weights or find_published_file("zipdepth", PUBLISHED)
    content = git_blob_of(path)
    license = "mit" if content == PUBLISHED.git_blob else "unknown"
    card = ModelCard(str(weights or "zipdepth"), DepthKind.RELATIVE, license, _PARAMETERS, spec, True)
    return Network(LazyModule(lambda: read_network(path), "zipdepth", content), card)


def _random_network() -> ZipDepthNetwork:
    import torch

    from streamdepth.estimators.zipdepth_network import ZipDepthNetwork

    torch.manual_seed(0)
    return ZipDepthNetwork()


def read_network(path: Path) -> ZipDepthNetwork:
    """Returns the network with the weights of a checkpoint of its authors (.pth), of which only tensors are read.

    Raises ModelLoadError with the code "damaged".
    """
    import torch

    from streamdepth.estimators.zipdepth_network import ZipDepthNetwork
    from streamdepth.estimators.zipdepth_weights import fold_weights

    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
        weights = fold_weights(found.get("model_state_dict", found))
        with torch.device("meta"):  # no time is lost on random weights
            network = ZipDepthNetwork()
        network.load_state_dict(weights, assign=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, KeyError, AttributeError) as error:
        raise ModelLoadError(
            f"'{path}' does not hold the weights of ZipDepth ({' '.join(str(error).split())[:200]}); remove it, and "
            "download it anew",
            code="damaged",
        ) from error
    return network.eval()
