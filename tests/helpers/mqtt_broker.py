"""A real MQTT broker (Mosquitto) on 127.0.0.1, and a subscriber that keeps what it gets."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from helpers.waiting import wait_until
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

USER, PASSWORD = "home", "s3cret/word"
_MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/opt/homebrew/sbin")


def unavailable_reason() -> str:
    """Returns why there is no broker; empty if there is one."""
    return "" if _MOSQUITTO else "no MQTT broker; apt-get install mosquitto"


@dataclass
class Broker:
    """A running broker that asks for USER and PASSWORD."""

    port: int
    messages: list[tuple[str, str, bool]] = field(default_factory=list)
    """Topic and text of each message that was published, and True for one that was retained from before."""

    def texts(self, topic: str) -> list[str]:
        return [text for name, text, _ in self.messages if name == topic]


@contextmanager
def running(folder: Path, port: int) -> Iterator[Broker]:
    """Runs a broker in `folder` with a subscriber to all topics."""
    (folder / "passwords").write_text(f"{USER}:{PASSWORD}\n")
    (folder / "passwords").chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", str(folder / "passwords")], check=True, capture_output=True)
    lines = f"listener {port} 127.0.0.1", f"password_file {folder / 'passwords'}", "user root", "persistence false"
    (folder / "broker.conf").write_text("\n".join(lines) + "\n")
    process = subprocess.Popen(
        [_MOSQUITTO or "", "-c", str(folder / "broker.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    broker, subscriber = Broker(port), paho.Client(CallbackAPIVersion.VERSION2)
    try:
        wait_until(lambda: _listens(port))
        subscriber.username_pw_set(USER, PASSWORD)
        subscriber.on_message = lambda _c, _u, m: broker.messages.append((m.topic, m.payload.decode(), m.retain))
        subscribed: list[bool] = []
        subscriber.on_subscribe = lambda *_: subscribed.append(True)
        subscriber.connect("127.0.0.1", port)
        subscriber.subscribe("#", qos=1)
        subscriber.loop_start()
        wait_until(lambda: subscribed)
        yield broker
    finally:
        subscriber.disconnect()
        subscriber.loop_stop()
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
