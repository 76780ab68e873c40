"""Interpolation between the weights of two networks.

Wortsman et al., "Robust fine-tuning of zero-shot models" (CVPR 2022): a network and its fine-tuned descendant lie in
one valley of the loss, and between them it is often better than at either end, on old data and on new.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save as serialized

from streamdepth.core.errors import ConfigError
from streamdepth.estimators.nano import load_network
from streamdepth.training.files import write_file


def blend(first: Path, second: Path, share: float, out: Path) -> None:
    """Writes share * first + (1 - share) * second to `out`, where `second` was trained from `first`.

    Raises ConfigError (code "bad-share") for a share outside of 0 to 1, ModelLoadError for files that are not nano's
    weights, and SinkWriteError.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"a share lies between 0 and 1, not {share}", code="bad-share")
    other = load_network(second).state_dict()
    mixed = {
        name: value.lerp(other[name], 1 - share).half().contiguous()
        for name, value in load_network(first).state_dict().items()
        if value.is_floating_point()
    }
    write_file(out, serialized(mixed))
