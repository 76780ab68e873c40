"""A stabilizer that is exchanged for another while its stream goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind, Frame


class HotSwapStabilizer(Stabilizer):
    """Runs the stabilizer that `make` builds for the current result of `choose`, which is called before each frame.

    When `choose` returns another result, the items that are still in the old stabilizer come out first. It is for live
    streams: an offline stabilizer cannot be chosen in mid-stream. `push` raises what `make` raises.
    """

    def __init__(self, choose: Callable[[], str], make: Callable[[str], Stabilizer]) -> None:
        self._choose, self._make = choose, make
        self._name = choose()
        self._current = make(self._name)

    @property
    def notices(self) -> list[str]:
        return list(self._current.notices)

    def output_kind(self, kind: DepthKind) -> DepthKind:
        return self._current.output_kind(kind)

    def begins_shot(self, frame: Frame) -> bool:
        return self._current.begins_shot(frame)

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        name = self._choose()
        if name != self._name:
            yield from self._current.flush()
            self._name, self._current = name, self._make(name)
        yield from self._current.push(item)

    def flush(self) -> Iterable[DepthFrame]:
        return self._current.flush()

    def reset(self) -> None:
        self._current.reset()
