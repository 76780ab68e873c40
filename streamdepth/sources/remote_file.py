"""Video files in remote storage, downloaded before they are read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from streamdepth.core.errors import SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.sources.file import FileSource
from streamdepth.sources.limits import MAX_SIDE_PX
from streamdepth.utils import storage
from streamdepth.utils.redact import redact


class RemoteFileSource(Source):
    """A video file at an address of fsspec, copied to a temporary folder (TMPDIR) until `close`; read as a FileSource.

    Reading it in place would be slower and less reliable: the index of a video is often at its end, and a second reader
    copies the sound.
    """

    def __init__(
        self,
        address: str,
        *,
        input_fps: Fraction | None = None,
        deinterlaces: bool = False,
        start_seconds: float = 0.0,
        max_side_px: int = MAX_SIDE_PX,
    ) -> None:
        super().__init__()
        self.address, self.input_fps, self.max_side_px = address, input_fps, max_side_px
        self.deinterlaces, self.start_seconds = deinterlaces, start_seconds
        self._folder: TemporaryDirectory[str] | None = None
        self._file: FileSource | None = None

    def open(self) -> StreamInfo:
        try:
            self._file = self._file or self._download()
            return self._file.open()
        except BaseException:
            self._release()
            raise

    def _download(self) -> FileSource:
        self._folder = TemporaryDirectory(prefix="streamdepth-", ignore_cleanup_errors=True)
        path = Path(self._folder.name) / storage.file_name(self.address)
        storage.download(self.address, path, SourceOpenError)
        file = FileSource(
            path,
            name=redact(self.address),
            input_fps=self.input_fps,
            deinterlaces=self.deinterlaces,
            start_seconds=self.start_seconds,
            max_side_px=self.max_side_px,
        )
        file.undelivered, file.notices = self.undelivered, self.notices
        return file

    def read(self) -> Frame | None:
        return self._file.read() if self._file else None

    def _release(self) -> None:
        file, self._file = self._file, None
        folder, self._folder = self._folder, None
        if file is not None:
            file.close()
        if folder is not None:
            folder.cleanup()

    def close(self) -> None:
        self._release()
        super().close()
