"""Recordings of Rerun (.rrd) of one camera or several."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.sinks.pending_files import PendingFile
from streamdepth.sinks.robots.observation import RobotOptions
from streamdepth.sinks.robots.rerun_entities import FLUSH_TIMEOUT_SECONDS, RERUN, RerunRecording, new_stream
from streamdepth.sinks.write_errors import make_write_error, map_write_errors, write_error_message


class RerunFileSink(Sink):
    """Writes NAME.rrd, a recording of Rerun.

    Several streams can share a file, each with a namespace of its own: it is complete when the last of those that are
    open has ended, and holds what a stream that failed had written before.

    Args:
        path: the file.
        options: names, and the entities to write.
        overwrite: replaces a file that exists.
        is_shared: writes to the same file as the other sinks of this process with this path that are open.

    Raises:
        MissingDependencyError: from `open`, without rerun-sdk.
        SinkOpenError: from `open`.
        SinkWriteError: from `write` and `close`; the output is removed then.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        options: RobotOptions | None = None,
        overwrite: bool = False,
        is_shared: bool = False,
    ) -> None:
        super().__init__()
        self.path, self.options = Path(path), options or RobotOptions()
        self.overwrite, self.is_shared = overwrite, is_shared
        self._file: _RecordingFile | None = None
        self._recording: RerunRecording | None = None

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [RERUN]

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.path.suffix.lower() != ".rrd":
            raise SinkOpenError(
                f"a recording of Rerun is .rrd; name it '{self.path.with_suffix('.rrd')}'", code="unknown-format"
            )
        self._file = _RecordingFile.open(self.path, self.overwrite, info.file_path, is_shared=self.is_shared)
        self._recording = RerunRecording(self._file.stream, info, model, self.options, self.add_notice)

    def on_write(self, item: DepthFrame) -> None:
        assert self._recording is not None
        with _map_errors(self.path):
            self._recording.add(item)

    def on_close(self) -> None:
        assert self._recording is not None
        file, self._file = self._file, None
        assert file is not None
        file.release(discard=not self._recording.count)

    def on_discard(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.release(discard=True)


_lock = threading.RLock()
_shared_files: dict[Path, _RecordingFile] = {}
"""The files that are open to several streams, by their absolute paths."""


class _RecordingFile:
    """An open .rrd file with the entities of one stream or several."""

    def __init__(self, path: Path, overwrite: bool, input_path: Path | None) -> None:
        self.stream = new_stream()
        self._path = path
        self._file = PendingFile(path, overwrite=overwrite, input_path=input_path)
        self._users = self._completed = 0
        try:
            self.stream.save(self._file.temporary)
        except RuntimeError as error:
            self._file.discard()
            raise SinkOpenError(write_error_message(path, error)) from error

    @staticmethod
    def open(path: Path, overwrite: bool, input_path: Path | None, *, is_shared: bool) -> _RecordingFile:
        """Returns the open file that streams share at `path`, or else a new one. Raises SinkOpenError."""
        with _lock:
            key = path.absolute()
            file = _shared_files.get(key) if is_shared else None
            if file is None:
                file = _RecordingFile(path, overwrite, input_path)
            if is_shared:
                _shared_files[key] = file
            file._users += 1
            return file

    def release(self, *, discard: bool) -> None:
        """Ends the use by one stream; the last one completes the file, or removes it if all discard theirs."""
        with _lock:
            self._users -= 1
            self._completed += not discard
            if self._users:
                return
            for key in [key for key, file in _shared_files.items() if file is self]:
                del _shared_files[key]
            try:
                if self._completed:
                    self._complete()
            finally:
                self.stream.disconnect()
                self._file.discard()

    def _complete(self) -> None:
        with _map_errors(self._path):
            self.stream.flush(timeout_sec=FLUSH_TIMEOUT_SECONDS)
        self.stream.disconnect()
        _check_complete(self._file.temporary, self._path)
        self._file.commit()


@contextmanager
def _map_errors(path: Path) -> Iterator[None]:
    """Turns Rerun's errors and those of files into SinkWriteError."""
    try:
        with map_write_errors(path):
            yield
    except RuntimeError as error:
        raise make_write_error(path, error) from error


def _check_complete(written: Path, path: Path) -> None:
    """Raises SinkWriteError where the end of the recording is missing, which Rerun itself only logs."""
    from rerun.chunk import RrdReader

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            RrdReader(written)
        except (RuntimeError, Warning) as error:
            raise SinkWriteError(f"writing '{path}' failed at its end: {error}") from error
