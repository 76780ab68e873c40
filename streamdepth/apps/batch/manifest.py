"""What has become of each file of a fleet, on disk at every moment, so that a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from streamdepth.apps.batch.jobs import NUMBERED, Job, chosen, fingerprint
from streamdepth.core.errors import ConfigError, SinkOpenError, SinkWriteError, SourceOpenError
from streamdepth.sinks.output import complete_file, writing
from streamdepth.utils import storage
from streamdepth.utils.numbering import find_numbered_files
from streamdepth.utils.redact import redact

FILE_NAME = "streamdepth.jsonl"
_REMOTE_SECONDS = 5.0
"""Storages that cannot append get the whole manifest: what ended at most so often, since a kill loses no more than
that, to be done again; what begins at once, since outputs without a row would not be known as ours."""

State = Literal["begun", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Row:
    """One file of the fleet."""

    name: str
    """Of its outputs, below their folders."""
    source: str
    """Its address, without secrets."""
    input: tuple[int, str]
    """Bytes, and the storage's mark of its content."""
    settings: str
    """Their fingerprint."""
    chosen: dict[str, Any]
    """Those settings that are not as usual."""
    outputs: dict[str, tuple[int, str] | None]
    """Setting -> bytes and mark of what was written; None: nothing was."""
    state: State
    error: str = ""
    kind: str = ""
    """The error's class."""
    frames: int = 0
    seconds: float = 0.0
    at: str = ""
    """When the row was written, UTC."""

    @classmethod
    def of(cls, job: Job) -> Row:
        """Of a job that begins."""
        s = job.settings
        try:
            found = storage.fingerprint(job.source, SourceOpenError)
        except SourceOpenError:
            found = None  # it fails when it is opened
        given = redact(job.source), found or (0, "")
        return cls(job.name, *given, fingerprint(s), chosen(s), dict.fromkeys(job.outputs), "begun")


class Manifest:
    """JSON lines in `folder`, the last line of a name counts; locked against a second run while open.

    Each line is on the disk before the work goes on, and half a line of a killed run is ignored. Elsewhere there is no
    lock, and lines of what ended may come seconds later. Raises ConfigError when another run holds it, and SinkError
    when it cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.address = storage.address_from_path(folder / FILE_NAME)
        self.rows: dict[str, Row] = {}
        self._is_remote = storage.is_remote(self.address)
        self._lock = None if self._is_remote else FileLock(folder / ".streamdepth.lock")
        self._stored_at = 0.0
        self._is_compact = False

    def __enter__(self) -> Manifest:
        if self._lock is not None:
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise ConfigError(f"another run writes to '{Path(self.address).parent}'; wait for it") from None
            except OSError as error:
                raise SinkOpenError(
                    f"cannot write '{self.address}': {error.strerror}; choose another folder"
                ) from error
        self.rows = {row.name: row for row in _rows(self._read())}
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._is_remote and self._stored_at:
                self._store()
        finally:
            if self._lock is not None:
                self._lock.release()

    def write(self, row: Row) -> None:
        """Puts one file's row in place of its older one."""
        row = replace(row, at=datetime.now(UTC).isoformat(timespec="seconds"))
        self.rows[row.name] = row
        if self._is_remote:
            if row.state == "begun" or time.monotonic() - self._stored_at > _REMOTE_SECONDS:
                self._store()
        elif not self._is_compact:
            self._is_compact = True  # older lines, and half of one, go with the first new one
            with complete_file(Path(self.address), overwrite=True) as path:
                path.write_bytes(self._content())
        else:
            self._append(row)

    def _append(self, row: Row) -> None:
        path = Path(self.address)
        with writing(path), path.open("ab") as file:
            file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())

    def _store(self) -> None:
        storage.write_bytes(self.address, self._content(), SinkWriteError)
        self._stored_at = time.monotonic()

    def _content(self) -> bytes:
        return b"".join(map(_line, self.rows.values()))

    def _read(self) -> bytes:
        if self._is_remote:
            return storage.read_bytes(self.address, SinkOpenError) or b""
        try:
            return Path(self.address).read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise SinkOpenError(f"cannot read '{self.address}': {error.strerror}") from error


def why(job: Job, row: Row, old: Row | None) -> str | None:
    """Why `job` must be done, given its row of an earlier run; None when it is done."""
    if old is None:
        return "new"
    if old.state != "done":
        return "unfinished" if old.state == "begun" else "failed before"
    if old.input != row.input:
        return "the input changed"
    if old.settings != row.settings:
        return f"the settings changed{_difference(old.chosen, row.chosen)}"
    missing = [s for s, address in job.outputs.items() if not old.outputs.get(s) or not now(s, address)]
    return f"its {' and '.join(missing)} is not there" if missing else None


def is_ours(old: Row | None, setting: str, address: str) -> bool:
    """Whether what is at `address` now was written by the run that `old` tells of, so that it may be replaced."""
    if old is None or setting not in old.outputs:
        return False
    return old.state == "begun" or old.outputs[setting] == now(setting, address)


def now(setting: str, address: str) -> tuple[int, str] | None:
    """Bytes and mark of what is there, of numbered outputs of all files at once; None when nothing is.

    Raises SinkOpenError where a storage cannot tell.
    """
    if setting not in NUMBERED:
        return storage.fingerprint(address, SinkOpenError)
    pattern = Path(address)
    files = sorted(find_numbered_files(pattern)) if pattern.parent.is_dir() else ()
    found = {file.name: identity for file in files if (identity := storage.fingerprint(str(file), SinkOpenError))}
    mark = hashlib.blake2b(json.dumps(found).encode(), digest_size=10).hexdigest()
    return (sum(size for size, _ in found.values()), mark) if found else None


def _pair(pair: Iterable[Any]) -> tuple[int, str]:
    """As it comes back from JSON."""
    size, mark = pair
    return int(size), str(mark)


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    words = [
        f"{key}: {old.get(key, 'usual')} -> {new.get(key, 'usual')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    return f" ({', '.join(words)})" if words else ""


def _line(row: Row) -> bytes:
    return json.dumps(asdict(row)).encode() + b"\n"


def _rows(content: bytes) -> Iterable[Row]:
    names = {f.name for f in fields(Row)}
    for line in content.splitlines():
        try:
            facts = {key: value for key, value in json.loads(line).items() if key in names}
            facts["input"] = _pair(facts["input"])
            facts["outputs"] = {k: v and _pair(v) for k, v in facts["outputs"].items()}
            yield Row(**facts)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # half a line of a killed run; its file is done again
