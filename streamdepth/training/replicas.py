"""Copies of a network that compute the gradients of a batch's parts at the same time, each on one CPU thread.

Two threads with half of the views each are faster than one network on two threads: small layers are not worth being
split, and the views are drawn in parallel, too.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from streamdepth.training.settings import StepSettings, TrainSettings

Network = TypeVar("Network", bound=nn.Module)

LEAST_VIEWS = 8
"""Smallest number of views of a part; batch norms of the decoder need some to learn from."""


def parts_of(settings: TrainSettings, device: torch.device) -> int:
    """Returns the number of parts of a batch: one, or up to the number of CPU threads."""
    if device.type != "cpu":
        return 1
    smallest = min([settings.phase(settings.steps - 1).batch, *(phase.batch for phase in settings.phases)])
    return max(1, min(torch.get_num_threads(), smallest // LEAST_VIEWS))


def split(settings: StepSettings, part: int, parts: int) -> tuple[int, int]:
    """Returns the numbers of views, and of second views among them, in one of the parts of a batch."""
    views, pairs = (total * (part + 1) // parts - total * part // parts for total in (settings.batch, settings.pairs))
    return views, min(pairs, views // 2)


def replicate(network: Network, count: int) -> list[Network]:
    """Returns `network` and copies of it that share its parameters, but not their gradients or batch statistics."""
    replicas = [network, *(copy.deepcopy(network) for _ in range(count - 1))]
    for replica in replicas[1:]:
        for mine, shared in zip(replica.parameters(), network.parameters(), strict=True):
            mine.data = shared.data
    return replicas


def gather_gradients(replicas: Sequence[nn.Module]) -> None:
    """Adds the gradients of the other replicas to those of the first."""
    first = [p.grad for p in replicas[0].parameters() if p.grad is not None]
    for replica in replicas[1:]:
        torch._foreach_add_(first, [p.grad for p in replica.parameters() if p.grad is not None])


@contextmanager
def thread_pool(count: int) -> Iterator[ThreadPoolExecutor]:
    """Gives a pool of `count` threads, among which torch's CPU threads are divided."""
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(max(1, threads // count),)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)  # the number that threads begun later get is the last one set in any thread
