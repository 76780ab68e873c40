"""Records of zones by MQTT 3.1.1, for home automation and dashboards."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any
from urllib.parse import unquote, urlsplit

from streamdepth.core.errors import MissingDependencyError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.sinks.zones.output import ZoneOutput, is_event, undelivered_error
from streamdepth.sinks.zones.records import ZoneRecord
from streamdepth.utils.redact import redact

PAHO = OptionalPackage("paho", "paho-mqtt", "mqtt", "sending by MQTT")
_DEFAULT_TOPIC = "streamdepth"
_MAX_WAITING = 1000
"""Largest number of messages that wait for a broker; further ones are lost."""


class MqttOutput(ZoneOutput):
    """Publishes to a broker; a thread of its own connects, and reconnects after a loss.

    Below BASE/STREAM, where BASE is the path of the address (`streamdepth` without one):

    - ZONE/event: an event as JSON, QoS 1
    - ZONE/occupied: ON or OFF, QoS 1, retained
    - ZONE/values: the newest values as JSON, QoS 0, retained, every `interval_seconds` and with each event
    - status: online, or offline once it has ended or was lost (last will), retained

    Args:
        url: mqtt://[USER:PASSWORD@]HOST[:PORT][/BASE], or mqtts:// for TLS; the ports are 1883 and 8883.
        interval_seconds: time between two values of a zone, on the clock of the frames.
        timeout_seconds: longest time to wait at the end for events that the broker has not acknowledged.
    """

    required_packages = (PAHO,)

    def __init__(self, url: str, *, interval_seconds: float = 1.0, timeout_seconds: float = 5.0) -> None:
        self.name, self.interval_seconds, self.timeout_seconds = redact(url), interval_seconds, timeout_seconds
        self._address = urlsplit(url)

    def open(self, stream: str, on_notice: Callable[[str], None]) -> None:
        try:
            from paho.mqtt import client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise MissingDependencyError(*PAHO[1:]) from error
        self._forget_earlier_run()
        base = unquote(self._address.path).strip("/") or _DEFAULT_TOPIC
        level = re.sub(r"[+#/\s]", "_", stream)  # which mean something in topics
        self._root, self._on_notice = f"{base}/{level}", on_notice
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._connect()

    def _forget_earlier_run(self) -> None:
        self._sent_at: dict[str, float] = {}
        """Zone -> time of the frame whose values were sent last."""
        self._occupied: dict[str, bool] = {}
        """Zone -> what was told last of it."""
        self._acknowledged: SimpleQueue[int] = SimpleQueue()
        """Numbers of the messages that the broker has, from the thread of the client."""
        self._waiting: deque[tuple[str, str, bool]] = deque()
        """Topic, text and retain flag of messages of QoS 1 that are not sent yet."""
        self._sent: set[int] = set()
        """Numbers of the messages of QoS 1 that the broker may not have yet."""
        self._connections = 0
        """How often a connection was made or lost; counted by the thread of the client."""
        self._sent_over = 0
        """Value of `_connections` when the messages in `_sent` were sent."""
        self._lost = 0

    def _connect(self) -> None:
        client, address = self._client, self._address
        is_secure = address.scheme == "mqtts"
        if address.username is not None:
            password = None if address.password is None else unquote(address.password)
            client.username_pw_set(unquote(address.username), password)
        if is_secure:
            client.tls_set()
        client.reconnect_delay_set(1, 30)
        client.will_set(f"{self._root}/status", "offline", qos=1, retain=True)
        client.on_connect, client.on_connect_fail = self._on_connect, self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = lambda _client, _userdata, number, *_: self._acknowledged.put(number)
        client.connect_async(address.hostname or "", address.port or (8883 if is_secure else 1883))
        client.loop_start()

    def _on_connect(self, client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._on_notice(f"{self.name} refused the connection: {reason}; it is tried again")
            return
        client.publish(f"{self._root}/status", "online", qos=1, retain=True)
        self._connections += 1

    def _on_disconnect(self, *_: Any) -> None:
        self._connections += 1

    def _on_connect_fail(self, *_: Any) -> None:
        self._on_notice(f"{self.name} cannot be reached; it is tried again")

    def write(self, records: Sequence[ZoneRecord]) -> None:
        has_event = any(map(is_event, records))
        for record in records:
            zone, time_seconds = record["zone"], record["time"]
            if is_event(record):
                self._add(f"{zone}/event", json.dumps(record, allow_nan=False))
                continue
            if record["occupied"] != self._occupied.get(zone):
                self._occupied[zone] = record["occupied"]
                self._add(f"{zone}/occupied", "ON" if record["occupied"] else "OFF", retain=True)
            since = abs(time_seconds - self._sent_at.get(zone, -1e9))
            if has_event or since >= self.interval_seconds - 1e-6:
                self._sent_at[zone] = time_seconds
                self._client.publish(f"{self._root}/{zone}/values", json.dumps(record, allow_nan=False), retain=True)
        self._send_waiting()

    def _add(self, topic: str, text: str, *, retain: bool = False) -> None:
        if len(self._waiting) + len(self._sent) < _MAX_WAITING:
            self._waiting.append((topic, text, retain))
        else:
            self._lost += 1

    def _send_waiting(self) -> None:
        """Sends the waiting messages in order.

        After a reconnect the client repeats undelivered messages, but it sends new ones at once. Newer messages are
        therefore held back until the broker has acknowledged all of the earlier connection.
        """
        while not self._acknowledged.empty():
            self._sent.discard(self._acknowledged.get())
        connections = self._connections
        if not (connections and self._client.is_connected()) or (self._sent and self._sent_over != connections):
            return
        self._sent_over = connections
        while self._waiting:
            topic, text, retain = self._waiting.popleft()
            self._sent.add(self._client.publish(f"{self._root}/{topic}", text, qos=1, retain=retain).mid)

    def close(self) -> None:
        deadline = time.monotonic() + self.timeout_seconds
        self._add("status", "offline", retain=True)
        self._send_waiting()
        while (self._waiting or self._sent) and time.monotonic() < deadline:
            time.sleep(0.005)
            self._send_waiting()
        self._client.disconnect()
        self._client.loop_stop()
        if lost := self._lost + len(self._waiting) + len(self._sent):
            raise undelivered_error(lost, self.name)
