"""An observation as ROS 2 messages: what their fields mean is decided here, once.

REP 118: depth is 32FC1, metres along the optical axis, NaN where unknown, +Inf where too far, or 16UC1, millimetres,
0 where unknown. REP 104: camera_info; all zeros in K mean an unknown camera. REP 117: scans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import MissingDependencyError
from streamdepth.core.types import Intrinsics
from streamdepth.geometry.arrays import Points
from streamdepth.geometry.obstacles import LaserScan
from streamdepth.sinks.robots.channels import Topic
from streamdepth.sinks.robots.observation import (
    NANOSECONDS,
    POINT_BYTES,
    Observation,
    RobotOptions,
    camera_rows,
    is_distorted,
    pack_points,
)

_FLOAT32 = 7  # sensor_msgs/PointField
_NEAREST_M = 0.01


class RosMessages:
    """Makes the messages of an observation and serializes them (CDR); their types are the same from Humble to Lyrical.

    By ROS's names, depth is image_rect_raw where the lens of `camera` does not distort or that was undone, else
    image_raw. Raises MissingDependencyError without `rosbags`.
    """

    profile = "ros2"

    def __init__(self, options: RobotOptions, camera: Intrinsics | None = None) -> None:
        try:
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise MissingDependencyError("rosbags", "robot", "making ROS messages") from error
        self._options, self._store = options, get_typestore(Stores.ROS2_HUMBLE)
        self._depth_path = "depth/image_raw" if is_distorted(camera) else "depth/image_rect_raw"

    def topics(self) -> list[Topic]:
        """All that there can be."""
        options, names = self._options, ["Image", "CameraInfo", "CompressedImage", "CameraInfo"]
        paths = [self._depth_path, "depth/camera_info", "color/image_raw/compressed", "color/camera_info"]
        if options.points:
            paths, names = [*paths, "depth/points"], [*names, "PointCloud2"]
        if options.scan:
            paths, names = [*paths, "scan", "obstacles"], [*names, "LaserScan", "LaserScan"]
        made = [
            self._topic(f"{options.namespace}/{path}", f"sensor_msgs/msg/{name}")
            for path, name in zip(paths, names, strict=True)
        ]
        return [*made, self._topic("/tf", "tf2_msgs/msg/TFMessage")] if options.scan else made

    def _topic(self, name: str, kind: str) -> Topic:
        text: str = self._store.generate_msgdef(kind, ros_version=2)[0]
        return Topic(name, kind, "ros2msg", text.encode(), "cdr", self._store.hash_rihs01(kind))

    def encode(self, seen: Observation) -> Iterator[tuple[str, bytes]]:
        """(topic, CDR) for each message."""
        for topic, message in self.messages(seen):
            yield topic, bytes(self._store.serialize_cdr(message, message.__msgtype__))

    def messages(self, seen: Observation) -> Iterator[tuple[str, Any]]:
        """(topic, message) for each."""
        space = self._options.namespace
        yield f"{space}/{self._depth_path}", self._depth(seen)
        yield f"{space}/depth/camera_info", self._camera(seen, *seen.depth_size)
        yield f"{space}/color/image_raw/compressed", self._picture(seen)
        yield f"{space}/color/camera_info", self._camera(seen, *seen.picture_size)
        if seen.points is not None:
            yield f"{space}/depth/points", self._points(seen, *seen.points)
        if seen.laser_scans:
            yield "/tf", self._level_frame(seen)
        for name, scan in seen.laser_scans.items():
            yield f"{space}/{name}", self._laser(seen, scan)

    def _depth(self, seen: Observation) -> Any:
        values = seen.encoded_depth
        height, width = values.shape
        data = values.view(np.uint8).ravel()
        return self._make("sensor_msgs/msg/Image")(
            self._header(seen), height, width, self._options.encoding, 0, width * values.itemsize, data
        )

    def _picture(self, seen: Observation) -> Any:
        data = np.frombuffer(seen.jpeg, np.uint8)
        return self._make("sensor_msgs/msg/CompressedImage")(self._header(seen), "jpeg", data)

    def _camera(self, seen: Observation, width: int, height: int) -> Any:
        lens, rows = camera_rows(seen.camera, width, height)
        return self._make("sensor_msgs/msg/CameraInfo")(
            self._header(seen),
            height,
            width,
            lens.distortion_model if lens else "",
            np.array(lens.distortion if lens else (), np.float64),
            rows[:, :3].ravel(),
            np.eye(3).ravel(),
            rows.ravel(),
            0,
            0,
            self._make("sensor_msgs/msg/RegionOfInterest")(0, 0, 0, 0, False),
        )

    def _points(self, seen: Observation, points: Points, colors: Image) -> Any:
        """As many as the depth map has pixels, x, y, z and PCL's rgb, which are the bytes b, g, r, 0."""
        height, width = points.shape[:2]
        data = pack_points(points, colors[..., ::-1], 0)
        field, step = self._make("sensor_msgs/msg/PointField"), POINT_BYTES
        fields = [field(name, 4 * i, _FLOAT32, 1) for i, name in enumerate(("x", "y", "z", "rgb"))]
        return self._make("sensor_msgs/msg/PointCloud2")(
            self._header(seen), height, width, fields, False, step, width * step, data, False
        )

    def _laser(self, seen: Observation, scan: LaserScan) -> Any:
        return self._make("sensor_msgs/msg/LaserScan")(
            self._header(seen, seen.scan_frame_id),
            scan.angle_min,
            scan.angle_max,
            scan.angle_increment,
            0.0,
            0.0,
            _NEAREST_M,
            scan.max_range_m,
            scan.ranges_m,
            np.empty(0, np.float32) if scan.intensities is None else scan.intensities,
        )

    def _level_frame(self, seen: Observation) -> Any:
        vector, quaternion = (self._make(f"geometry_msgs/msg/{name}") for name in ("Vector3", "Quaternion"))
        turn = self._make("geometry_msgs/msg/Transform")(vector(0.0, 0.0, 0.0), quaternion(*seen.scan_rotation))
        stamped = self._make("geometry_msgs/msg/TransformStamped")(self._header(seen), seen.scan_frame_id, turn)
        return self._make("tf2_msgs/msg/TFMessage")([stamped])

    def _header(self, seen: Observation, frame_id: str | None = None) -> Any:
        stamp = self._make("builtin_interfaces/msg/Time")(*divmod(seen.stamp_ns, NANOSECONDS))
        return self._make("std_msgs/msg/Header")(stamp, frame_id or seen.frame_id)

    def _make(self, kind: str) -> Callable[..., Any]:
        made: Callable[..., Any] = self._store.types[kind]
        return made
