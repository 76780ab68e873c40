"""Looking into a ROS bag: its topics, their frame rate, and the camera beside them."""

from __future__ import annotations

import os
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamdepth.core.errors import MissingDependencyError, SourceOpenError
from streamdepth.sources.limits import plausible_fps
from streamdepth.sources.missing_file import missing_file_error
from streamdepth.sources.ros_decoding import IMAGE_MESSAGE_TYPES, decode_image
from streamdepth.sources.ros_depth import depth_encoding
from streamdepth.utils.printable import error_message

if TYPE_CHECKING:
    from rosbags.interfaces import Connection

    from streamdepth.sources.bag import Bag

REPAIR_HINT = (
    "only bags of ROS and Foxglove's MCAP are read; one that was cut off is repaired by 'ros2 bag reindex' or "
    "'mcap recover'"
)
"""Words for messages about a bag that cannot be read."""

_LOOK_BACK_NS = 10**8


def open_bag(path: Path) -> Bag:
    """Opens a bag of ROS 1 or ROS 2. Raises SourceOpenError, or MissingDependencyError without rosbags."""
    try:
        import_module("rosbags.highlevel")
        import_module("mcap.reader")
    except ImportError as error:
        raise MissingDependencyError("rosbags", "robot", "reading a bag") from error
    if not os.path.exists(path):
        raise missing_file_error(f"'{path}'", path)
    from streamdepth.sources.bag import Bag

    try:
        return Bag(path)
    except Exception as error:  # rosbags has no common error for damaged bags
        raise SourceOpenError(
            f"'{path}' cannot be opened as a bag: {error_message(error)}; {REPAIR_HINT}", code="damaged"
        ) from error


def choose_connections(reader: Bag, path: Path, topic: str | None) -> list[Connection]:
    """Returns the connections of `topic`, or of the only topic with pictures.

    Raises SourceOpenError ("no-topic", "ambiguous", or "holds-depth") with all topics of the bag.
    """
    by_topic = image_topics(reader)
    if topic is not None:
        if topic not in by_topic:
            raise SourceOpenError(
                f"'{path}' has no topic '{topic}' with pictures; {describe_topics(reader)}", code="no-topic"
            )
        if encoding := _depth_encoding_of(reader, topic, by_topic[topic]):
            raise SourceOpenError(
                f"'{path}#{topic}' holds depth ({encoding}), and no pictures: name the topic of the camera, and use "
                f"--depth-from {topic} to take its depth from this one; {describe_topics(reader)}",
                code="holds-depth",
            )
        return by_topic[topic]
    depth = {name: found for name, group in by_topic.items() if (found := _depth_encoding_of(reader, name, group))}
    problems = {name: _picture_problem(reader, group) for name, group in by_topic.items() if name not in depth}
    with_pictures = [by_topic[name] for name, problem in problems.items() if not problem]
    if len(with_pictures) != 1:
        count = "several topics" if with_pictures else "no topic"
        hint = "".join(f"; '{name}' holds depth ({found}): use --depth-from {name}" for name, found in depth.items())
        hint += "".join(f"; '{name}' cannot be used: {problem}" for name, problem in problems.items() if problem)
        raise SourceOpenError(
            f"'{path}' has {count} with pictures{hint}; {describe_topics(reader)}; name one as "
            f"'{path}#/camera/image_raw'",
            code="ambiguous" if with_pictures else "holds-depth" if depth else "no-topic",
        )
    return with_pictures[0]


def image_topics(reader: Bag) -> dict[str, list[Connection]]:
    """Returns the connections of each topic whose messages are images: pictures or depth."""
    by_topic: dict[str, list[Connection]] = {}
    for connection in reader.connections:
        if connection.msgtype in IMAGE_MESSAGE_TYPES:
            by_topic.setdefault(connection.topic, []).append(connection)
    return by_topic


def _depth_encoding_of(reader: Bag, topic: str, connections: list[Connection]) -> str | None:
    try:
        return depth_encoding(first_message(reader, connections), topic)
    except Exception:  # damaged data makes a deserializer raise anything; whoever reads the topic says so
        return None


def _picture_problem(reader: Bag, connections: list[Connection]) -> str | None:
    """Returns why the first message of a topic is no picture; None where it is one."""
    try:
        message = first_message(reader, connections)
        if message is None:
            return "it has no messages"
        decode_image(message)
    except Exception as error:  # damaged data makes a deserializer raise anything
        return error_message(error)
    return None


def first_message(reader: Bag, connections: list[Connection]) -> Any:
    """Returns the first message of these connections; None where there is none."""
    for connection, _, data in reader.messages(connections) if connections else ():
        return reader.deserialize(data, connection.msgtype)
    return None


def mean_fps(reader: Bag, connections: list[Connection]) -> Fraction | None:
    """Returns a topic's mean frame rate by the recorder's clock; None where that is unknown or implausible."""
    intervals = sum(c.msgcount for c in connections) - 1
    try:
        first = next(logged_ns for _, logged_ns, _ in reader.messages(connections))
        passed_ns = _last_logged_ns(reader, connections) - first
    except Exception:  # the bag is damaged further on; reading it will say so
        return None
    fps = plausible_fps(Fraction(intervals * 10**9, passed_ns)) if passed_ns > 0 else None
    return fps and fps.limit_denominator(1001)


def _last_logged_ns(reader: Bag, connections: list[Connection]) -> int:
    """Returns the time of the last message by the recorder's clock, searched backwards from the end of the bag."""
    back_ns = _LOOK_BACK_NS
    while not (stamps := [ns for _, ns, _ in reader.messages(connections, start=reader.end_time - back_ns)]):
        back_ns *= 2
    return int(max(stamps))


def describe_topics(reader: Bag) -> str:
    """Returns a phrase for messages that lists all topics of a bag, with type and number of messages."""
    topics = [f"{c.topic} ({c.msgtype.rpartition('/')[2]}, {c.msgcount})" for c in reader.connections]
    return f"its topics are {', '.join(sorted(topics))}" if topics else "it holds no topics at all"
