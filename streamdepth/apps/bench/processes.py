"""Each contender runs in a process of its own, so that memory is its own and no thread disturbs another's turn."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from streamdepth.apps.bench.machine import peak_mb
from streamdepth.apps.bench.plan import Contender, LeftOutError, Plan, Turn
from streamdepth.core.errors import ConfigError, EstimatorError, MissingDependencyError, StreamDepthError

CONTENDERS = ("streamdepth", "transformers pipeline", "torch loop")
_ENDS_WITHIN_SECONDS = 10.0


def make_contender(name: str, plan: Plan) -> Contender:
    """By its name in CONTENDERS."""
    if name == CONTENDERS[0]:
        from streamdepth.apps.bench.streamdepth_run import Ours

        return Ours(plan)
    from streamdepth.apps.bench.reference_loops import TorchLoop, TransformersLoop

    return (TransformersLoop if name == CONTENDERS[1] else TorchLoop)(plan)


def serve(connection: Connection, name: str, plan: Plan) -> None:
    """In the contender's process: prepares, then one turn for each message, until None comes or nobody asks."""
    with contextlib.suppress(ValueError):  # a test's thread cannot
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks ends this one
    with contextlib.suppress(BrokenPipeError, EOFError):
        _serve(connection, name, plan)


def _serve(connection: Connection, name: str, plan: Plan) -> None:
    try:
        contender = make_contender(name, plan)
        connection.send(("ready", contender.prepare(), contender.names))
        while connection.recv() is not None:
            connection.send(("turn", contender.turn(), peak_mb()))
        contender.close()
    except LeftOutError as reason:
        connection.send(("left out", str(reason)))
    except StreamDepthError as error:
        # An exception with arguments of its own does not travel.
        connection.send(("failed", ConfigError(str(error)) if isinstance(error, MissingDependencyError) else error))
    except (BrokenPipeError, EOFError):
        raise
    except Exception as error:  # torch, OpenCV and transformers raise whatever they like
        connection.send(("left out", f"it failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"))


class Worker:
    """A contender in another process; `left_out` says why it is not there."""

    def __init__(self, name: str, plan: Plan) -> None:
        self.name, self.names = name, [name]
        self.facts: dict[str, Any] = {}
        self.left_out: str | None = None
        self.peak_mb: float | None = None
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, name, plan), daemon=True)
        self._process.start()
        other.close()

    def prepare(self) -> None:
        """Waits until the contender is ready, and learns its facts. Raises what it raised."""
        answer = self._answer()
        if answer is not None:
            self.facts, self.names = answer

    def turn(self) -> list[Turn]:
        """One turn of each of `names`; none when it is left out."""
        if self.left_out is not None:
            return []
        answer = self._answer("go")
        if answer is None:
            return []
        turns: list[Turn] = answer[0]
        self.peak_mb = answer[1]
        return turns

    def _answer(self, question: str | None = None) -> tuple[Any, ...] | None:
        try:
            if question is not None:
                self._connection.send(question)
            kind, *rest = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(_ENDS_WITHIN_SECONDS)
            code = self._process.exitcode
            raise EstimatorError(f"the process of {self.name!r} ended with {code}; was there enough memory?") from error
        if kind == "failed":
            raise rest[0]
        if kind == "left out":
            self.left_out = rest[0]
            return None
        return tuple(rest)

    def end(self) -> None:
        """Idempotent."""
        with contextlib.suppress(OSError):
            self._connection.send(None)
        self._connection.close()
        self._process.join(_ENDS_WITHIN_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Whatever it is at."""
        self._process.kill()
        self._process.join()


@contextmanager
def workers(plan: Plan, tell: Callable[[str], None], names: tuple[str, ...] = CONTENDERS) -> Iterator[list[Worker]]:
    """One after the other is started and prepared, so that each has the machine to itself; all are ended at the end.

    tell: is called with the name of each before.
    """
    started: list[Worker] = []
    try:
        for name in names:
            tell(name)
            started.append(Worker(name, plan))
            started[-1].prepare()
        yield started
    except BaseException:
        for worker in started:
            worker.kill()
        raise
    finally:
        for worker in started:
            worker.end()
