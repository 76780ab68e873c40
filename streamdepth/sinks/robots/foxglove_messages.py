"""Observations in Foxglove's schemas (protobuf), with the same topics and meanings as the ROS 2 messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.errors import MissingDependencyError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.geometry.arrays import Points
from streamdepth.geometry.obstacles import LaserScan
from streamdepth.sinks.robots.observation import (
    NANOSECONDS,
    POINT_BYTES,
    Observation,
    RobotOptions,
    pack_points,
    projection_matrix,
)
from streamdepth.sinks.robots.topics import Topic
from streamdepth.sinks.zones.records import RECORD_SCHEMA, make_records

FOXGLOVE_SDK = OptionalPackage("foxglove", "foxglove-sdk", "robot", "making Foxglove's messages")


class FoxgloveMessages:
    """Makes messages in Foxglove's schemas. Raises MissingDependencyError without `foxglove-sdk`."""

    profile = ""

    def __init__(self, options: RobotOptions) -> None:
        try:
            from foxglove import messages
        except ImportError as error:
            raise MissingDependencyError(*FOXGLOVE_SDK[1:]) from error
        self._options, self._schemas = options, messages

    def topics(self) -> list[Topic]:
        """Returns all topics that may get messages."""
        options, kinds = self._options, self._schemas
        message_types = {
            "depth/image": kinds.RawImage,
            "depth/calibration": kinds.CameraCalibration,
            "color/image": kinds.CompressedImage,
            "color/calibration": kinds.CameraCalibration,
        }
        message_types |= {"depth/confidence": kinds.RawImage, "diagnostics": kinds.Log}
        message_types |= {"depth/points": kinds.PointCloud} if options.points else {}
        message_types |= {"scan": kinds.LaserScan, "obstacles": kinds.LaserScan} if options.scan else {}
        topics = [_topic(f"{options.namespace}/{path}", kind.get_schema()) for path, kind in message_types.items()]
        if options.depth_zones:
            schema = json.dumps(RECORD_SCHEMA).encode()
            topics.append(Topic(f"{options.namespace}/zones", RECORD_SCHEMA["title"], "jsonschema", schema, "json"))
        return topics if options.mount is None else [*topics, _topic("/tf", kinds.FrameTransforms.get_schema())]

    def encode(self, observation: Observation) -> Iterator[tuple[str, bytes]]:
        """Yields (topic, protobuf) for each message, and JSON for zones.

        Scans hold their pose, so that /tf is sent for a mount only.
        """
        if self._options.mount is not None:
            yield "/tf", self._transforms(observation).encode()
        space = self._options.namespace
        for path, message in self._messages(observation):
            yield f"{space}/{path}", message.encode()
        for state in observation.zones:
            for record in make_records(state, space.strip("/"), None):
                yield f"{space}/zones", json.dumps(record, allow_nan=False).encode()

    def _transforms(self, observation: Observation) -> Any:
        kinds = self._schemas
        stamp = kinds.Timestamp(*divmod(observation.stamp_ns, NANOSECONDS))
        return kinds.FrameTransforms(
            transforms=[
                kinds.FrameTransform(
                    timestamp=stamp,
                    parent_frame_id=found.parent,
                    child_frame_id=found.child,
                    translation=kinds.Vector3(**dict(zip("xyz", map(float, found.translation_m), strict=True))),
                    rotation=kinds.Quaternion(**dict(zip("xyzw", map(float, found.rotation), strict=True))),
                )
                for found in observation.transforms
            ]
        )

    def _messages(self, observation: Observation) -> Iterator[tuple[str, Any]]:
        head = {
            "timestamp": self._schemas.Timestamp(*divmod(observation.stamp_ns, NANOSECONDS)),
            "frame_id": observation.frame_id,
        }
        yield "depth/image", self._depth(observation, head)
        yield "depth/calibration", self._camera(observation, *observation.depth_size, head)
        yield "color/image", self._schemas.CompressedImage(**head, data=observation.jpeg, format="jpeg")
        yield "color/calibration", self._camera(observation, *observation.frame_size, head)
        if observation.confidence is not None:
            yield "depth/confidence", self._raw_image(observation.confidence, "32FC1", head)
        if observation.item.scale_sigma is not None:
            yield "diagnostics", self._diagnostics(observation)
        if observation.points is not None:
            yield "depth/points", self._points(*observation.points, head)
        for name, scan in observation.laser_scans.items():
            yield name, self._laser(observation, scan, head)

    def _depth(self, observation: Observation, head: dict[str, Any]) -> Any:
        return self._raw_image(observation.encoded_depth, self._options.encoding, head)

    def _raw_image(self, values: npt.NDArray[Any], encoding: str, head: dict[str, Any]) -> Any:
        height, width = values.shape
        return self._schemas.RawImage(
            **head, width=width, height=height, encoding=encoding, step=width * values.itemsize, data=values.tobytes()
        )

    def _diagnostics(self, observation: Observation) -> Any:
        """Returns the state of the metric scale as a log message: INFO, or WARNING while meters are withheld."""
        state, levels = observation.scale_state, self._schemas.LogLevel
        facts = ", ".join(f"{name} {value}" for name, value in state.values.items())
        return self._schemas.Log(
            timestamp=self._schemas.Timestamp(*divmod(observation.stamp_ns, NANOSECONDS)),
            level=levels.Warning if state.is_withheld else levels.Info,
            message=f"{state.message}; {facts}",
            name=f"{self._options.namespace.strip('/')}: metric scale",
        )

    def _camera(self, observation: Observation, width: int, height: int, head: dict[str, Any]) -> Any:
        lens, rows = projection_matrix(observation.camera, width, height)
        return self._schemas.CameraCalibration(
            **head,
            width=width,
            height=height,
            distortion_model=lens.distortion_model if lens else "",
            D=list(lens.distortion if lens else ()),
            K=rows[:, :3].ravel().tolist(),
            R=np.eye(3).ravel().tolist(),
            P=rows.ravel().tolist(),
        )

    def _points(self, points: Points, colors: Image, head: dict[str, Any]) -> Any:
        """Returns a point cloud of the known points."""
        known = np.isfinite(points[..., 2])
        packed = pack_points(points[known], colors[known], 255)
        number, field = self._schemas.PackedElementFieldNumericType, self._schemas.PackedElementField
        fields = [field(name=name, offset=4 * i, type=number.Float32) for i, name in enumerate("xyz")]
        fields += [
            field(name=name, offset=12 + i, type=number.Uint8)
            for i, name in enumerate(("red", "green", "blue", "alpha"))
        ]
        return self._schemas.PointCloud(**head, point_stride=POINT_BYTES, fields=fields, data=packed.tobytes())

    def _laser(self, observation: Observation, scan: LaserScan, head: dict[str, Any]) -> Any:
        x, y, z, w = observation.scan_rotation.tolist()
        turn = self._schemas.Quaternion(x=x, y=y, z=z, w=w)
        return self._schemas.LaserScan(
            **head,
            pose=self._schemas.Pose(position=self._schemas.Vector3(x=0, y=0, z=0), orientation=turn),
            start_angle=scan.angle_min,
            end_angle=scan.angle_max,
            ranges=scan.ranges_m.tolist(),
            intensities=[] if scan.intensities is None else scan.intensities.tolist(),
        )


def _topic(name: str, schema: Any) -> Topic:
    return Topic(name, schema.name, schema.encoding, schema.data, "protobuf")
