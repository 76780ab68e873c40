"""ROS bags for tests, made by rosbags' own writers, with the messages that a camera's driver publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mcap.reader import make_reader
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

START_NS = 1_700_000_000_500_000_001
STEP_NS = 33_333_333
STORE = get_typestore(Stores.ROS2_HUMBLE)
T = STORE.types


def header(index: int, frame_id: str = "cam_optical_frame") -> Any:
    stamp = T["builtin_interfaces/msg/Time"](*divmod(START_NS + index * STEP_NS, 10**9))
    return T["std_msgs/msg/Header"](stamp, frame_id)


def picture(index: int, size: tuple[int, int] = (48, 32)) -> np.ndarray:
    """Returns (H, W, 3) RGB: a ramp from black to red, with a blue square that moves with `index`."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 200, width)[None]
    image[4:12, 4 + index : 12 + index, 2] = 255
    return image


def image(
    index: int, encoding: str = "rgb8", data: np.ndarray | None = None, *, size: tuple[int, int] = (48, 32)
) -> Any:
    """Returns a sensor_msgs/Image; `data` has the shape (rows, bytes of a row), as in memory."""
    width, height = size
    data = picture(index, size).reshape(height, -1) if data is None else data
    step = data.shape[1] * data.itemsize
    flat = np.ascontiguousarray(data).view(np.uint8).ravel()
    return T["sensor_msgs/msg/Image"](header(index), height, width, encoding, 0, step, flat)


def compressed(index: int) -> Any:
    data = cv2.imencode(".png", cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR))[1].ravel()
    return T["sensor_msgs/msg/CompressedImage"](header(index), "rgb8; png compressed bgr8", data)


def camera_info(**changed: Any) -> Any:
    roi = T["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    fields = {
        "header": header(0),
        "height": 32,
        "width": 48,
        "distortion_model": "plumb_bob",
        "d": np.array([0.1, -0.2, 0.0, 0.0, 0.0]),
        "k": np.array([40.0, 0, 23, 0, 41, 15, 0, 0, 1]),
        "r": np.eye(3).ravel(),
        "p": np.array([38.0, 0, 22, 0, 0, 39, 14, 0, 0, 0, 1, 0]),
        "binning_x": 0,
        "binning_y": 0,
        "roi": roi,
    }
    return T["sensor_msgs/msg/CameraInfo"](**(fields | changed))


def rgbd_topics(count: int) -> dict[str, list[Any]]:
    """Returns the topics of a depth camera whose depth is aligned: a wall at 2 m, a tenth further with each image."""
    k = np.array([40.0, 0, 23.5, 0, 40, 15.5, 0, 0, 1])
    p = np.array([40.0, 0, 23.5, 0, 0, 40, 15.5, 0, 0, 0, 1, 0])
    info = camera_info(d=np.zeros(5), k=k, p=p)
    return {
        "/camera/color/image_raw": [image(i) for i in range(count)],
        "/camera/color/camera_info": [info],
        "/camera/depth/image_rect_raw": [
            image(i, "16UC1", np.full((32, 48), 2000 + 100 * i, np.uint16)) for i in range(count)
        ],
        "/camera/depth/camera_info": [info],
    }


def write_bag(path: Path, topics: dict[str, Iterable[Any]], plugin: StoragePlugin = StoragePlugin.SQLITE3) -> Path:
    """Writes a bag of ROS 2; the messages of a topic are logged in order, 1 ms after their stamps."""
    with Writer(path, version=9, storage_plugin=plugin) as bag:
        _fill(bag, topics, STORE.serialize_cdr, typestore=STORE)
    return path


def without_index(bag: Path, path: Path) -> Path:
    """Writes the messages of `bag` to one mcap file without an index, as recorders do that do not compress."""
    (file,) = bag.glob("*.mcap")
    channels: dict[int, int] = {}
    with file.open("rb") as old, path.open("wb") as new:
        plain = McapWriter(new, use_chunking=False)
        plain.start("ros2")
        for schema, channel, message in make_reader(old).iter_messages():
            if channel.id not in channels:
                number = plain.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.id] = plain.register_channel(channel.topic, channel.message_encoding, number)
            plain.add_message(channels[channel.id], message.log_time, message.data, message.publish_time)
        plain.finish()
    return path


def write_bag1(path: Path, topics: dict[str, Iterable[Any]]) -> Path:
    """Writes a bag of ROS 1 with the same messages."""
    store = get_typestore(Stores.ROS1_NOETIC)
    with Writer1(path) as bag:
        _fill(bag, topics, store.serialize_ros1, typestore=store)
    return path


def _fill(bag: Any, topics: dict[str, Iterable[Any]], serialize: Callable[..., Any], *, typestore: Any) -> None:
    for topic, messages in topics.items():
        connection = None
        for index, message in enumerate(messages):
            kind = message.__msgtype__
            connection = connection or bag.add_connection(topic, kind, typestore=typestore)
            bag.write(connection, START_NS + index * STEP_NS + 10**6, serialize(message, kind))
