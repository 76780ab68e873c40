from __future__ import annotations

import threading
import time
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.core.buffer import FrameBuffer, QueuePolicy, StreamEnd


def _thread(work) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_waiting_queue_loses_nothing() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(QueuePolicy(2))

    def produce() -> None:
        for i in range(100):
            buffer.put(i)
        buffer.close()

    thread = _thread(produce)
    got: list[int] = []
    while taken := buffer.take(3):
        got += taken
        assert len(buffer) <= 2
    thread.join(5)
    assert got == list(range(100))


def test_a_dropping_queue_keeps_the_newest_and_counts() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(QueuePolicy(2, "drop_oldest"))
    for i in range(10):
        assert buffer.put(i)
    assert buffer.dropped == [8]
    assert buffer.take(5) == [8, 9]


def test_streams_take_turns() -> None:
    buffer: FrameBuffer[str] = FrameBuffer(QueuePolicy(3), QueuePolicy(3), QueuePolicy(3))
    for item in ("a1", "a2", "a3"):
        buffer.put(item, 0)
    buffer.put("b1", 1)
    buffer.put("c1", 2)
    assert buffer.take(4) == ["a1", "b1", "c1", "a2"]


def test_an_error_comes_after_the_items_before_it_as_the_same_object_and_once() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(QueuePolicy(3))
    error = ValueError("lost")
    buffer.put(1)
    buffer.close(error)
    assert buffer.take() == [1]
    with pytest.raises(ValueError, match="lost") as caught:
        buffer.take()
    assert caught.value is error
    assert buffer.take() == []


def test_it_is_over_once_nothing_is_left_to_be_taken_or_raised() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(QueuePolicy(3))
    buffer.put(1)
    buffer.close(ValueError("lost"))
    assert (buffer.is_closed, buffer.is_over) == (True, False)
    buffer.take()
    assert not buffer.is_over
    with pytest.raises(ValueError, match="lost"):
        buffer.take()
    assert buffer.is_over


def test_the_end_of_one_stream_leaves_the_others() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(QueuePolicy(3), QueuePolicy(3))
    error = ValueError("lost")
    buffer.end_stream(0, error)
    buffer.put(5, 1)
    assert buffer.take() == []
    assert buffer.take_ended() == [StreamEnd(0, error)]
    assert buffer.take() == [5]


def test_close_wakes_a_waiting_put_and_a_waiting_take() -> None:
    full: FrameBuffer[int] = FrameBuffer(QueuePolicy(1))
    full.put(0)
    empty: FrameBuffer[int] = FrameBuffer(QueuePolicy(1))
    answers: list[object] = []
    threads = [_thread(lambda: answers.append(full.put(1))), _thread(lambda: answers.append(empty.take()))]
    time.sleep(0.05)
    full.close()
    empty.close()
    for thread in threads:
        thread.join(5)
    assert sorted(map(str, answers)) == ["False", "[]"]


def test_waiting_until_full_waits_for_a_full_batch_but_not_beyond_the_end() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(QueuePolicy(4))

    def produce() -> None:
        for i in range(6):
            time.sleep(0.005)
            buffer.put(i)
        buffer.close()

    thread = _thread(produce)
    assert buffer.take(4, wait_until_full=True) == [0, 1, 2, 3]
    assert buffer.take(4, wait_until_full=True) == [4, 5]
    assert buffer.take(4, wait_until_full=True) == []
    thread.join(5)


def test_waiting_until_full_does_not_wait_for_what_a_full_queue_cannot_hold() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(QueuePolicy(2), QueuePolicy(2))
    buffer.put(1)
    buffer.put(2)
    assert buffer.take(3, wait_until_full=True) == [1, 2]


def test_clear_closes_and_counts() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(QueuePolicy(3))
    buffer.put(1)
    buffer.put(2)
    assert buffer.clear() == [2]
    assert not buffer.put(3)
    assert buffer.take() == []


def test_a_queue_holds_at_least_one_item() -> None:
    with pytest.raises(ValueError, match="at least one"):
        QueuePolicy(0)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 1), st.integers(1, 4)), max_size=60),
    st.integers(1, 4),
)
def test_it_behaves_like_bounded_deques(steps: list[tuple[bool, int, int]], size: int) -> None:
    """Against a model: order within a stream, bounds and drop counts hold for any sequence of puts and takes."""
    buffer: FrameBuffer[tuple[int, int]] = FrameBuffer(
        QueuePolicy(size, "drop_oldest"), QueuePolicy(size, "drop_oldest")
    )
    queues: list[deque[tuple[int, int]]] = [deque(maxlen=size), deque(maxlen=size)]
    dropped = 0
    for number, (is_put, stream_index, max_items) in enumerate(steps):
        if is_put:
            dropped += len(queues[stream_index]) == size
            queues[stream_index].append((stream_index, number))
            buffer.put((stream_index, number), stream_index)
        elif sum(map(len, queues)):
            taken = buffer.take(max_items)
            assert len(taken) == min(max_items, sum(map(len, queues)))
            for item in taken:
                assert item == queues[item[0]].popleft()
        assert len(buffer) == sum(map(len, queues))
    assert sum(buffer.dropped) == dropped


def test_a_queue_may_get_another_policy() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(QueuePolicy(1, "drop_oldest"))
    buffer.set_policy(QueuePolicy(2))
    assert [buffer.put(i) for i in range(2)] == [True, True]
    late = threading.Thread(target=buffer.put, args=(2,))
    late.start()
    assert [buffer.take() for _ in range(3)] == [[0], [1], [2]]
    late.join(30)
    assert buffer.dropped == [0]


def test_an_end_is_reported_once_after_the_last_item_of_its_stream() -> None:
    buffer: FrameBuffer[str] = FrameBuffer(QueuePolicy(3), QueuePolicy(3))
    buffer.put("a", 0)
    buffer.end_stream(0)
    buffer.end_stream(0, ValueError("only the first counts"))
    assert not buffer.put("late", 0)
    assert buffer.take_ended() == []
    assert buffer.take() == ["a"]
    assert buffer.take() == []
    assert [buffer.take_ended(), buffer.take_ended()] == [[StreamEnd(0, None)], []]
    assert not buffer.is_over
    buffer.close()
    assert buffer.is_over


def test_an_end_wakes_who_waits_for_items() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(QueuePolicy(1), QueuePolicy(1))
    late = _thread(lambda: (time.sleep(0.05), buffer.end_stream(1)))
    assert buffer.take() == []
    assert buffer.take_ended() == [StreamEnd(1, None)]
    late.join(5)
