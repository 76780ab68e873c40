"""A torch module that is loaded when it is first needed, and the key of what is made from it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING

from streamdepth.core.version import __version__

if TYPE_CHECKING:
    from torch import nn


class LazyModule:
    """A network in torch that is loaded only if something needs it.

    An engine that finds the converted network in its cache does not, so that torch need not be imported.

    Args:
        load: returns the network. Called once, when it is first needed.
        cache_name: goes into the names of files that are made from the network.
        key: tells the network's structure and weights from those of others; None takes them from the loaded network.
    """

    def __init__(self, load: Callable[[], nn.Module], cache_name: str, key: str | None = None) -> None:
        self._load, self.cache_name, self._key = load, cache_name, key
        self._module: nn.Module | None = None
        self._lock = threading.Lock()

    def get(self) -> nn.Module:
        """Returns the network, in evaluation mode and in float32 on the CPU. Raises as `load` does."""
        import torch

        with self._lock:
            if self._module is None:
                self._module = self._load().eval().to("cpu", torch.float32)
            return self._module

    def conversion_key(self, *versions: str) -> str:
        """Returns a short hash of the network, our version, torch's and those given: equal if conversions are."""
        if self._key is None:
            self._key = _fingerprint(self.get())
        facts = (self._key, __version__, metadata.version("torch"), *versions)
        return hashlib.blake2b("\n".join(facts).encode(), digest_size=10).hexdigest()


def _fingerprint(module: nn.Module) -> str:
    """Returns a hash of structure and weights."""
    import torch

    digest = hashlib.blake2b(repr(module).encode())
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
