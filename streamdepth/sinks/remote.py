"""Outputs in remote storage: written to a local temporary folder, and uploaded when they are complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.sink import Sink
from streamdepth.core.types import ModelInfo, StreamInfo
from streamdepth.core.wording import switch
from streamdepth.core.wrappers import WrappedSink
from streamdepth.utils import storage
from streamdepth.utils.redact import redact


class RemoteSink(WrappedSink):
    """Writes through `make(path)` into a temporary folder (TMPDIR), and uploads all its files at `close`.

        sink = RemoteSink("s3://bucket/out.mp4", VideoSink)

    `address` itself is uploaded last, so that it appears when all files are complete. If uploading fails, `address` is
    unchanged, files beside it may be new, and the temporary files are removed.

    Raises:
        SinkOpenError: from `open`, if `address` exists and must not be overwritten ("exists").
        SinkWriteError: from `close`, when it cannot be uploaded.
    """

    def __init__(self, address: str, make: Callable[[Path], Sink], *, overwrite: bool = False) -> None:
        super().__init__()
        self.address, self.overwrite = address, overwrite
        self._make = make
        self._folder: TemporaryDirectory[str] | None = None

    def check(self) -> None:
        self._check_address()
        self._make(Path(storage.file_name(self.address))).check()

    def _check_address(self) -> None:
        if not self.overwrite and storage.exists(self.address, SinkOpenError):
            raise SinkOpenError(
                f"'{redact(self.address)}' exists already; use {switch('--overwrite')} or choose another name",
                code="exists",
            )

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self._check_address()
        self._folder = TemporaryDirectory(prefix="streamdepth-", ignore_cleanup_errors=True)
        self.set_inner(self._make(Path(self._folder.name) / storage.file_name(self.address)))
        super().on_open(info, model)

    def on_close(self) -> None:
        assert self._folder is not None
        try:
            super().on_close()
        finally:  # a recording that ended because the disk was nearly full is complete, and is uploaded as any other
            self._upload(Path(self._folder.name))
        self._remove_folder()

    def _upload(self, folder: Path) -> None:
        remote_folder, _, name = self.address.rpartition("/")
        files = [path for path in folder.iterdir() if not path.name.startswith(".")]
        for file in sorted(files, key=lambda path: (path.name == name, path.name)):
            storage.upload(file, f"{remote_folder}/{file.name}", SinkWriteError)

    def on_discard(self) -> None:
        super().on_discard()
        self._remove_folder()

    def _remove_folder(self) -> None:
        folder, self._folder, self.inner = self._folder, None, None
        if folder is not None:
            folder.cleanup()
