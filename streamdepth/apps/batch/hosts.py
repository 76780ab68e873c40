"""All hosts of a cluster: work goes to the one with least to do, and again to another where one is lost."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamdepth.apps.batch.cluster import Place, import_ray, places
from streamdepth.apps.batch.host import Host
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, EstimatorError, InferenceError, StreamDepthError
from streamdepth.core.types import ModelInfo

_log = logging.getLogger(__name__)

_MOST_TRIES = 3
"""What ends so many hosts is at fault itself."""
_START_SECONDS = 600.0


@dataclass(slots=True, eq=False)
class _Hosted:
    actor: Any
    place: Place
    tries: int = 1
    """Of starting one at this place."""
    calls: int = 0


@dataclass(slots=True, eq=False)
class Call:
    """Something that a host was asked for."""

    method: str
    arguments: tuple[Any, ...]
    host: _Hosted
    reference: Any
    tries: int = 1
    is_done: bool = False
    result: Any = None
    error: StreamDepthError | None = None


class HostLostError(EstimatorError):
    """The work ended several hosts, or none is left."""


class Hosts:
    """One `Host` at each place of the cluster that was joined. Not for two threads at a time.

    Which engine and precision to use is decided once, on the first pictures of `source`, as one machine decides it, and
    holds for all hosts. One that is lost is replaced as soon as there is room, while it starts three times at most; one
    that cannot load the model is left out. Raises as loading the model does where none can.
    """

    def __init__(self, settings: Settings, source: str) -> None:
        self._ray, self._settings = import_ray(), settings
        self._class = self._ray.remote(concurrency_groups={"beside": 1})(Host)
        self._here: list[_Hosted] = []
        self._starting: dict[Any, _Hosted] = {}
        self._failure: StreamDepthError | None = None
        """The last one of a host that began."""
        hosts = deque(self._create(place) for place in places(settings))
        self.info, self._changes = self._judged(hosts, source)
        """Of the model, on all hosts; and how the others' settings must be for that."""
        for host in hosts:
            self._load(host)

    def __len__(self) -> int:
        """How many there are to be."""
        return len(self._here) + len(self._starting)

    def _create(self, place: Place, tries: int = 1) -> _Hosted:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(place.node, soft=True)
        room = {"num_cpus": place.cores, "num_gpus": int(place.has_gpu)}
        actor = self._class.options(scheduling_strategy=there, **room).remote(self._settings, place, os.getcwd())
        return _Hosted(actor, place, tries)

    def _load(self, host: _Hosted) -> None:
        self._starting[host.actor.load.remote(self._changes)] = host

    def _judged(self, hosts: deque[_Hosted], source: str) -> tuple[ModelInfo, dict[str, Any]]:
        """By the first of `hosts` that can; it, and those that cannot, are taken out."""
        while hosts:
            host = hosts.popleft()
            try:
                judgement: tuple[ModelInfo, dict[str, Any]] = self._get(host.actor.judge.remote(source), _START_SECONDS)
                self._here.append(host)
                return judgement
            except self._ray.exceptions.GetTimeoutError as error:
                raise HostLostError("the cluster gives no room; see what else runs there by 'ray status'") from error
            except ConfigError:
                raise  # the same everywhere
            except (self._ray.exceptions.RayError, StreamDepthError) as error:
                if again := self._again(host, error):
                    hosts.appendleft(again)
        raise self._none_left()

    def _again(self, host: _Hosted, error: Exception) -> _Hosted | None:
        """Another for one that was lost while it began; None where it could not load the model, or too often."""
        self._ray.kill(host.actor)
        if isinstance(error, StreamDepthError):
            _log.warning("a worker cannot begin, and is left out: %s", _words(error))
            self._failure = error
            return None
        _log.warning("a worker was lost while it began: %s", _words(error))
        self._failure = HostLostError(f"workers were lost while they began: {_words(error)}")
        return self._create(host.place, host.tries + 1) if host.tries < _MOST_TRIES else None

    def _none_left(self) -> StreamDepthError:
        return self._failure or HostLostError(
            "no worker is left on the cluster; see its log, and run the same command again"
        )

    def ask(self, method: str, *arguments: Any) -> Call:
        """Lets the host with least to do begin. Raises HostLostError, or why the last host could not begin."""
        host = self._freest()
        return Call(method, arguments, host, self._send(host, method, arguments))

    def _send(self, host: _Hosted, method: str, arguments: tuple[Any, ...]) -> Any:
        host.calls += 1
        return getattr(host.actor, method).remote(*arguments)

    def _freest(self) -> _Hosted:
        self._welcome(0.0)
        deadline = time.monotonic() + _START_SECONDS
        while not self._here and self._starting and (left := deadline - time.monotonic()) > 0:
            self._welcome(left)
        if not self._here:
            raise self._none_left()
        return min(self._here, key=lambda host: host.calls)

    @property
    def free(self) -> int:
        """How many have nothing to do."""
        self._welcome(0.0)
        return sum(not host.calls for host in self._here)

    def _welcome(self, within: float) -> None:
        """Those that have started in the meantime."""
        if not self._starting:
            return
        ready, _ = self._ray.wait(
            list(self._starting), num_returns=1 if within else len(self._starting), timeout=within
        )
        for reference in ready:
            host = self._starting.pop(reference)
            try:
                self._get(reference)
                self._here.append(host)
            except (self._ray.exceptions.RayError, StreamDepthError) as error:
                if again := self._again(host, error):
                    self._load(again)

    def answer(self, call: Call) -> Any:
        """Waits for it. Raises HostLostError, and what the method raised."""
        while not call.is_done:
            self._settle(call)
        if call.error is not None:
            raise call.error
        return call.result

    def finished(self, calls: Sequence[Call], within: float) -> list[Call]:
        """Those that `answer` need not wait for; waits for one of them, `within` seconds at most."""
        ready, _ = self._ray.wait([call.reference for call in calls], num_returns=1, timeout=within)
        for call in calls:
            if call.reference in ready:
                self._settle(call)
        return [call for call in calls if call.is_done]

    def _settle(self, call: Call) -> None:
        """Waits for what its host does with it; where the host is lost, another one begins and it is not done."""
        try:
            call.result = self._get(call.reference)
        except self._ray.exceptions.RayError as error:  # the process, or the machine that keeps the result
            self._replace(call.host, error)
            self._ask_another(call)
            return
        except StreamDepthError as error:
            call.error = error
        call.host.calls -= 1
        call.is_done = True

    def _ask_another(self, call: Call) -> None:
        try:
            if call.tries == _MOST_TRIES:
                raise HostLostError(f"this ended {call.tries} workers, one after the other; is there enough memory?")
            call.tries += 1
            call.host = self._freest()
            call.reference = self._send(call.host, call.method, call.arguments)
        except StreamDepthError as hopeless:
            call.error, call.is_done = hopeless, True

    def shares(self, calls: Sequence[Call]) -> list[float]:
        """How much of each file is done, 0 to 1, of calls of `convert`."""
        asked = [call.host.actor.share.options(concurrency_group="beside").remote() for call in calls]
        ready, _ = self._ray.wait(asked, num_returns=len(asked), timeout=1.0)
        found = []
        for reference in asked:
            try:
                found.append(float(self._ray.get(reference)) if reference in ready else 0.0)
            except self._ray.exceptions.RayError:
                found.append(0.0)
        return found

    def _replace(self, host: _Hosted, error: Exception) -> None:
        if host in self._here:
            _log.warning("a worker was lost, its work goes to another: %s", _words(error))
            self._here.remove(host)
            self._ray.kill(host.actor)  # where it was only out of reach
            self._load(self._create(host.place))

    def _get(self, reference: Any, within: float | None = None) -> Any:
        """Raises RayError for a loss, what streamdepth raised there, or InferenceError for anything else."""
        try:
            return self._ray.get(reference, timeout=within)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, StreamDepthError):
                raise cause from None
            raise InferenceError(f"a worker failed: {type(cause).__name__}: {cause}") from cause

    def close(self) -> None:
        """Ends all of them at once."""
        for host in (*self._here, *self._starting.values()):
            self._ray.kill(host.actor)
        self._here, self._starting = [], {}


def _words(error: Exception) -> str:
    """What Ray says at last; before it, it tells of many things."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:300]
