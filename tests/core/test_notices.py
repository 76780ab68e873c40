"""Notices are logged once, and not at all where many runs would say the same."""

from __future__ import annotations

import logging

import pytest

from streamdepth.core.notices import notices_not_logged, warn_once


def test_a_notice_is_logged_once_and_again_after_a_silence(caplog: pytest.LogCaptureFixture) -> None:
    notices: list[str] = []
    with caplog.at_level(logging.WARNING):
        with notices_not_logged():
            warn_once("the lens is dirty", notices)
        assert not caplog.records
        warn_once("the sun is low", notices)
        warn_once("the sun is low", notices)
    assert [record.getMessage() for record in caplog.records] == ["the sun is low"]
    assert notices == ["the lens is dirty", "the sun is low"]
