"""Files by address: local paths, and what fsspec reaches, such as s3://, gs://, sftp:// or memory://."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from streamdepth.core.errors import MissingDependencyError, StreamDepthError
from streamdepth.utils.redact import redact, redact_text

_READ_BY_LIBAV = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "tcp", "rtp", "lavfi")
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs"}
"""Packages of the extra `remote`; fsspec itself names those for other addresses."""

ErrorFactory = Callable[[str], StreamDepthError]


def is_remote(address: str) -> bool:
    """Whether fsspec opens it: an address whose protocol fsspec knows, streams that libav reads aside."""
    protocol = re.match(r"([a-z][a-z0-9+.-]*)://", address)
    if protocol is None or protocol[1] in _READ_BY_LIBAV:
        return False
    try:
        import fsspec
    except ImportError:
        return protocol[1] in _PACKAGES  # opening it says what is missing
    return protocol[1] in fsspec.available_protocols()


def address_from_path(path: Path) -> str:
    """What `path` was made from: a path keeps one slash of the two in s3://bucket."""
    return re.sub(r"^([a-z][a-z0-9+.-]+:)/(?!/)", r"\1//", path.as_posix())


def file_name(address: str) -> str:
    """The file's own name."""
    return PurePosixPath(address).name


def fingerprint(address: str, error: ErrorFactory) -> tuple[int, str] | None:
    """(bytes, a text that changes when the content does): of an object its tag, of a file its time.

    None when there is no such file, or none that can be looked at here. Raises `error` where a storage cannot tell.
    """
    if not is_remote(address):
        try:
            found = os.stat(address)
        except (OSError, ValueError):
            return None
        return found.st_size, str(found.st_mtime_ns)
    facts: dict[str, Any] | None = _try(_facts, address, error)
    if facts is None:
        return None
    marks = (facts.get(key) for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created", "modify"))
    return int(facts.get("size") or 0), str(next((mark for mark in marks if mark is not None), ""))


def _facts(system: Any, path: str) -> dict[str, Any] | None:
    try:
        return system.info(path)  # type: ignore[no-any-return]
    except FileNotFoundError:
        return None


def exists(address: str, error: ErrorFactory) -> bool:
    """Whether there is such a file. Raises `error`."""
    return bool(_try(lambda fs, path: fs.exists(path), address, error))


def find_files(pattern: str, error: ErrorFactory) -> list[str]:
    """The files' addresses that match, `**` through all folders, sorted. Raises `error`."""
    if not is_remote(pattern):
        import glob

        return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))

    def matches(system: Any, path: str) -> list[str]:
        system.invalidate_cache()  # of listings, which a long-lived process would keep
        if not pattern.endswith(path):
            return sorted(system.unstrip_protocol(found) for found in system.glob(path))
        before = pattern[: len(pattern) - len(path)]  # the protocol, of some storages the host with its user too
        return sorted(before + found for found in system.glob(path))

    return _try(matches, pattern, error)  # type: ignore[no-any-return]


def download(address: str, target: Path, error: ErrorFactory) -> None:
    """Copies it to a local file. Raises `error`."""
    _try(lambda fs, path: fs.get_file(path, str(target)), address, error)


def upload(source: Path, address: str, error: ErrorFactory) -> None:
    """Puts a local file there, its folders too. Raises `error`."""
    _try(lambda fs, path: _put(fs, source, path), address, error)


def _put(system: Any, source: Path, path: str) -> None:
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    system.put_file(str(source), path)


def read_bytes(address: str, error: ErrorFactory) -> bytes | None:
    """None when there is no such file. Raises `error`."""
    return _try(lambda fs, path: fs.cat_file(path) if fs.exists(path) else None, address, error)  # type: ignore[no-any-return]


def write_bytes(address: str, content: bytes, error: ErrorFactory) -> None:
    """Replaces the file as a whole. Raises `error`."""

    def write(system: Any, path: str) -> None:
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.pipe_file(path, content)

    _try(write, address, error)


def _open(address: str, error: ErrorFactory) -> tuple[Any, str]:
    protocol = address.partition("://")[0]
    try:
        import fsspec

        return fsspec.core.url_to_fs(address)  # type: ignore[no-any-return]
    except ImportError as missing:
        if "fsspec" in str(missing) or protocol in _PACKAGES:
            raise MissingDependencyError(
                _PACKAGES.get(protocol, "fsspec"), "remote", f"the address {protocol}://"
            ) from missing
        raise error(f"{protocol}:// needs a package that is not installed: {missing}") from missing


def _try(action: Callable[[Any, str], Any], address: str, error: ErrorFactory) -> Any:
    try:
        return action(*_open(address, error))
    except StreamDepthError:
        raise
    except Exception as failure:  # every storage's package has errors of its own
        reason = "there is no such file" if isinstance(failure, FileNotFoundError) else redact_text(str(failure))
        raise error(
            f"'{redact(address)}': {reason or type(failure).__name__}; check the address, the credentials and the "
            "network"
        ) from None
