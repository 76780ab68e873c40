"""The source -: what another program writes into a pipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.errors import raises_code
from helpers.media import write_video

from streamdepth.config import make
from streamdepth.core.errors import ConfigError
from streamdepth.factory.sources import make_source

_COUNT_FRAMES = """
from streamdepth.config import make
from streamdepth.factory.sources import make_source
with make_source("-", make(source="-")) as source:
    print(source.open().name, sum(1 for _ in iter(source.read, None)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_redirected", [False, True])
@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
def test_standard_input_is_read(suffix: str, is_redirected: bool, tmp_path: Path) -> None:
    path = write_video(tmp_path / f"in{suffix}", count=7)
    command = [sys.executable, "-c", _COUNT_FRAMES]
    with path.open("rb") as file:
        content = {"stdin": file} if is_redirected else {"input": path.read_bytes()}
        done = subprocess.run(command, capture_output=True, timeout=60, check=True, **content)  # type: ignore[call-overload]
    assert done.stdout.split() == [b"standard", b"input", b"7"]


def test_a_terminal_is_no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    with raises_code(ConfigError, "no-source"):
        make_source("-", make(source="-"))
