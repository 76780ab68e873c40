"""ROS 2 messages over Zenoh as rmw_zenoh sends them: its nodes see the topics, and no ROS is needed here.

Key expressions, liveliness tokens and attachments are those of rmw_zenoh's design (docs/design.md in ros2/rmw_zenoh),
of Jazzy from 0.2.4 on and of all later ROS 2 releases.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from streamdepth.core.errors import MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.sinks.robots.observation import RobotOptions
from streamdepth.sinks.robots.publishing import PublishingSink, ros_node_name
from streamdepth.sinks.robots.ros_messages import ROSBAGS
from streamdepth.sinks.robots.topics import Topic

_DEFAULT_ROUTER = "tcp/localhost:7447"
_CONNECT_MS = 5000
_QOS = "::,10:,:,:,,"  # reliable, volatile, the last 10, and the defaults of the rest


@dataclass(slots=True)
class _Publisher:
    publisher: Any
    gid: bytes
    sent_count: int = 0


_ZENOH = OptionalPackage("zenoh", "eclipse-zenoh", "zenoh", "publishing by Zenoh")


class ZenohSink(PublishingSink):
    """Publishes through the router or peer at `address`, tcp/HOST:PORT; by default rmw_zenoh's router on this machine.

    The ROS domain is ROS_DOMAIN_ID, or 0. A slow listener loses messages and slows nobody.
    """

    name = "Zenoh"

    def __init__(self, address: str | None = None, *, options: RobotOptions | None = None) -> None:
        super().__init__(options)
        self.address = address or _DEFAULT_ROUTER
        self._session: Any = None
        self._tokens: list[Any] = []
        self._publishers: dict[str, _Publisher] = {}

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [_ZENOH, ROSBAGS]

    def _connect(self, topics: list[Topic]) -> None:
        zenoh, domain = _package(), _domain()
        try:
            self._session = zenoh.open(_config(zenoh, self.address))
        except zenoh.ZError as error:
            raise SinkOpenError(
                f"no Zenoh router or peer answers at '{self.address}' ({_reason(error)}); start rmw_zenoh's with "
                "'ros2 run rmw_zenoh_cpp rmw_zenohd', or name another with zenoh:tcp/HOST:PORT",
                code="unreachable",
            ) from error
        try:
            self._declare(topics, domain)
        except zenoh.ZError as error:
            raise SinkOpenError(
                f"Zenoh cannot publish under '{self.options.namespace}' ({_reason(error)}); a namespace is like "
                "/camera, of letters, digits and _",
                code="bad-namespace",
            ) from error

    def _declare(self, topics: list[Topic], domain: int) -> None:
        node = f"@ros2_lv/{domain}/{self._session.zid()}/0"
        declare, name = self._session.liveliness().declare_token, ros_node_name(self.options)
        self._tokens = [declare(f"{node}/0/NN/%/%/{name}")]
        for number, topic in enumerate(topics, start=1):
            kind = _dds_name(topic.schema)
            token = f"{node}/{number}/MP/%/%/{name}/{_mangle(topic.name)}/{kind}/{topic.type_hash}/{_QOS}"
            self._tokens.append(declare(token))
            key = f"{domain}{topic.name}/{kind}/{topic.type_hash}"
            gid = hashlib.blake2b(token.encode(), digest_size=16).digest()
            self._publishers[topic.name] = _Publisher(self._session.declare_publisher(key), gid)

    def _send(self, topic: str, data: bytes, stamp_ns: int) -> None:
        zenoh, to = _package(), self._publishers[topic]
        to.sent_count += 1
        number = zenoh.ext.Int64
        attachment = zenoh.ext.z_serialize((number(to.sent_count), number(time.time_ns()), to.gid))
        try:
            to.publisher.put(data, attachment=attachment)
        except zenoh.ZError as error:
            raise SinkWriteError(f"Zenoh cannot send {topic}: {error}") from error

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        self._publishers, self._tokens = {}, []
        if session is not None:
            session.close()


def _config(zenoh: ModuleType, address: str) -> Any:
    """Returns rmw_zenoh's configuration of a session, with an error where nobody answers."""
    config = zenoh.Config()
    values = {
        "mode": "peer",
        "connect/endpoints": [address],
        "connect/timeout_ms": _CONNECT_MS,
        "connect/exit_on_failure": True,
        "listen/endpoints": ["tcp/localhost:0"],
        "scouting/multicast/enabled": False,
    }
    for key, value in values.items():
        config.insert_json5(key, json.dumps(value))
    return config


def _domain() -> int:
    text = os.environ.get("ROS_DOMAIN_ID") or "0"
    if not text.isdecimal():
        raise SinkOpenError(f"ROS_DOMAIN_ID is a number, not '{text}'; unset it or give 0 to 232", code="bad-domain")
    return int(text)


def _dds_name(kind: str) -> str:
    package, folder, name = kind.split("/")
    return f"{package}::{folder}::dds_::{name}_"


def _reason(error: Exception) -> str:
    """Returns the message without the place in Zenoh's sources where it was raised."""
    return str(error).split(" at /")[0]


def _mangle(name: str) -> str:
    return name.replace("/", "%")


def _package() -> ModuleType:
    try:
        import zenoh
        import zenoh.ext
    except ImportError as error:
        raise MissingDependencyError(*_ZENOH[1:]) from error
    package: ModuleType = zenoh
    return package
