"""The built-in model: small, shipped with the package, for relative depth.

Its network is loaded only if no engine finds it converted in the cache; until then nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Unpack

from safetensors import SafetensorError, safe_open

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.core.types import DepthKind
from streamdepth.estimators.engines import EngineOptions
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.make import make_engine
from streamdepth.estimators.network import ModelCard, Network
from streamdepth.estimators.network_estimator import NetworkEstimator
from streamdepth.estimators.preprocess import InputSpec

if TYPE_CHECKING:
    from torch import nn

    from streamdepth.estimators.nano2_network import Nano2Network
    from streamdepth.estimators.nano_network import NanoNetwork

DEFAULT_SIZE = 224
"""Short side of the input in px."""
MULTIPLE = 32
"""Height and width of the input in px must be multiples of this."""
AnyNano: TypeAlias = "NanoNetwork | Nano2Network"
"""A network of the first generation or of the second; a file of weights belongs to one of them."""
MAX_LONG_SIDE = 1536
"""The input's long side in px is never longer, however wide the picture."""
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
_SOURCES = ("nano.py", "nano_network.py", "nano2_network.py", "sharp_contours.py")


class NanoEstimator(NetworkEstimator):
    """The built-in model on one of the engines.

    Args:
        size: short side of the network's input in px, rounded to multiples of 32; the aspect is kept.
        weights: a safetensors file of either generation, the shipped one by default.
        options: as `make_engine` takes them.

    Raises:
        ModelLoadError: the weights cannot be read ("damaged") or are not nano's ("foreign").
        ConfigError: for a size that nano does not take.

    >>> with NanoEstimator(size=96) as model:
    ...     model.info.kind.value, model.card.spec.output_size(360, 640)
    ('relative', (96, 160))
    """

    def __init__(
        self, *, size: int | None = None, weights: Path | None = None, **options: Unpack[EngineOptions]
    ) -> None:
        network = load_nano(size=size, weights=weights)
        super().__init__(network.card, make_engine(network.module, **options))


def load_nano(*, size: int | None = None, weights: Path | None = None) -> Network:
    """Describes `nano` without an engine: its network, batch norms folded away, with contours sharpened behind it.

    Arguments and errors are NanoEstimator's.

    The network itself is loaded when it is needed, unless the weights are not laid out as the shipped ones: then at
    once, so that foreign ones are refused here.
    """
    spec = _input_spec(size or DEFAULT_SIZE)
    with resources.as_file(resources.files(__package__) / "weights" / "nano.safetensors") as shipped:
        shapes = _read_shapes(weights or shipped)
        module = LazyModule(lambda: _sharp_network(weights), "nano", _key(weights or shipped))
        if weights is not None and shapes != _read_shapes(shipped):
            module.get()
    parameters = sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(_BUFFERS))
    card = ModelCard(
        str(weights or "nano"), DepthKind.RELATIVE, "Apache-2.0", parameters, spec, resizes_before_upload=True
    )
    return Network(module, card)


def _read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each tensor in a safetensors file. Raises ModelLoadError."""
    try:
        with safe_open(path, "numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise _damaged_weights(path, error) from error


def _key(path: Path) -> str:
    """Returns a hash of the weights and of the code that makes the network of them."""
    digest = hashlib.blake2b()
    for file in (path, *(Path(__file__).with_name(name) for name in _SOURCES)):
        if file.is_file():  # a program may be packed without its sources
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _input_spec(short: int) -> InputSpec:
    if not MULTIPLE <= short <= MAX_LONG_SIDE:
        raise ConfigError(f"nano takes sizes from {MULTIPLE} to {MAX_LONG_SIDE} px, not {short}", code="bad-size")
    return InputSpec((short, short), multiple=MULTIPLE, mean=(0.5,) * 3, std=(0.5,) * 3, max_long_side=MAX_LONG_SIDE)


def load_network(path: Path | None = None) -> AnyNano:
    """Loads the network of the weights' generation from a safetensors file, the shipped one by default.

    It is in evaluation mode and float32. Raises ModelLoadError.
    """
    import torch
    from safetensors.torch import load_file

    from streamdepth.estimators.nano2_network import Nano2Network
    from streamdepth.estimators.nano_network import NanoNetwork

    with resources.as_file(resources.files(__package__) / "weights" / "nano.safetensors") as shipped:
        source = path or shipped
        try:
            weights = {k: v.float() for k, v in load_file(source).items()}
            with torch.device("meta"):  # no time is lost on random weights
                network: AnyNano = NanoNetwork() if "head.weight" in weights else Nano2Network()
            missing, unknown = network.load_state_dict(weights, strict=False, assign=True)
        except (OSError, SafetensorError) as error:
            raise _damaged_weights(source, error) from error
        except RuntimeError as error:  # shapes differ
            raise _foreign_weights(source) from error
    if unknown or any(not name.endswith("num_batches_tracked") for name in missing):
        raise _foreign_weights(source)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.num_batches_tracked = torch.zeros((), dtype=torch.long)
    return network.eval()


def _sharp_network(weights: Path | None) -> nn.Module:
    from streamdepth.estimators.sharp_contours import SharpContours

    return SharpContours(fuse_batch_norms(load_network(weights))).eval()


def _damaged_weights(path: Path, error: Exception) -> ModelLoadError:
    return ModelLoadError(f"cannot read nano's weights from '{path}': {error}", code="damaged")


def _foreign_weights(path: Path) -> ModelLoadError:
    return ModelLoadError(
        f"'{path}' does not hold nano's weights; give a file that streamdepth train wrote, or, for another model, its "
        "folder with config.json and model.safetensors",
        code="foreign",
    )


def fuse_batch_norms(network: AnyNano) -> AnyNano:
    """Folds every batch norm into the convolution before it, in place, and returns the network."""
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in network.modules():
        if isinstance(module, torch.nn.Sequential) and len(module) > 1 and isinstance(module[1], torch.nn.BatchNorm2d):
            module[0] = fuse_conv_bn_eval(module[0], module[1])  # type: ignore[type-var]
            module[1] = torch.nn.Identity()
    return network
