"""The report of a run as a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamdepth.config import Settings
from streamdepth.pipeline.report import Report
from streamdepth.sinks.output_checks import check_output
from streamdepth.sinks.pending_files import atomic_write


class ReportFile:
    """The JSON file of `outputs.stats`; without that setting nothing is written.

    The report of a run that read nothing is replaced without `overwrite`.

    Raises:
        SinkOpenError: at once, if the file could not be written.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.outputs.stats
        self._overwrite = settings.outputs.overwrite or (self._path is not None and _is_empty_report(self._path))
        if self._path:
            check_output(self._path, overwrite=self._overwrite)

    def write(self, report: Report) -> None:
        """Writes a report. Raises SinkError."""
        self.write_json(report.as_json())

    def write_json(self, facts: dict[str, Any]) -> None:
        """Writes facts in plain types. Raises SinkError."""
        if self._path is None:
            return
        with atomic_write(self._path, overwrite=self._overwrite) as temporary:
            temporary.write_text(json.dumps(facts, indent=2) + "\n")


def _is_empty_report(path: Path) -> bool:
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and facts.get("read") == 0 and "streams" in facts
