"""The manifest of a batch: one entry per file, always complete on disk, so that a killed run can be resumed."""

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

from streamdepth.apps.batch.bags import bag_fingerprint, is_bag
from streamdepth.apps.batch.tasks import ConversionTask, changed_settings, is_numbered, settings_fingerprint
from streamdepth.core.errors import ConfigError, SinkOpenError, SinkWriteError, SourceOpenError
from streamdepth.sinks.pending_files import atomic_write
from streamdepth.sinks.write_errors import map_write_errors
from streamdepth.utils import storage
from streamdepth.utils.numbering import find_numbered_files
from streamdepth.utils.redact import redact

FILE_NAME = "streamdepth.jsonl"
_REMOTE_INTERVAL_SECONDS = 5.0
"""Remote storage cannot append, so each update uploads the whole manifest. Entries of finished files are uploaded at
most this often, since a killed run only has to convert those again; entries of started files are uploaded at once,
since outputs without an entry would not be recognized as written by a batch."""

FileFingerprint = tuple[int, str]
"""A file's size in bytes, and a text that changes with its content (a time or a checksum)."""
State = Literal["started", "done", "failed"]


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """The state of one file of a batch."""

    name: str
    """Path of its outputs below their folders, without a suffix."""
    source: str
    """Address of the input, without credentials."""
    input: FileFingerprint
    settings: str
    """Fingerprint of the settings that change results."""
    changed_settings: dict[str, Any]
    """The settings that change results and are not at their defaults."""
    outputs: dict[str, FileFingerprint | None]
    """Setting -> fingerprint of the output that was written; None if none was."""
    state: State
    error: str = ""
    error_class: str = ""
    frames: int = 0
    seconds: float = 0.0
    """Duration of the conversion."""
    updated_at: str = ""
    """UTC time at which the entry was written, in ISO 8601."""

    @classmethod
    def started(cls, task: ConversionTask) -> ManifestEntry:
        """Makes the entry of a task that starts now."""
        try:
            source = task.source
            found = bag_fingerprint(source) if is_bag(source) else storage.fingerprint(source, SourceOpenError)
        except SourceOpenError:
            found = None  # the conversion itself will fail, and say why
        return cls(
            name=task.name,
            source=redact(task.source),
            input=found or (0, ""),
            settings=settings_fingerprint(task.settings),
            changed_settings=changed_settings(task.settings),
            outputs=dict.fromkeys(task.output_addresses),
            state="started",
        )


class Manifest:
    """A JSON Lines file in `folder`; the last line of a name counts.

    On a local disk it is locked against a second run while it is open, and each line is on the disk before the work
    goes on; half a line, as a killed run leaves it, is ignored. In remote storage there is no lock, and lines of
    finished files may come seconds later.

    Raises:
        ConfigError: when another run has locked it ("locked").
        SinkError: when it cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.address = storage.address_from_path(folder / FILE_NAME)
        self.entries: dict[str, ManifestEntry] = {}
        self._is_remote = storage.is_remote(self.address)
        self._lock = None if self._is_remote else FileLock(folder / ".streamdepth.lock")
        self._uploaded_at = 0.0
        self._is_compact = False

    def __enter__(self) -> Manifest:
        if self._lock is not None:
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                folder = Path(self.address).parent
                raise ConfigError(f"another run writes to '{folder}'; wait for it", code="locked") from None
            except OSError as error:
                raise SinkOpenError(
                    f"cannot write '{self.address}': {error.strerror}; choose another folder", code="not-writable"
                ) from error
        self.entries = {entry.name: entry for entry in _parse(self._read())}
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._is_remote and self._uploaded_at:
                self._upload()
        finally:
            if self._lock is not None:
                self._lock.release()

    def write(self, entry: ManifestEntry) -> None:
        """Stores an entry in place of the older one of the same name."""
        entry = replace(entry, updated_at=datetime.now(UTC).isoformat(timespec="seconds"))
        self.entries[entry.name] = entry
        if self._is_remote:
            if entry.state == "started" or time.monotonic() - self._uploaded_at > _REMOTE_INTERVAL_SECONDS:
                self._upload()
        elif not self._is_compact:
            self._is_compact = True  # the first entry of a run drops older lines, and half of one
            with atomic_write(Path(self.address), overwrite=True) as path:
                path.write_bytes(self._content())
        else:
            self._append(entry)

    def _append(self, entry: ManifestEntry) -> None:
        path = Path(self.address)
        with map_write_errors(path), path.open("ab") as file:
            file.write(_json_line(entry))
            file.flush()
            os.fsync(file.fileno())

    def _upload(self) -> None:
        storage.write_bytes(self.address, self._content(), SinkWriteError)
        self._uploaded_at = time.monotonic()

    def _content(self) -> bytes:
        return b"".join(map(_json_line, self.entries.values()))

    def _read(self) -> bytes:
        if self._is_remote:
            return storage.read_bytes(self.address, SinkOpenError) or b""
        try:
            return Path(self.address).read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise SinkOpenError(f"cannot read '{self.address}': {error.strerror}", code="not-readable") from error


def reason_to_convert(task: ConversionTask, entry: ManifestEntry, previous: ManifestEntry | None) -> str | None:
    """Returns why `task` must be done, given its new entry and that of an earlier run; None if it is done."""
    if previous is None:
        return "new"
    if previous.state != "done":
        return "unfinished" if previous.state == "started" else "failed before"
    if previous.input != entry.input:
        return "the input changed"
    if previous.settings != entry.settings:
        return f"the settings changed{_difference(previous.changed_settings, entry.changed_settings)}"
    missing = [
        setting
        for setting, address in task.output_addresses.items()
        if not previous.outputs.get(setting) or not output_fingerprint(setting, address)
    ]
    return f"its {' and '.join(missing)} is not there" if missing else None


def was_written_by_batch(previous: ManifestEntry | None, setting: str, address: str) -> bool:
    """True if the run that wrote the entry `previous` has written what is at `address` now, so it may be replaced."""
    if previous is None or setting not in previous.outputs:
        return False
    return previous.state == "started" or previous.outputs[setting] == output_fingerprint(setting, address)


def output_fingerprint(setting: str, address: str) -> FileFingerprint | None:
    """Returns the fingerprint of an output as it is now, of a numbered output that of all its files together.

    Returns None if it does not exist. Raises SinkOpenError if a remote storage does not answer.
    """
    if not is_numbered(setting, address):
        return storage.fingerprint(address, SinkOpenError)
    pattern = Path(address)
    files = sorted(find_numbered_files(pattern)) if pattern.parent.is_dir() else ()
    found = {file.name: fingerprint for file in files if (fingerprint := storage.fingerprint(str(file), SinkOpenError))}
    mark = hashlib.blake2b(json.dumps(found).encode(), digest_size=10).hexdigest()
    return (sum(size for size, _ in found.values()), mark) if found else None


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    words = [
        f"{key}: {old.get(key, 'usual')} -> {new.get(key, 'usual')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    return f" ({', '.join(words)})" if words else ""


def _json_line(entry: ManifestEntry) -> bytes:
    return json.dumps(asdict(entry)).encode() + b"\n"


def _parse(content: bytes) -> Iterable[ManifestEntry]:
    names = {field.name for field in fields(ManifestEntry)}
    for line in content.splitlines():
        try:
            values = {key: value for key, value in json.loads(line).items() if key in names}
            values["input"] = _fingerprint_from_json(values["input"])
            values["outputs"] = {k: v and _fingerprint_from_json(v) for k, v in values["outputs"].items()}
            yield ManifestEntry(**values)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # half a line of a killed run; its file is converted again


def _fingerprint_from_json(pair: Iterable[Any]) -> FileFingerprint:
    size, mark = pair
    return int(size), str(mark)
