"""Outputs that lie elsewhere: written here, and put there when they are complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.interfaces import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.utils import storage
from streamdepth.utils.redact import redact


class RemoteSink(Sink):
    """Lets `make(path)` write into a temporary folder (TMPDIR), and at `close` puts all its files beside `address`.

    `address` itself comes last: it appears when all is there. Raises SinkOpenError where something is there already and
    may not be overwritten, and SinkWriteError when it cannot be put there; then `address` is as it was, files beside it
    may be new, and none is kept here.
    """

    def __init__(self, address: str, make: Callable[[Path], Sink], *, overwrite: bool = False) -> None:
        super().__init__()
        self.address, self.overwrite = address, overwrite
        self._make = make
        self._folder: TemporaryDirectory[str] | None = None
        self._sink: Sink | None = None

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        if not self.overwrite and storage.exists(self.address, SinkOpenError):
            raise SinkOpenError(f"'{redact(self.address)}' exists already; use --overwrite or choose another name")
        self._folder = TemporaryDirectory(prefix="streamdepth-", ignore_cleanup_errors=True)
        try:
            self._sink = self._make(Path(self._folder.name) / storage.file_name(self.address))
            self._sink.notices = self.notices
            self._sink.open(info, model)
        except BaseException:
            self._clear()
            raise

    def write(self, item: DepthFrame) -> None:
        if self._sink is None:
            raise SinkWriteError(f"'{redact(self.address)}' is not open; call open first")
        self._sink.write(item)

    def on_stream_changed(self, info: StreamInfo) -> None:
        if self._sink is not None:
            self._sink.on_stream_changed(info)

    def on_idle(self) -> None:
        if self._sink is not None:
            self._sink.on_idle()

    @property
    def bytes_to_finish(self) -> int:
        return self._sink.bytes_to_finish if self._sink is not None else 0

    @property
    def wants_stop(self) -> bool:
        return self._sink is not None and self._sink.wants_stop

    def close(self) -> None:
        if self._sink is None or self._folder is None:
            return
        try:
            self._close_and_store(self._sink, Path(self._folder.name))
        finally:
            self._clear()

    def _close_and_store(self, sink: Sink, folder: Path) -> None:
        """A recording that ended because the disk was nearly full is complete, and is stored as any other."""
        try:
            sink.close()
        finally:
            where, _, name = self.address.rpartition("/")
            files = [path for path in folder.iterdir() if not path.name.startswith(".")]
            for file in sorted(files, key=lambda path: (path.name == name, path.name)):
                storage.upload(file, f"{where}/{file.name}", SinkWriteError)

    def discard(self) -> None:
        if self._sink is not None:
            self._sink.discard()
        self._clear()

    def _clear(self) -> None:
        folder, self._folder, self._sink = self._folder, None, None
        if folder is not None:
            folder.cleanup()
