"""A process for each implementation of a benchmark, so that their memory and threads are separate."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from streamdepth.apps.bench.machine import peak_memory_mb
from streamdepth.apps.bench.plan import BenchmarkPlan, Implementation, Measurement, SkippedError
from streamdepth.core.errors import EstimatorError, StreamDepthError
from streamdepth.core.system_libraries import missing_system_library

IMPLEMENTATIONS = ("streamdepth", "transformers pipeline", "torch loop")
_EXIT_TIMEOUT_SECONDS = 10.0


def make_implementation(name: str, plan: BenchmarkPlan) -> Implementation:
    """Makes the implementation with that name of IMPLEMENTATIONS."""
    if name == IMPLEMENTATIONS[0]:
        from streamdepth.apps.bench.streamdepth_run import StreamDepthImplementation

        return StreamDepthImplementation(plan)
    from streamdepth.apps.bench.reference_loops import TorchLoop, TransformersLoop

    return (TransformersLoop if name == IMPLEMENTATIONS[1] else TorchLoop)(plan)


def serve(connection: Connection, name: str, plan: BenchmarkPlan) -> None:
    """Runs in the implementation's process: prepares, then measures one round per message, until it gets None."""
    with contextlib.suppress(ValueError):  # a thread of a test cannot
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C, the parent process ends this one
    with contextlib.suppress(BrokenPipeError, EOFError):
        _serve(connection, name, plan)


def _serve(connection: Connection, name: str, plan: BenchmarkPlan) -> None:
    try:
        implementation = make_implementation(name, plan)
        connection.send(("ready", implementation.prepare(), implementation.names))
        while connection.recv() is not None:
            connection.send(("measured", implementation.measure(), peak_memory_mb()))
        implementation.close()
    except SkippedError as reason:
        connection.send(("skipped", str(reason)))
    except StreamDepthError as error:
        connection.send(("failed", missing_system_library(error) or error))
    except (BrokenPipeError, EOFError):
        raise
    except Exception as error:  # torch, OpenCV and transformers raise many kinds of errors
        if library := missing_system_library(error):
            connection.send(("failed", library))
        else:
            connection.send(("skipped", f"it failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"))


class ImplementationProcess:
    """An implementation that runs in another process."""

    def __init__(self, name: str, plan: BenchmarkPlan) -> None:
        self.name, self.names = name, [name]
        self.facts: dict[str, Any] = {}
        self.skip_reason: str | None = None
        """Why the implementation takes no part; None if it does."""
        self.peak_mb: float | None = None
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, name, plan), daemon=True)
        self._process.start()
        other.close()

    def prepare(self) -> None:
        """Waits until the implementation is ready, and stores its facts. Raises what `prepare` raised there."""
        answer = self._receive()
        if answer is not None:
            self.facts, self.names = answer

    def measure(self) -> list[Measurement]:
        """Runs one round, and returns a measurement for each of `names`; none if the implementation is skipped."""
        if self.skip_reason is not None:
            return []
        answer = self._receive("measure")
        if answer is None:
            return []
        measurements: list[Measurement] = answer[0]
        self.peak_mb = answer[1]
        return measurements

    def _receive(self, request: str | None = None) -> tuple[Any, ...] | None:
        """Sends the request, if there is one, and waits for the answer; returns None if the process was skipped."""
        try:
            if request is not None:
                self._connection.send(request)
            kind, *rest = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(_EXIT_TIMEOUT_SECONDS)
            code = self._process.exitcode
            raise EstimatorError(
                f"the process of {self.name!r} ended with {code}; was there enough memory?", code="process-crashed"
            ) from error
        if kind == "failed":
            raise rest[0]
        if kind == "skipped":
            self.skip_reason = rest[0]
            return None
        return tuple(rest)

    def close(self) -> None:
        """Ends the process, by force if it does not end within seconds. Idempotent."""
        with contextlib.suppress(OSError):
            self._connection.send(None)
        self._connection.close()
        self._process.join(_EXIT_TIMEOUT_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.join()


@contextmanager
def running_processes(
    plan: BenchmarkPlan, on_prepare: Callable[[str], None], names: tuple[str, ...] = IMPLEMENTATIONS
) -> Iterator[list[ImplementationProcess]]:
    """Starts and prepares one process after the other, so that none disturbs another; ends all at the end.

    Args:
        plan: what is measured.
        on_prepare: gets each name before its process is started.
        names: which of IMPLEMENTATIONS.
    """
    processes: list[ImplementationProcess] = []
    try:
        for name in names:
            on_prepare(name)
            processes.append(ImplementationProcess(name, plan))
            processes[-1].prepare()
        yield processes
    except BaseException:
        for process in processes:
            process.kill()
        raise
    finally:
        for process in processes:
            process.close()
