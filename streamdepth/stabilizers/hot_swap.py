"""A stabilizer that is chosen anew before each frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind


class HotSwapStabilizer(Stabilizer):
    """What `choose` names, made by `make`; when another word is chosen, what the old one holds comes out first.

    For live streams: a stabilizer that is late cannot be chosen in mid-stream. Raises from `push` as `make` does.
    """

    def __init__(self, choose: Callable[[], str], make: Callable[[str], Stabilizer]) -> None:
        self._choose, self._make = choose, make
        self._word = choose()
        self._current = make(self._word)

    @property
    def notices(self) -> list[str]:
        return list(self._current.notices)

    def output_kind(self, kind: DepthKind) -> DepthKind:
        return self._current.output_kind(kind)

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        word = self._choose()
        if word != self._word:
            yield from self._current.flush()
            self._word, self._current = word, self._make(word)
        yield from self._current.push(item)

    def flush(self) -> Iterable[DepthFrame]:
        return self._current.flush()

    def reset(self) -> None:
        self._current.reset()
