"""Closes several things of which some may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def run_all(actions: Iterable[Callable[[], object]]) -> None:
    """Runs all actions in their order, even if some of them fail, then raises the first failure.

    >>> done = []
    >>> run_all([lambda: 1 / 0, lambda: done.append("closed")])
    Traceback (most recent call last):
    ZeroDivisionError: division by zero
    >>> done
    ['closed']
    """
    failures: list[Exception] = []
    for action in actions:
        try:
            action()
        except Exception as error:
            failures.append(error)
    if failures:
        raise failures[0]
