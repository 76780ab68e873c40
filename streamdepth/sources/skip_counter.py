"""Counting of pictures that cannot be read and are left out."""

from __future__ import annotations

from streamdepth.core.interfaces import Source

_MAX_NOTICES = 3


class SkipCounter:
    """Counts what `source` skips, and announces the first few with their reasons.

    Args:
        source: gets the notices and, at the end, the count as `undelivered["undecodable"]`.
        items: words for what is skipped, in the plural, such as "pictures of shots/".
    """

    def __init__(self, source: Source, items: str) -> None:
        self._source, self._items = source, items
        self.count = 0

    def add(self, reason: str) -> None:
        """Counts one more skipped item."""
        self.count += 1
        if self.count <= _MAX_NOTICES:
            self._source.add_notice(f"skipped: {reason}")

    def finish(self) -> int:
        """Adds the count to the frames that `source` has lost, returns it, and starts again from 0."""
        count, self.count = self.count, 0
        if count:
            self._source.undelivered["undecodable"] += count
        if count > _MAX_NOTICES:
            self._source.add_notice(f"skipped: {count - _MAX_NOTICES} more {self._items}")
        return count
