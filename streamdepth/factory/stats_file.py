"""The report of a run, kept as a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamdepth.config import Settings
from streamdepth.pipeline.report import Report
from streamdepth.sinks.pending_files import atomic_write, check_output


class StatsFile:
    """The file that the setting `stats` names, if it does. Replaces that of a run that has read nothing.

    Raises SinkOpenError at once when it could not be written.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.outputs.stats
        self._overwrite = settings.outputs.overwrite or (self._path is not None and _is_of_nothing(self._path))
        if self._path:
            check_output(self._path, overwrite=self._overwrite)

    def write(self, report: Report) -> None:
        """Raises SinkError."""
        self.write_facts(report.as_json())

    def write_facts(self, facts: dict[str, Any]) -> None:
        """Raises SinkError."""
        if self._path is None:
            return
        with atomic_write(self._path, overwrite=self._overwrite) as temporary:
            temporary.write_text(json.dumps(facts, indent=2) + "\n")


def _is_of_nothing(path: Path) -> bool:
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and facts.get("read") == 0 and "streams" in facts
