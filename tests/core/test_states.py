from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from helpers.waiting import wait_until

from streamdepth.core.states import StateChange, StateHistory, StreamState
from streamdepth.sources.browser import BrowserSource


def test_changes_are_noted_once_and_told_to_who_listens() -> None:
    log, heard = StateHistory(), []
    log.add_listener(heard.append)
    for state in (StreamState.CONNECTING, StreamState.LIVE, StreamState.LIVE, StreamState.STALLED):
        log.enter(state, "because")
    assert [change.state for change in heard] == ["connecting", "live", "stalled"]
    assert log.current == heard[-1] == log.changes[-1]
    assert isinstance(log.current, StateChange)
    assert log.current.reason == "because"
    assert heard[0].at <= heard[-1].at


def test_a_new_reason_for_the_same_state_is_a_change_too() -> None:
    log = StateHistory()
    for reason in ("", "nothing listens", "nothing listens", "", "no such stream"):
        log.enter(StreamState.CONNECTING, reason)
    assert [change.reason for change in log.changes] == ["", "", "nothing listens", "no such stream"]


def test_coming_back_is_a_reconnect_and_recovering_from_a_stall_is_none() -> None:
    log = StateHistory()
    for state in ("connecting", "live", "stalled", "live", "reconnecting", "live", "stalled", "reconnecting", "failed"):
        log.enter(StreamState(state))
    assert log.reconnects == 1


def test_a_long_life_is_remembered_in_bounded_memory() -> None:
    log = StateHistory()
    for _ in range(10_000):
        log.enter(StreamState.RECONNECTING)
        log.enter(StreamState.LIVE)
    assert log.reconnects == 10_000
    assert len(log.changes) == 200


def test_what_is_over() -> None:
    assert [state.value for state in StreamState if state.is_over] == ["ended", "failed"]


@pytest.fixture
def browser() -> Iterator[BrowserSource]:
    source = BrowserSource()
    source.on_disconnected()
    assert source.state == "closed"
    source.open()
    yield source
    source.close()


@contextmanager
def reading(source: BrowserSource) -> Iterator[None]:
    """Reads on a thread, as a pipeline does: each picture makes the stream live."""

    def read() -> None:
        while source.read() is not None:
            source.states.enter(StreamState.LIVE)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        source.close()
        reader.join(10)
    assert not reader.is_alive()


def test_a_browser_that_leaves_is_waited_for(browser: BrowserSource) -> None:
    with reading(browser):
        for reconnects in (0, 1):
            browser.put_image(np.zeros((48, 64, 3), np.uint8))
            wait_until(lambda: browser.state == "live")
            assert browser.states.reconnects == reconnects
            browser.on_disconnected()
            wait_until(lambda: browser.state == "reconnecting")


def test_the_last_picture_of_a_browser_that_has_left_does_not_hide_that(browser: BrowserSource) -> None:
    browser.put_image(np.zeros((48, 64, 3), np.uint8))
    browser.on_disconnected()
    with reading(browser):
        wait_until(lambda: browser.state == "reconnecting")
    assert [change.state.value for change in browser.states.changes][-2:] == ["live", "reconnecting"]


@pytest.mark.parametrize("end", ["ended", "failed"])
def test_a_browser_that_leaves_when_all_is_over_changes_nothing(browser: BrowserSource, end: str) -> None:
    with reading(browser):
        browser.states.enter(StreamState.LIVE)
        browser.on_disconnected()
        wait_until(lambda: browser.state == "reconnecting")
        browser.states.enter(StreamState(end))
        browser.on_disconnected()
        browser.close()
        browser.on_disconnected()
    assert browser.state == end


def test_a_listener_that_fails_is_logged_and_touches_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    def broken(change: StateChange) -> None:
        raise ValueError("broken on purpose")

    log, heard = StateHistory(), []
    log.add_listener(broken)
    log.add_listener(heard.append)
    with caplog.at_level(logging.WARNING):
        log.enter(StreamState.LIVE)
    assert log.current is heard[0]
    assert "a listener failed when a stream's state became 'live'" in caplog.text
    assert "broken on purpose" in caplog.text
