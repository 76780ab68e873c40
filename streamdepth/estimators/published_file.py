"""Files with weights that their authors publish elsewhere than on the hub: downloaded once, and checked."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import shutil
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from streamdepth.core.errors import ModelLoadError
from streamdepth.utils.cache import cache_folder, make_cache_subfolder

_log = logging.getLogger(__name__)

_FOLDER = "weights"
_TIMEOUT_SECONDS = 10.0
_MAX_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file that never changes, and how it is known to be the right one."""

    address: str
    page: str
    """The web page on which people find it. Messages name this one: a commit in an address is masked there as a key."""
    git_blob: str
    """The SHA-1 by which Git calls its content."""

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.address.rpartition("/")[2]

    @property
    def path(self) -> Path:
        """The place of the file on this machine, whether it is there or not."""
        return cache_folder() / _FOLDER / self.name


def find_published_file(model: str, file: PublishedFile) -> Path:
    """Returns the path of a file on this machine, downloaded if it is not there.

    A machine without a connection gets the file by hand: the error says where it has to lie.

    Raises ModelLoadError with the code "not-available" or "damaged" (it is not the file that was published).
    """
    path = file.path
    if not path.is_file():
        _download(model, file)
    if git_blob_of(path) != file.git_blob:
        raise ModelLoadError(
            f"'{path}' is not the file that the authors of {model} published; remove it, and it is downloaded anew",
            code="damaged",
        )
    return path


def git_blob_of(path: Path) -> str:
    """Returns the SHA-1 by which Git calls the content of a file.

    >>> _ = Path("greeting.txt").write_bytes(b"hello")
    >>> git_blob_of(Path("greeting.txt"))
    'b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0'
    """
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as opened:
        while chunk := opened.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def _download(model: str, file: PublishedFile) -> None:
    """Writes the file under another name first, so that nobody sees half of it. Raises ModelLoadError."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        raise _unavailable(model, file, "nothing must be downloaded (HF_HUB_OFFLINE is set)")
    try:
        new = make_cache_subfolder(_FOLDER) / f".new-{secrets.token_hex(4)}"
        _log.info("downloading %s", file.address)
        try:
            _fetch(file.address, new)
            new.replace(file.path)
        finally:
            new.unlink(missing_ok=True)
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise _unavailable(model, file, f"it could not be downloaded ({reason})") from error


def _fetch(address: str, path: Path) -> None:
    with contextlib.closing(urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS)) as answer:
        if int(answer.headers.get("Content-Length") or 0) > _MAX_BYTES:
            raise ValueError("the file is larger than was published")
        with path.open("wb") as opened:
            shutil.copyfileobj(answer, opened)


def _unavailable(model: str, file: PublishedFile, why: str) -> ModelLoadError:
    return ModelLoadError(
        f"the weights of {model} are not on this machine, and {why}; download {file.name} from {file.page} on "
        f"a machine with a connection and put it at '{file.path}', or take --model nano, which is built in",
        code="not-available",
    )
