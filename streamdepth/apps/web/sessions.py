"""Sessions of signed-in browsers, and the back-off for addresses that try wrong tokens."""

from __future__ import annotations

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_log = logging.getLogger(__name__)

SESSION_SECONDS = 30 * 24 * 3600
"""Lifetime of a session."""
_MAX_SESSIONS = 1000
_MAX_ADDRESSES = 10_000
_FREE_ATTEMPTS = 10
"""Wrong tokens that an address may send before it has to wait."""
_FIRST_WAIT_SECONDS, _MAX_WAIT_SECONDS = 2.0, 300.0
_FORGET_SECONDS = 900.0
"""Time without a wrong token after which the failures of an address are forgotten."""


class SessionStore:
    """The sessions of browsers that have shown the token. They live in memory, and end with the server."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: OrderedDict[str, float] = OrderedDict()
        """Session -> when it ends, the oldest first."""

    def start(self) -> str:
        """Starts a session and returns its secret identifier."""
        while len(self._ends) >= _MAX_SESSIONS:
            self._ends.popitem(last=False)
        session = secrets.token_urlsafe(32)
        self._ends[session] = self._clock() + SESSION_SECONDS
        return session

    def is_valid(self, session: str) -> bool:
        """True if the session has been started, and has not ended."""
        return self._ends.get(session, 0.0) > self._clock()

    def end(self, session: str) -> None:
        """Ends a session; an unknown one is ignored."""
        self._ends.pop(session, None)


@dataclass(slots=True)
class _Attempts:
    count: int = 0
    last: float = 0.0
    wait_until: float = 0.0


class TokenThrottle:
    """Makes addresses that send wrong tokens wait, twice as long after each further one.

    A burst of wrong tokens is logged once, with the address it comes from and never with a token.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._attempts: OrderedDict[str, _Attempts] = OrderedDict()

    def seconds_to_wait(self, address: str) -> float:
        """Returns for how long tokens from this address are not checked; 0 if the next one is."""
        attempts = self._attempts.get(address)
        return max(0.0, attempts.wait_until - self._clock()) if attempts else 0.0

    def add_failure(self, address: str) -> None:
        """Counts a wrong token of this address."""
        now = self._clock()
        attempts = self._attempts.pop(address, None)
        if attempts is None or now - max(attempts.last, attempts.wait_until) > _FORGET_SECONDS:
            attempts = _Attempts()
        attempts.count, attempts.last = attempts.count + 1, now
        over = attempts.count - _FREE_ATTEMPTS
        if over >= 0:
            attempts.wait_until = now + min(_MAX_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2.0 ** min(over, 20))
        if over == 0:
            _log.warning(
                "%d wrong tokens came from %s; it has to wait before each further one", attempts.count, address
            )
        while len(self._attempts) >= _MAX_ADDRESSES:
            self._attempts.popitem(last=False)
        self._attempts[address] = attempts

    def forget(self, address: str) -> None:
        """Forgets the failures of an address that has sent the right token."""
        self._attempts.pop(address, None)
