"""The lifecycle node of the ROS 2 package streamdepth_ros. Importing this module needs an installed ROS 2."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from streamdepth import factory
from streamdepth.apps.ros.diagnostics import Diagnostics
from streamdepth.apps.ros.message_source import MessageSource
from streamdepth.apps.ros.parameters import PARAMETERS, settings_from_parameters
from streamdepth.apps.ros.publisher_sink import PublisherSink, message_class
from streamdepth.config import Settings
from streamdepth.core.errors import StreamDepthError
from streamdepth.core.interfaces import Estimator
from streamdepth.factory.metric_references import make_metric_reference
from streamdepth.factory.models import make_estimator
from streamdepth.factory.robots import make_robot_options
from streamdepth.factory.sources import with_camera
from streamdepth.pipeline.pipeline import Pipeline

_JOIN_SECONDS = 10.0
_PUBLISHED_DEPTH = 5
_DIAGNOSTICS_SECONDS = 1.0


class DepthNode(LifecycleNode):  # type: ignore[misc]  # rclpy is known on a machine with ROS only
    """Subscribes to a camera and publishes its depth in meters, its camera_info, points, scans and diagnostics.

    Configuring reads the parameters and loads the model, activating subscribes and publishes, deactivating stops both
    and keeps the model, and cleaning up frees it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("streamdepth", **options)
        for name, default in PARAMETERS.items():
            self.declare_parameter(name, default)
        self._settings: Settings | None = None
        self._estimator: Estimator | None = None
        self._source: MessageSource | None = None
        self._pipeline: Pipeline | None = None
        self._thread: threading.Thread | None = None
        self._subscriptions_of_camera: list[Any] = []
        self._publishers_by_topic: dict[str, Any] = {}
        self._diagnostics = Diagnostics()
        self._diagnostics_publisher: Any = None
        self._timer: Any = None

    def _parameter(self, name: str) -> Any:
        return self.get_parameter(name).value

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Reads the parameters and loads the model."""
        try:
            self._settings = settings_from_parameters({name: self._parameter(name) for name in PARAMETERS})
            make_metric_reference(self._settings)  # raises now what would end the first picture
            self._estimator = make_estimator(self._settings)
        except StreamDepthError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        kind = message_class("diagnostic_msgs/msg/DiagnosticArray")
        self._diagnostics_publisher = self.create_publisher(kind, "/diagnostics", _PUBLISHED_DEPTH)
        self._timer = self.create_timer(_DIAGNOSTICS_SECONDS, self._publish_diagnostics)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Subscribes to the camera and begins to publish."""
        assert self._settings is not None
        self._diagnostics.reset()
        self._source = MessageSource(
            self.resolve_topic_name("image"),
            is_rectified=self._parameter("is_rectified"),
            camera_info_wait_seconds=self._parameter("camera_info_wait_seconds"),
            max_side_px=self._settings.max_side,
        )
        is_compressed = self._parameter("transport") == "compressed"
        image = "CompressedImage" if is_compressed else "Image"
        for kind, topic, callback in (
            (image, "image/compressed" if is_compressed else "image", self._source.put_image),
            ("CameraInfo", "camera_info", self._source.put_camera_info),
        ):
            self._subscriptions_of_camera.append(
                self.create_subscription(message_class(f"sensor_msgs/msg/{kind}"), topic, callback, self._quality(1))
            )
        self._thread = threading.Thread(target=self._run, args=(self._source,), name="streamdepth", daemon=True)
        self._thread.start()
        return super().on_activate(state)

    def _quality(self, depth: int) -> QoSProfile:
        """Returns the subscriptions' quality of service; drivers of cameras publish as best effort or reliably."""
        wanted = self._parameter("reliability").upper()
        reliability = ReliabilityPolicy.RELIABLE if wanted == "RELIABLE" else ReliabilityPolicy.BEST_EFFORT
        return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability)

    def _run(self, source: MessageSource) -> None:
        """Runs the pipeline until it is stopped; an error is logged and shown in the diagnostics."""
        assert self._settings is not None
        assert self._estimator is not None
        sink = PublisherSink(self._publisher_of, self._diagnostics.on_frame, make_robot_options(self._settings, None))
        wrapped = with_camera(source, self._settings)
        try:
            with factory.open_pipeline(
                self._settings, source=wrapped, estimator=self._estimator, sinks=[sink]
            ) as self._pipeline:
                self._pipeline.run()
        except StreamDepthError as error:
            if not source.interrupted.is_set() and error.code != "interrupted":
                self._diagnostics.on_error(str(error))
                self.get_logger().error(str(error))

    def _publisher_of(self, topic: str, kind: Any) -> Callable[[bytes], None]:
        if topic not in self._publishers_by_topic:
            self._publishers_by_topic[topic] = self.create_lifecycle_publisher(kind, topic, _PUBLISHED_DEPTH)
            self._publishers_by_topic[topic].on_activate(None)  # it was made after the node was activated
        publish: Callable[[bytes], None] = self._publishers_by_topic[topic].publish
        return publish

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Stops subscribing and publishing; the model stays loaded."""
        self._stop()
        return super().on_deactivate(state)

    def _stop(self) -> None:
        while self._subscriptions_of_camera:
            self.destroy_subscription(self._subscriptions_of_camera.pop())
        if self._pipeline is not None:
            self._pipeline.stop()
        if self._source is not None:
            self._source.interrupt()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
            if self._thread.is_alive():
                self.get_logger().error("the depth's thread did not end in time")
        self._source = self._pipeline = self._thread = None
        while self._publishers_by_topic:
            self.destroy_lifecycle_publisher(self._publishers_by_topic.popitem()[1])

    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Frees the model."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """Stops and frees everything."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """Frees everything, so that the node can be configured again."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def _release(self) -> None:
        self._stop()
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self.destroy_publisher(self._diagnostics_publisher)
        if self._estimator is not None:
            self._estimator.close()
        self._timer = self._diagnostics_publisher = self._estimator = None

    def _publish_diagnostics(self) -> None:
        """Publishes the state of the depth; its stamp is the node's time, simulated where use_sim_time says so."""
        notices = self._source.notices if self._source is not None else []
        status = self._diagnostics.status(is_active=self._thread is not None, notices=notices)
        array = message_class("diagnostic_msgs/msg/DiagnosticArray")()
        array.header.stamp = self.get_clock().now().to_msg()
        message = message_class("diagnostic_msgs/msg/DiagnosticStatus")()
        message.level, message.name, message.message = (
            bytes([status.level]),
            self.get_fully_qualified_name(),
            status.text,
        )
        for key, value in status.values.items():
            pair = message_class("diagnostic_msgs/msg/KeyValue")()
            pair.key, pair.value = key, value
            message.values.append(pair)
        array.status.append(message)
        self._diagnostics_publisher.publish(array)


def main(args: list[str] | None = None) -> None:
    """Runs the node until it is shut down."""
    rclpy.init(args=args)
    node = DepthNode()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
