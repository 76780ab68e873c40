"""Observations as ROS 2 messages; the one place that decides the meaning of their fields.

REP 118: depth is 32FC1, meters along the optical axis, NaN where unknown, +Inf where too far, or 16UC1, millimeters,
0 where unknown. REP 104: camera_info; all zeros in K mean an unknown camera. REP 117: scans.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.errors import MissingDependencyError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.geometry.arrays import Points
from streamdepth.geometry.obstacles import LaserScan
from streamdepth.geometry.zone_monitor import ZoneState
from streamdepth.sinks.robots.observation import (
    NANOSECONDS,
    POINT_BYTES,
    FrameTransform,
    Observation,
    RobotOptions,
    is_distorted,
    pack_points,
    projection_matrix,
)
from streamdepth.sinks.robots.topics import Topic
from streamdepth.sinks.zones.output import is_event
from streamdepth.sinks.zones.records import make_records

_FLOAT32 = 7  # sensor_msgs/PointField
_DIAGNOSTIC_OK, _DIAGNOSTIC_WARN = 0, 1  # diagnostic_msgs/DiagnosticStatus
_INFRARED = 1  # sensor_msgs/Range: what is next to light among its kinds
_NEAREST_M = 0.01

ROSBAGS = OptionalPackage("rosbags", "rosbags", "robot", "making ROS messages")


class RosMessages:
    """Makes ROS 2 messages and serializes them (CDR); their types are the same from Humble to Lyrical.

    Depth is called image_rect_raw where the lens of `camera` does not distort or was corrected, else image_raw, as is
    usual in ROS. Raises MissingDependencyError without `rosbags`.
    """

    profile = "ros2"

    def __init__(self, options: RobotOptions, camera: Intrinsics | None = None) -> None:
        try:
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise MissingDependencyError(*ROSBAGS[1:]) from error
        self._options, self._store = options, get_typestore(Stores.ROS2_HUMBLE)
        self._depth_path = "depth/image_raw" if is_distorted(camera) else "depth/image_rect_raw"

    def topics(self) -> list[Topic]:
        """Returns all topics that may get messages."""
        options, names = self._options, ["Image", "CameraInfo", "CompressedImage", "CameraInfo"]
        paths = [self._depth_path, "depth/camera_info", "color/image_raw/compressed", "color/camera_info"]
        if options.points:
            paths, names = [*paths, "depth/points"], [*names, "PointCloud2"]
        if options.scan:
            paths, names = [*paths, "scan", "obstacles"], [*names, "LaserScan", "LaserScan"]
        topics = [
            self._topic(f"{options.namespace}/{path}", f"sensor_msgs/msg/{name}")
            for path, name in zip(paths, names, strict=True)
        ]
        topics += [
            self._topic(f"{options.namespace}/depth/confidence", "sensor_msgs/msg/Image"),
            self._topic(f"{options.namespace}/depth/scale_sigma", "std_msgs/msg/Float32"),
            self._topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray"),
        ]
        if options.depth_zones:
            topics.append(self._topic(f"{options.namespace}/zones/events", "std_msgs/msg/String"))
        topics += [
            self._topic(f"{options.namespace}/zones/{zone.name}/nearest", "sensor_msgs/msg/Range")
            for zone in options.depth_zones
        ]
        has_transforms = options.scan or options.mount is not None
        return [*topics, self._topic("/tf", "tf2_msgs/msg/TFMessage")] if has_transforms else topics

    def _topic(self, name: str, kind: str) -> Topic:
        text: str = self._store.generate_msgdef(kind, ros_version=2)[0]
        return Topic(name, kind, "ros2msg", text.encode(), "cdr", self._store.hash_rihs01(kind))

    def encode(self, observation: Observation) -> Iterator[tuple[str, bytes]]:
        """Yields (topic, CDR) for each message."""
        for topic, message in self.messages(observation):
            yield topic, bytes(self._store.serialize_cdr(message, message.__msgtype__))

    def messages(self, observation: Observation) -> Iterator[tuple[str, Any]]:
        """Yields (topic, message) for each message."""
        space = self._options.namespace
        yield f"{space}/{self._depth_path}", self._depth(observation)
        yield f"{space}/depth/camera_info", self._camera(observation, *observation.depth_size)
        yield f"{space}/color/image_raw/compressed", self._picture(observation)
        yield f"{space}/color/camera_info", self._camera(observation, *observation.frame_size)
        if observation.confidence is not None:
            yield f"{space}/depth/confidence", self._image(observation, observation.confidence, "32FC1")
        if observation.item.scale_sigma is not None:
            sigma = self._message_class("std_msgs/msg/Float32")(observation.item.scale_sigma)
            yield f"{space}/depth/scale_sigma", sigma
            yield "/diagnostics", self._diagnostics(observation)
        if observation.points is not None:
            yield f"{space}/depth/points", self._points(observation, *observation.points)
        if transforms := observation.transforms:
            yield "/tf", self._message_class("tf2_msgs/msg/TFMessage")([self._tf(observation, t) for t in transforms])
        for name, scan in observation.laser_scans.items():
            yield f"{space}/{name}", self._laser(observation, scan)
        for state in observation.zones:
            yield f"{space}/zones/{state.zone.name}/nearest", self._range(observation, state)
            for record in filter(is_event, make_records(state, space.strip("/"), None)):
                yield f"{space}/zones/events", self._message_class("std_msgs/msg/String")(json.dumps(record))

    def _depth(self, observation: Observation) -> Any:
        return self._image(observation, observation.encoded_depth, self._options.encoding)

    def _image(self, observation: Observation, values: npt.NDArray[Any], encoding: str) -> Any:
        height, width = values.shape
        data = values.view(np.uint8).ravel()
        return self._message_class("sensor_msgs/msg/Image")(
            self._header(observation), height, width, encoding, 0, width * values.itemsize, data
        )

    def _diagnostics(self, observation: Observation) -> Any:
        """Returns the state of the metric scale for ROS's diagnostics: OK, or WARN while meters are withheld."""
        status, pair = (self._message_class(f"diagnostic_msgs/msg/{name}") for name in ("DiagnosticStatus", "KeyValue"))
        state = observation.scale_state
        values = [pair(name, value) for name, value in state.values.items()]
        name = f"{self._options.namespace.strip('/')}: metric scale"
        level = _DIAGNOSTIC_WARN if state.is_withheld else _DIAGNOSTIC_OK
        return self._message_class("diagnostic_msgs/msg/DiagnosticArray")(
            self._header(observation), [status(level, name, state.message, observation.frame_id, values)]
        )

    def _picture(self, observation: Observation) -> Any:
        data = np.frombuffer(observation.jpeg, np.uint8)
        return self._message_class("sensor_msgs/msg/CompressedImage")(self._header(observation), "jpeg", data)

    def _camera(self, observation: Observation, width: int, height: int) -> Any:
        lens, rows = projection_matrix(observation.camera, width, height)
        return self._message_class("sensor_msgs/msg/CameraInfo")(
            self._header(observation),
            height,
            width,
            lens.distortion_model if lens else "",
            np.array(lens.distortion if lens else (), np.float64),
            rows[:, :3].ravel(),
            np.eye(3).ravel(),
            rows.ravel(),
            0,
            0,
            self._message_class("sensor_msgs/msg/RegionOfInterest")(0, 0, 0, 0, False),
        )

    def _points(self, observation: Observation, points: Points, colors: Image) -> Any:
        """Returns an organized point cloud, one point per pixel: x, y, z and PCL's rgb, the bytes b, g, r, 0."""
        height, width = points.shape[:2]
        data = pack_points(points, colors[..., ::-1], 0)
        field, step = self._message_class("sensor_msgs/msg/PointField"), POINT_BYTES
        fields = [field(name, 4 * i, _FLOAT32, 1) for i, name in enumerate(("x", "y", "z", "rgb"))]
        return self._message_class("sensor_msgs/msg/PointCloud2")(
            self._header(observation), height, width, fields, False, step, width * step, data, False
        )

    def _laser(self, observation: Observation, scan: LaserScan) -> Any:
        return self._message_class("sensor_msgs/msg/LaserScan")(
            self._header(observation, observation.scan_frame_id),
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

    def _range(self, observation: Observation, state: ZoneState) -> Any:
        """Returns the nearest depth in a zone as a Range (REP 117: NaN unknown, +Inf too far) with its angle."""
        corners_x = [x for x, _ in state.zone.corners]
        width_px, camera = max(corners_x) - min(corners_x), observation.camera
        view_radians = 2 * math.atan(width_px / 2 / camera.fx) if camera else 0.0
        return self._message_class("sensor_msgs/msg/Range")(
            self._header(observation), _INFRARED, view_radians, _NEAREST_M, math.inf, state.depth.nearest
        )

    def _tf(self, observation: Observation, found: FrameTransform) -> Any:
        vector, quaternion = (self._message_class(f"geometry_msgs/msg/{name}") for name in ("Vector3", "Quaternion"))
        place = self._message_class("geometry_msgs/msg/Transform")(
            vector(*map(float, found.translation_m)), quaternion(*map(float, found.rotation))
        )
        header = self._header(observation, found.parent)
        return self._message_class("geometry_msgs/msg/TransformStamped")(header, found.child, place)

    def _header(self, observation: Observation, frame_id: str | None = None) -> Any:
        stamp = self._message_class("builtin_interfaces/msg/Time")(*divmod(observation.stamp_ns, NANOSECONDS))
        return self._message_class("std_msgs/msg/Header")(stamp, frame_id or observation.frame_id)

    def _message_class(self, kind: str) -> Callable[..., Any]:
        message_class: Callable[..., Any] = self._store.types[kind]
        return message_class
