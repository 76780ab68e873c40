"""Finds the camera_info topic of a topic with pictures or depth, whose name differs from driver to driver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.bag_reader import describe_topics, first_message

if TYPE_CHECKING:
    from rosbags.interfaces import Connection

    from streamdepth.sources.bag import Bag

_CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
_TRANSPORTS = ("compressed", "compressedDepth")


def find_camera_info(reader: Bag, topic: str, connections: list[Connection], info_topic: str | None = None) -> Any:
    """Returns the first CameraInfo of the camera whose pictures or depth `topic` holds; None where there is none.

    It is looked for where drivers publish it: beside the topic (image_transport, depthai-ros, ZED), below it, in
    `info` beside the folder of the topic (RealSense's own recorder), beside the folder, and last by its coordinate
    frame, where one topic alone has that of the pictures and their size.

    Args:
        reader: the open bag.
        topic: the topic with images.
        connections: its connections.
        info_topic: the topic of the CameraInfo where the user names it.

    Raises:
        SourceOpenError: if there is no such `info_topic` ("no-topic").
    """
    cameras = [c for c in reader.connections if c.msgtype == _CAMERA_INFO]
    for name in [info_topic] if info_topic else _usual_names(topic):
        found = [c for c in cameras if c.topic == name]
        if found and (camera_info := first_message(reader, found)) is not None:
            return camera_info
    if info_topic:
        raise SourceOpenError(
            f"the bag has no topic '{info_topic}' with a camera_info; {describe_topics(reader)}", code="no-topic"
        )
    return _find_by_frame(reader, cameras, connections)


def image_folder(topic: str) -> str:
    """Returns the namespace of a topic with images, without the suffix of a transport such as `compressed`."""
    path = PurePosixPath(topic)
    return str(path.parent.parent if path.name in _TRANSPORTS else path.parent)


def _usual_names(topic: str) -> Iterator[str]:
    folder = PurePosixPath(image_folder(topic))
    base = PurePosixPath(topic).parent if PurePosixPath(topic).name in _TRANSPORTS else PurePosixPath(topic)
    yield str(folder / "camera_info")
    yield str(base / "camera_info")
    yield str(folder.parent / "info" / "camera_info")
    yield str(folder.parent / "camera_info")


def _find_by_frame(reader: Bag, cameras: list[Connection], connections: list[Connection]) -> Any:
    try:
        message = first_message(reader, connections)
        frame_id = message.header.frame_id
    except Exception:  # damaged data makes a deserializer raise anything; whoever reads the images says so
        return None
    if not frame_id:
        return None
    infos = [first_message(reader, [c]) for c in {c.topic: c for c in cameras}.values()]
    sizes = (getattr(message, "width", None), getattr(message, "height", None))
    same = [i for i in infos if i is not None and i.header.frame_id == frame_id]
    same = [i for i in same if None in sizes or (i.width, i.height) == sizes]
    return same[0] if len(same) == 1 else None
