"""What a source leaves out because it holds no picture."""

from __future__ import annotations

from streamdepth.core.interfaces import Source

_MOST_TOLD = 3


class SkipCounter:
    """Counts what `source` skips, and announces the first few with their reasons. `what` they are, in the plural."""

    def __init__(self, source: Source, what: str) -> None:
        self._source, self._what = source, what
        self.count = 0

    def note(self, reason: str) -> None:
        """One more is skipped."""
        self.count += 1
        if self.count <= _MOST_TOLD:
            self._source.add_notice(f"skipped: {reason}")

    def settle(self) -> int:
        """Nothing more is read: all count as lost. Returns how many they were, and begins anew."""
        count, self.count = self.count, 0
        if count:
            self._source.undelivered["undecodable"] += count
        if count > _MOST_TOLD:
            self._source.add_notice(f"skipped: {count - _MOST_TOLD} more {self._what}")
        return count
