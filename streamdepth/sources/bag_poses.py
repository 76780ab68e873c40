"""The camera's poses from a bag: from /tf, or from a topic with odometry or poses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.trajectories import Pose, Poses, Trajectory
from streamdepth.geometry.transforms import transform_from_quaternion
from streamdepth.sources.bag_reader import describe_topics, open_bag
from streamdepth.sources.bag_transforms import TF_TYPES, TransformTree
from streamdepth.sources.ros_decoding import stamp_to_ns

if TYPE_CHECKING:
    from rosbags.interfaces import Connection

    from streamdepth.sources.bag import Bag

_POSE_TYPES = tuple(
    f"{package}/msg/{name}"
    for package, name in (
        ("nav_msgs", "Odometry"),
        ("geometry_msgs", "PoseStamped"),
        ("geometry_msgs", "PoseWithCovarianceStamped"),
        ("geometry_msgs", "TransformStamped"),
    )
)


class BagPoses(Poses):
    """Poses of a bag, which belong to frames by their stamps.

    Poses of another coordinate frame than the camera's, such as `base_link` of odometry, are moved to the camera by the
    transforms of the bag. Poses without a frame of their own (PoseStamped) are taken for the camera's.

    Args:
        path: the bag; it may be another one than that of the pictures.
        topic: a topic with TFMessage, Odometry, PoseStamped, PoseWithCovarianceStamped or TransformStamped; None: /tf.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        self.path, self.topic = path, topic or "/tf"
        self._trajectory: Trajectory | None = None

    def begin(self, info: StreamInfo) -> str | None:
        bag = open_bag(self.path)
        try:
            self._trajectory = self._read(bag, info.frame_id or "")
        finally:
            bag.close()
        return self._trajectory.begin(info)

    def pose_of(self, frame: Frame) -> Pose | None:
        assert self._trajectory is not None
        return self._trajectory.pose_of(frame)

    def _read(self, bag: Bag, camera_frame: str) -> Trajectory:
        connections = [c for c in bag.connections if c.topic == self.topic]
        types = {c.msgtype for c in connections}
        if not types or not types <= {*TF_TYPES, *_POSE_TYPES}:
            raise ConfigError(
                f"'{self.path}' has no topic '{self.topic}' with poses (TFMessage, Odometry, PoseStamped...); "
                f"{describe_topics(bag)}",
                code="no-topic",
            )
        tree = TransformTree(bag)
        if types <= {*TF_TYPES}:
            found = self._poses_from_transforms(tree, camera_frame)
        else:
            found = list(_poses_from_topic(bag, connections))
        if not found:
            raise ConfigError(f"'{self.path}#{self.topic}' holds no poses", code="bad-poses")
        stamps, poses = [], []
        for stamp_ns, frame, pose in found:
            stamps.append(stamp_ns)
            poses.append(pose @ self._camera_in(tree, frame, camera_frame, stamp_ns))
        return Trajectory(poses, stamps)

    def _poses_from_transforms(self, tree: TransformTree, camera_frame: str) -> list[tuple[int, str, Floats]]:
        """Returns (nanoseconds, frame, pose) for each stamp of a transform between the root and the camera."""
        root, stamps = tree.root_and_stamps(camera_frame)
        if not camera_frame or not stamps:
            raise ConfigError(
                f"'{self.path}' has no transforms that move the frame '{camera_frame}' of the pictures; name a topic "
                "with odometry or poses, as in bag#/odom",
                code="bad-poses",
            )
        poses = ((stamp_ns, tree.lookup(root, camera_frame, stamp_ns)) for stamp_ns in stamps)
        return [(stamp_ns, camera_frame, pose) for stamp_ns, pose in poses if pose is not None]

    def _camera_in(self, tree: TransformTree, frame: str, camera_frame: str, stamp_ns: int) -> Floats:
        """Returns the camera's pose in the frame of a pose."""
        if not frame or frame == camera_frame.lstrip("/"):
            return np.eye(4)
        found = tree.lookup(frame, camera_frame, stamp_ns) if camera_frame else None
        if found is None:
            raise ConfigError(
                f"the poses of '{self.path}#{self.topic}' are those of '{frame}', and no transform leads from there to "
                f"the camera's frame '{camera_frame}'; record /tf_static, too",
                code="no-extrinsics",
            )
        return found


def _poses_from_topic(bag: Bag, connections: list[Connection]) -> Iterator[tuple[int, str, Floats]]:
    """Yields (nanoseconds, frame, pose) of each message of a topic."""
    for connection, logged_ns, data in bag.messages(connections):
        try:
            message: Any = bag.deserialize(data, connection.msgtype)
            stamp = message.header.stamp
            frame = str(getattr(message, "child_frame_id", "")).lstrip("/")
            pose = _pose(message)
        except Exception:  # damaged data makes a deserializer raise anything
            continue
        yield stamp_to_ns(stamp) or logged_ns, frame, pose


def _pose(message: Any) -> Floats:
    if hasattr(message, "transform"):
        t, q = message.transform.translation, message.transform.rotation
    else:
        inner = getattr(message.pose, "pose", message.pose)
        t, q = inner.position, inner.orientation
    return transform_from_quaternion((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
