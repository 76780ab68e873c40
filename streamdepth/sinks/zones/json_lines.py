"""Records of zones as JSON Lines: in a file, or on standard output."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from streamdepth.core.errors import SinkOpenError
from streamdepth.sinks.output_checks import check_output
from streamdepth.sinks.standard_output import STANDARD_OUTPUT, StandardOutput
from streamdepth.sinks.write_errors import map_write_errors
from streamdepth.sinks.zones.output import ZoneOutput
from streamdepth.sinks.zones.records import ZoneRecord


class JsonLinesOutput(ZoneOutput):
    """Writes one JSON object per line: the values of every frame, and events.

    Each line is in the file as soon as it is known, so that other programs can follow it (`tail -f`), and stays there
    if the run fails.

    Args:
        path: the file, or STANDARD_OUTPUT.
        overwrite: replaces a file that exists.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path, self.overwrite, self.name = path, overwrite, f"'{path}'"
        self._stream: BinaryIO | StandardOutput | None = None

    def check(self) -> None:
        if self.path != STANDARD_OUTPUT:
            check_output(self.path, overwrite=self.overwrite)

    def open(self, stream: str, on_notice: Callable[[str], None]) -> None:
        self.check()
        if self.path == STANDARD_OUTPUT:
            self._stream = StandardOutput(is_text=True)
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("wb", buffering=0)
        except OSError as error:
            raise SinkOpenError(
                f"cannot write '{self.path}': {error.strerror}; choose another name", code="not-writable"
            ) from error

    def write(self, records: Sequence[ZoneRecord]) -> None:
        assert self._stream is not None
        lines = "".join(f"{json.dumps(record, allow_nan=False)}\n" for record in records)
        with map_write_errors(self.path):
            self._stream.write(lines.encode())

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if isinstance(stream, StandardOutput):
            stream.commit()
        elif stream is not None:
            with map_write_errors(self.path):
                stream.close()
