"""Notices: sentences that a user should read, each logged once and kept for the report."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


def warn_once(text: str, notices: list[str]) -> None:
    """Logs `text` as a warning and appends it to `notices`, unless it stands there already."""
    if text not in notices:
        notices.append(text)
        _log.warning("%s", text)


@contextmanager
def notices_not_logged() -> Iterator[None]:
    """Keeps notices out of the log, where many runs would each say the same; they stay in the reports."""
    level = _log.level
    _log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        _log.setLevel(level)
