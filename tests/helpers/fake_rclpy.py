"""A stand-in for rclpy's lifecycle nodes, which only a ROS installation has, and for the packages of messages."""

from __future__ import annotations

import enum
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

MESSAGES = {
    "sensor_msgs": ["Image", "CameraInfo", "CompressedImage", "LaserScan", "PointCloud2"],
    "std_msgs": ["Float32"],
    "tf2_msgs": ["TFMessage"],
    "diagnostic_msgs": ["DiagnosticArray", "DiagnosticStatus", "KeyValue"],
}


class Result(enum.Enum):
    SUCCESS, FAILURE, ERROR = 1, 2, 3


class Publisher:
    """Keeps what is published while it is active."""

    def __init__(self, kind: type, topic: str, is_active: bool) -> None:
        self.kind, self.topic, self.is_active, self.sent = kind, topic, is_active, list[Any]()

    def publish(self, message: Any) -> None:
        if self.is_active:
            self.sent.append(message)

    def on_activate(self, state: Any) -> Result:
        self.is_active = True
        return Result.SUCCESS


class LifecycleNode:
    """As much of rclpy.lifecycle.LifecycleNode as a node uses. overrides: values of parameters."""

    def __init__(self, name: str, *, overrides: dict[str, Any] | None = None) -> None:
        self.name, self.overrides = name, overrides or {}
        self.parameters: dict[str, Any] = {}
        self.publishers: dict[str, Publisher] = {}
        self.subscriptions: dict[str, tuple[type, Callable[[Any], None], Any]] = {}
        self.timers: list[Callable[[], None]] = []
        self.errors: list[str] = []

    def declare_parameter(self, name: str, default: Any) -> None:
        self.parameters[name] = self.overrides.get(name, default)

    def get_parameter(self, name: str) -> Any:
        return types.SimpleNamespace(value=self.parameters[name])

    def resolve_topic_name(self, name: str) -> str:
        return f"/camera/{name}"

    def get_fully_qualified_name(self) -> str:
        return f"/camera/{self.name}"

    def get_logger(self) -> Any:
        return types.SimpleNamespace(error=self.errors.append)

    def get_clock(self) -> Any:
        now = types.SimpleNamespace(to_msg=lambda: (12, 34))
        return types.SimpleNamespace(now=lambda: now)

    def create_publisher(self, kind: type, topic: str, depth: int) -> Publisher:
        self.publishers[topic] = Publisher(kind, topic, is_active=True)
        return self.publishers[topic]

    def create_lifecycle_publisher(self, kind: type, topic: str, depth: int) -> Publisher:
        publisher = Publisher(kind, topic, is_active=False)
        self.publishers.setdefault(topic, publisher)  # of two publishers of a topic the first is shown
        return publisher

    def create_subscription(self, kind: type, topic: str, callback: Callable[[Any], None], quality: Any) -> str:
        self.subscriptions[topic] = kind, callback, quality
        return topic

    def create_timer(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        self.timers.append(callback)
        return callback

    def destroy_subscription(self, topic: str) -> None:
        del self.subscriptions[topic]

    def destroy_publisher(self, publisher: Publisher) -> None:
        publisher.is_active = False

    destroy_lifecycle_publisher = destroy_publisher

    def destroy_timer(self, callback: Callable[[], None]) -> None:
        self.timers.remove(callback)

    def on_activate(self, state: Any) -> Result:
        return Result.SUCCESS

    on_deactivate = on_activate


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the stand-ins where imports find them."""
    names = {"RELIABLE": "reliable", "BEST_EFFORT": "best effort", "KEEP_LAST": "keep last"}
    values = types.SimpleNamespace(**names)
    modules: dict[str, dict[str, Any]] = {
        "rclpy": {"init": lambda args=None: None, "spin": lambda node: None, "try_shutdown": lambda: None},
        "rclpy.executors": {"ExternalShutdownException": type("ExternalShutdownException", (Exception,), {})},
        "rclpy.lifecycle": {"LifecycleNode": LifecycleNode, "TransitionCallbackReturn": Result},
        "rclpy.qos": {"HistoryPolicy": values, "ReliabilityPolicy": values, "QoSProfile": types.SimpleNamespace},
    }
    for package, kinds in MESSAGES.items():
        modules[package] = {}
        modules[f"{package}.msg"] = {name: _message(name) for name in kinds}
    for name, contents in modules.items():
        module = types.ModuleType(name)
        module.__dict__.update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "streamdepth.apps.ros.depth_node", raising=False)


def _message(name: str) -> type:
    def fill(self: Any) -> None:
        self.header, self.status, self.values = types.SimpleNamespace(stamp=None), [], []

    return type(name, (), {"__init__": fill})
