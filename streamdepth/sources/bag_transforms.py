"""Coordinate frames of a bag: the transforms of /tf_static and /tf, and of RealSense's own recorder."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.transforms import interpolate_transform, inverse_transform, transform_from_quaternion
from streamdepth.sources.bag_reader import first_message
from streamdepth.sources.ros_decoding import stamp_to_ns

if TYPE_CHECKING:
    from streamdepth.sources.bag import Bag

TF_TYPES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
"""ROS names of the messages that hold transforms."""
_STREAM = re.compile(r"(/device_\d+/sensor_\d+/[^/]+)/")
"""The folder of a stream in a bag of RealSense's own recorder."""


class TransformTree:
    """The tree of coordinate frames of a bag.

    /tf is read only where /tf_static does not connect two frames, and interpolated between its stamps.
    """

    def __init__(self, reader: Bag) -> None:
        self._reader = reader
        self._static: dict[str, tuple[str, Floats]] = {}
        """Child -> its parent, and the transform from the child to the parent."""
        self._dynamic: dict[str, tuple[str, list[int], list[Floats]]] | None = None
        """Child -> its parent, and stamps in ns with transforms."""
        for child, parent, _, transform in self._messages("tf_static"):
            self._static[child] = parent, transform

    def lookup(self, target: str, source: str, stamp_ns: int) -> Floats | None:
        """Returns the (4, 4) transform that maps points of the frame `source` to `target`; None if unconnected."""
        found = self._lookup(target, source, stamp_ns)
        if found is None and self._dynamic is None:
            self._dynamic = self._read_dynamic()
            found = self._lookup(target, source, stamp_ns)
        return found

    def root_and_stamps(self, frame: str) -> tuple[str, list[int]]:
        """Returns the root of the tree above `frame`, and the stamps in ns of all transforms between both."""
        if self._dynamic is None:
            self._dynamic = self._read_dynamic()
        above = self._ancestors(frame, 0)
        moving = [self._dynamic[name][1] for name in above if name in self._dynamic and name not in self._static]
        return next(reversed(above)), sorted({stamp for stamps in moving for stamp in stamps})

    def _lookup(self, target: str, source: str, stamp_ns: int) -> Floats | None:
        above_source = self._ancestors(source, stamp_ns)
        above_target = self._ancestors(target, stamp_ns)
        for frame, from_source in above_source.items():
            if frame in above_target:
                return inverse_transform(above_target[frame]) @ from_source
        return None

    def _ancestors(self, frame: str, stamp_ns: int) -> dict[str, Floats]:
        """Returns the frame and all above it, nearest first, with the transform from the frame to each."""
        frame = frame.lstrip("/")
        found, transform = {frame: np.eye(4)}, np.eye(4)
        while (step := self._parent(frame, stamp_ns)) is not None and step[0] not in found:
            frame, to_parent = step
            transform = to_parent @ transform
            found[frame] = transform
        return found

    def _parent(self, child: str, stamp_ns: int) -> tuple[str, Floats] | None:
        if child in self._static or not self._dynamic or child not in self._dynamic:
            return self._static.get(child)
        parent, stamps, transforms = self._dynamic[child]
        after = int(np.searchsorted(stamps, stamp_ns))
        if after in (0, len(stamps)):
            return parent, transforms[min(after, len(stamps) - 1)]
        share = (stamp_ns - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
        return parent, interpolate_transform(transforms[after - 1], transforms[after], share)

    def _read_dynamic(self) -> dict[str, tuple[str, list[int], list[Floats]]]:
        steps: dict[str, list[tuple[int, str, Floats]]] = defaultdict(list)
        for child, parent, stamp_ns, transform in self._messages("tf"):
            steps[child].append((stamp_ns, parent, transform))
        dynamic = {}
        for child, found in steps.items():
            found.sort(key=lambda step: step[0])
            parent = found[-1][1]
            same = [step for step in found if step[1] == parent]
            dynamic[child] = parent, [step[0] for step in same], [step[2] for step in same]
        return dynamic

    def _messages(self, name: str) -> list[tuple[str, str, int, Floats]]:
        """Returns (child, parent, stamp in ns, transform from child to parent) of all messages of a topic."""
        connections = [
            c for c in self._reader.connections if c.msgtype in TF_TYPES and c.topic.rpartition("/")[2] == name
        ]
        found = []
        for connection, _, data in self._reader.messages(connections) if connections else ():
            try:
                message: Any = self._reader.deserialize(data, connection.msgtype)
                found += [_stamped_transform(transform) for transform in message.transforms]
            except Exception:  # damaged data makes a deserializer raise anything
                continue
        return found


def _stamped_transform(message: Any) -> tuple[str, str, int, Floats]:
    stamp = message.header.stamp
    names = (name.lstrip("/") for name in (message.child_frame_id, message.header.frame_id))
    child, parent = names
    return child, parent, stamp_to_ns(stamp), _transform(message.transform)


def _transform(message: Any) -> Floats:
    t, q = message.translation, message.rotation
    return transform_from_quaternion((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def recorded_extrinsics(reader: Bag, target_topic: str, source_topic: str) -> Floats | None:
    """Returns the (4, 4) transform between two streams of a bag that RealSense's own recorder wrote; None for others.

    Such a bag holds for each stream the transform to a reference of the device, as geometry_msgs/Transform.
    """
    target, source = (_transforms_to_references(reader, topic) for topic in (target_topic, source_topic))
    for reference in target.keys() & source.keys():
        return inverse_transform(target[reference]) @ source[reference]
    return None


def _transforms_to_references(reader: Bag, topic: str) -> dict[str, Floats]:
    """Returns the number of each reference with the transform from the stream of `topic` to it."""
    stream = _STREAM.match(topic)
    prefix = f"{stream[1]}/tf/" if stream else ""
    found = {c.topic.removeprefix(prefix): c for c in reader.connections if prefix and c.topic.startswith(prefix)}
    return {reference: _transform(first_message(reader, [connection])) for reference, connection in found.items()}


def recorded_unit_m(reader: Bag, topic: str) -> float | None:
    """Returns the meters of one unit of depth that RealSense's own recorder wrote down; None for other bags."""
    sensor = re.match(r"/device_\d+/sensor_\d+", topic)
    if sensor is None:
        return None
    names = {f"{sensor[0]}/option/{name}/value" for name in ("Depth_Units", "Depth Units")}
    message = first_message(reader, [c for c in reader.connections if c.topic in names])
    unit_m = float(getattr(message, "data", 0) or 0)
    return unit_m if 0 < unit_m < 1 else None
