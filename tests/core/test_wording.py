"""Messages name what a user can write: flags on the command line, keywords in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamdepth.core.errors import SinkOpenError
from streamdepth.core.wording import command_line_wording
from streamdepth.sinks.output_checks import check_output


def test_a_switch_is_a_flag_or_a_keyword(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    with pytest.raises(SinkOpenError) as in_python:
        check_output(path)
    with command_line_wording(), pytest.raises(SinkOpenError) as in_a_shell:
        check_output(path)
    assert "use overwrite=True or" in str(in_python.value)
    assert "use --overwrite or" in str(in_a_shell.value)
