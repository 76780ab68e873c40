"""One drawn picture, such as the depth of a photo."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from streamdepth.core.errors import SinkWriteError
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.render.overlay import check_render_options, render
from streamdepth.sinks.pending_files import PendingFile
from streamdepth.sinks.write_errors import map_write_errors

COLORED_SUFFIXES = (".jpg", ".jpeg", ".webp")
"""Suffixes of pictures in which depth is drawn in colours; all other pictures hold the depth itself."""


class PictureSink(Sink):
    """Writes a frame with its depth as one .jpg or .webp.

    Raises:
        ConfigError: an option of drawing is wrong.
        SinkOpenError: from `open`.
        SinkWriteError: from `write` and `close`; "not-numbered" for a second frame.
    """

    def __init__(self, path: str | Path, options: RenderOptions = RenderOptions(), *, overwrite: bool = False) -> None:
        super().__init__()
        check_render_options(options)
        self.path, self.options, self.overwrite = Path(path), options, overwrite
        self._file: PendingFile | None = None

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self._file = PendingFile(self.path, overwrite=self.overwrite, input_path=info.file_path)

    def on_write(self, item: DepthFrame) -> None:
        assert self._file is not None
        if self._file.size:
            raise SinkWriteError(f"'{self.path}' can hold one frame only; write a video", code="not-numbered")
        with map_write_errors(self.path), self._file.temporary.open("wb") as file:
            kind = "WEBP" if self.path.suffix.lower() == ".webp" else "JPEG"
            Image.fromarray(render(item, self.options)).save(file, kind, quality=92)

    def on_close(self) -> None:
        assert self._file is not None
        if self._file.size:
            self._file.commit()
        else:
            self._file.discard()

    def on_discard(self) -> None:
        if self._file is not None:
            self._file.discard()
