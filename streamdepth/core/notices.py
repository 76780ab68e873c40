"""Notices: sentences that a user should read, each logged once and kept for the report."""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)


def warn_once(text: str, notices: list[str]) -> None:
    """Logs `text` as a warning and appends it to `notices`, unless it stands there already."""
    if text not in notices:
        notices.append(text)
        _log.warning("%s", text)
