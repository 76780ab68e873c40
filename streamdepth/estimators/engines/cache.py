"""Converted networks on disk, shared by processes that may start at the same moment or be killed at any."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from streamdepth.core.version import __version__

_log = logging.getLogger(__name__)

_MANIFEST = "manifest.json"


def cache_folder() -> Path:
    """The folder named by STREAMDEPTH_CACHE, else the platform's cache folder with `streamdepth` in it."""
    if named := os.environ.get("STREAMDEPTH_CACHE"):
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "streamdepth"


def fingerprint(module: nn.Module, *versions: str) -> str:
    """A short name for structure, weights, our version, torch's and those given: equal when the conversion is."""
    digest = hashlib.blake2b(digest_size=10)
    for text in (repr(module), __version__, torch.__version__, *versions):
        digest.update(text.encode())
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class ModelCache:
    """One folder per engine, network and input size, complete or absent: written under another name, then renamed.

    file: the model's, in that folder; others may lie beside it.

    A manifest holds each file's digest, so that a damaged file is found before it is mapped into memory. A cache that
    cannot be written costs time, never an error.
    """

    def __init__(self, engine: str, name: str, key: str, file: str = "model.xml") -> None:
        self._root, self._file = cache_folder() / engine, file
        self._prefix = f"{re.sub(r'[^A-Za-z0-9.]+', '-', name).strip('-.')[-60:]}-{key}"

    def _folder(self, size: str) -> Path:
        return self._root / f"{self._prefix}-{size}"

    def find(self, size: str) -> Path | None:
        """The model's file, intact; a damaged one is removed."""
        folder = self._folder(size)
        if not folder.is_dir():
            return None
        try:
            if json.loads((folder / _MANIFEST).read_text()) == _digests(folder):
                return folder / self._file
        except (OSError, ValueError) as error:
            _log.debug("unreadable cache %s: %s", folder, error)
        _log.warning("the cached network in %s is damaged and is made anew", folder)
        _remove(folder)
        return None

    def store(self, size: str, save: Callable[[Path], None]) -> None:
        """Keeps what `save` writes to the path it is given, unless another process was faster."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".new-", dir=self._root, ignore_cleanup_errors=True) as name:
                new = Path(name) / "complete"
                new.mkdir()
                save(new / self._file)
                (new / _MANIFEST).write_text(json.dumps(_digests(new)))
                if not self._folder(size).exists():
                    new.rename(self._folder(size))
        except (OSError, RuntimeError) as error:
            _log.warning("the converted network is not kept, so the next start is slow again: %s", error)


def _digests(folder: Path) -> dict[str, str]:
    """Every file's digest but the manifest's."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name != _MANIFEST:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "blake2b").hexdigest()
    return found


def _remove(folder: Path) -> None:
    """Out of the way at once, then deleted: no other process sees half of it."""
    try:
        with tempfile.TemporaryDirectory(prefix=".old-", dir=folder.parent, ignore_cleanup_errors=True) as name:
            folder.rename(Path(name) / "damaged")
    except OSError as error:
        _log.debug("cannot move %s: %s", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
