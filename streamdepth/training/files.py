"""Files of a training: each is complete at its place, or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from streamdepth.errors import SinkWriteError


@contextmanager
def complete(path: Path) -> Iterator[Path]:
    """A path to write to, whose file becomes `path` at the end. Raises SinkWriteError where nothing can be written."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except (OSError, RuntimeError, SafetensorError) as error:  # of torch.save and save_file, the last two
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise SinkWriteError(f"cannot write '{path}': {reason}; name another folder, or free some space") from error
