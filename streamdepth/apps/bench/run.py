"""Measures everything in turns, so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamdepth.apps.bench.plan import Plan, Turn
from streamdepth.apps.bench.processes import CONTENDERS, workers
from streamdepth.apps.bench.report import facts


def run(
    plan: Plan, rounds: int, tell: Callable[[str], None] = lambda _: None, *, alone: bool = False
) -> dict[str, Any]:
    """Facts of `rounds` rounds, each a turn of every contender.

    tell: is called with what is done next. alone: only streamdepth itself. Raises StreamDepthError.
    """
    names = CONTENDERS[:1] if alone else CONTENDERS
    with workers(plan, lambda name: tell(f"preparing {name}"), names) as started:
        turns: list[dict[str, Turn]] = []
        for number in range(rounds):
            turns.append({})
            for worker in started:
                tell(f"round {number + 1} of {rounds}: {worker.name}")
                turns[-1].update(zip(worker.names, worker.turn(), strict=False))  # none of what is left out
        return facts(plan, started, turns)
