"""Files by address: local paths, and storages that fsspec supports, such as s3://, gs://, sftp:// or memory://.

Each function takes the class of the error to raise, so that a source and a sink each raise their own. Its code is
"not-found" for a file that does not exist, and "storage" for any other failure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from streamdepth.core.errors import MissingDependencyError, StreamDepthError
from streamdepth.utils.file_patterns import match_files
from streamdepth.utils.redact import redact, redact_text

_LIBAV_PROTOCOLS = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "tcp", "rtp", "lavfi")
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs"}
"""Packages of the extra `remote` by protocol; for other protocols fsspec names the missing package itself."""

ErrorClass = type[StreamDepthError]


def is_remote(address: str) -> bool:
    """True if fsspec opens `address`: it knows the protocol, and the protocol is not one of libav's streams."""
    protocol = re.match(r"([a-z][a-z0-9+.-]*)://", address)
    if protocol is None or protocol[1] in _LIBAV_PROTOCOLS:
        return False
    try:
        import fsspec
    except ImportError:
        return protocol[1] in _PACKAGES  # opening it reports the missing package
    return protocol[1] in fsspec.available_protocols()


def address_from_path(path: Path) -> str:
    """Returns the address that `path` was made from; `Path` drops one of the two slashes in s3://bucket."""
    return re.sub(r"^([a-z][a-z0-9+.-]+:)/(?!/)", r"\1//", path.as_posix())


def file_name(address: str) -> str:
    """Returns the last part of an address."""
    return PurePosixPath(address).name


def fingerprint(address: str, error: ErrorClass) -> tuple[int, str] | None:
    """Returns the size in bytes and a text that changes with the content: an object's ETag, a file's time of change.

    None when there is no such file, or when a local file cannot be examined. Raises `error` when a storage fails.
    """
    if not is_remote(address):
        try:
            status = os.stat(address)
        except (OSError, ValueError):
            return None
        return status.st_size, str(status.st_mtime_ns)
    details: dict[str, Any] | None = _run(_file_details, address, error)
    if details is None:
        return None
    marks = (details.get(key) for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created", "modify"))
    return int(details.get("size") or 0), str(next((mark for mark in marks if mark is not None), ""))


def _file_details(file_system: Any, path: str) -> dict[str, Any] | None:
    try:
        return file_system.info(path)  # type: ignore[no-any-return]
    except FileNotFoundError:
        return None


def exists(address: str, error: ErrorClass) -> bool:
    """True if there is a file at a remote address. Raises `error`."""
    return bool(_run(lambda file_system, path: file_system.exists(path), address, error))


def find_files(pattern: str, error: ErrorClass) -> list[str]:
    """Returns the addresses of all files that match a glob, sorted; `**` stands for any folders. Raises `error`.

    Names of local files are returned in the safe form of `match_files`.
    """
    if not is_remote(pattern):
        return match_files(pattern)

    def find(file_system: Any, path: str) -> list[str]:
        file_system.invalidate_cache()  # a long-lived process would see old listings
        if not pattern.endswith(path):
            return sorted(file_system.unstrip_protocol(match) for match in file_system.glob(path))
        prefix = pattern[: len(pattern) - len(path)]  # the protocol; for some storages also the host with its user
        return sorted(prefix + match for match in file_system.glob(path))

    return _run(find, pattern, error)  # type: ignore[no-any-return]


def download(address: str, target: Path, error: ErrorClass) -> None:
    """Copies a remote file to a local one. Raises `error`."""
    _run(lambda file_system, path: file_system.get_file(path, str(target)), address, error)


def upload(source: Path, address: str, error: ErrorClass) -> None:
    """Copies a local file to a remote address, and creates its folders. Raises `error`."""

    def put(file_system: Any, path: str) -> None:
        _make_parent(file_system, path)
        file_system.put_file(str(source), path)

    _run(put, address, error)


def read_bytes(address: str, error: ErrorClass) -> bytes | None:
    """Returns the content of a remote file; None when there is no such file. Raises `error`."""

    def read(file_system: Any, path: str) -> bytes | None:
        return file_system.cat_file(path) if file_system.exists(path) else None

    return _run(read, address, error)  # type: ignore[no-any-return]


def write_bytes(address: str, content: bytes, error: ErrorClass) -> None:
    """Replaces the whole content of a remote file, and creates its folders. Raises `error`."""

    def write(file_system: Any, path: str) -> None:
        _make_parent(file_system, path)
        file_system.pipe_file(path, content)

    _run(write, address, error)


def _make_parent(file_system: Any, path: str) -> None:
    file_system.makedirs(path.rpartition("/")[0], exist_ok=True)


def _open_file_system(address: str, error: ErrorClass) -> tuple[Any, str]:
    """Returns the fsspec file system of an address and the path within it."""
    protocol = address.partition("://")[0]
    try:
        import fsspec

        return fsspec.core.url_to_fs(address)  # type: ignore[no-any-return]
    except ImportError as missing:
        if "fsspec" in str(missing) or protocol in _PACKAGES:
            raise MissingDependencyError(
                _PACKAGES.get(protocol, "fsspec"), "remote", f"the address {protocol}://"
            ) from missing
        raise error(
            f"{protocol}:// needs a package that is not installed: {missing}", code="missing-dependency"
        ) from missing


def _run(action: Callable[[Any, str], Any], address: str, error: ErrorClass) -> Any:
    """Calls `action` with the file system and the path of `address`; every failure of a storage becomes `error`."""
    try:
        return action(*_open_file_system(address, error))
    except StreamDepthError:
        raise
    except Exception as failure:  # every storage's package has errors of its own
        is_missing = isinstance(failure, FileNotFoundError)
        reason = "there is no such file" if is_missing else redact_text(str(failure)) or type(failure).__name__
        raise error(
            f"'{redact(address)}': {reason}; check the address, the credentials and the network",
            code="not-found" if is_missing else "storage",
        ) from None
