"""Results that are still being computed."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Future(Protocol[T_co]):
    """A result that is being computed; `concurrent.futures.Future` satisfies this protocol."""

    def result(self) -> T_co:
        """Waits for the result and returns it, or raises what the computation raised. Called once."""
        ...


class CompletedFuture(Generic[T]):
    """A result that is there already."""

    def __init__(self, result: T) -> None:
        self._result = result

    def result(self) -> T:
        """Returns the result at once."""
        return self._result
