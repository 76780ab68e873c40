"""MQTT, with a real broker where Mosquitto is installed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from helpers import mqtt_broker
from helpers.errors import raises_code
from helpers.mqtt_broker import PASSWORD, USER
from helpers.rtsp_server import free_port
from helpers.sink_data import MODEL, fill, stream, write
from helpers.waiting import wait_until

from streamdepth.core.errors import SinkWriteError
from streamdepth.core.zones import Zone
from streamdepth.sinks.zones.mqtt import MqttOutput
from streamdepth.sinks.zones.zone_sink import ZoneSink

ZONE = Zone.parse("door=20,8,10,14@2m")

pytestmark = pytest.mark.skipif(
    bool(mqtt_broker.unavailable_reason()), reason=mqtt_broker.unavailable_reason() or "there is one"
)


def sink_to(port: int, user: str = USER, *, timeout_seconds: float = 30) -> ZoneSink:
    url = f"mqtt://{user}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/home/depth"
    return ZoneSink([ZONE], [MqttOutput(url, timeout_seconds=timeout_seconds)], stream="hall #1", hold_seconds=0.1)


def test_events_states_and_values_come_to_a_broker(tmp_path: Path) -> None:
    info, items = stream(38, 48, 32)
    with mqtt_broker.running(tmp_path, free_port()) as broker:
        sink = sink_to(broker.port)
        fill(sink, info, items)
        root = "home/depth/hall__1"
        wait_until(lambda: broker.texts(f"{root}/status") == ["online", "offline"])
        events = [json.loads(text) for text in broker.texts(f"{root}/door/event")]
        assert [(e["type"], round(e["time"] * 30), e["index"], e["stream"]) for e in events] == [
            ("entered", 11, 14, "hall #1"),
            ("left", 30, 33, "hall #1"),
        ]
        assert broker.texts(f"{root}/door/occupied") == ["OFF", "ON", "OFF"]
        values = [json.loads(text) for text in broker.texts(f"{root}/door/values")]
        # The first, with each event, and a second after those; values of QoS 0 are lost before the connection is made.
        assert {v["index"] for v in values} <= {0, 14, 33}
        assert sink.notices == []


def test_events_wait_for_a_broker_that_comes_later(tmp_path: Path) -> None:
    info, items = stream(38, 48, 32)
    port = free_port()
    sink = sink_to(port)
    sink.open(info, MODEL)
    write(sink, items)
    wait_until(lambda: sink.notices)
    with mqtt_broker.running(tmp_path, port) as broker:
        sink.close()
        wait_until(lambda: len(broker.texts("home/depth/hall__1/door/event")) == 2)
    assert PASSWORD not in str(sink.notices)
    assert "127.0.0.1" in sink.notices[0]


def test_a_refused_password_is_said_and_undelivered_events_are_an_error(tmp_path: Path) -> None:
    info, items = stream(38, 48, 32)
    with mqtt_broker.running(tmp_path, free_port()) as broker:
        sink = sink_to(broker.port, "nobody", timeout_seconds=0.2)
        sink.open(info, MODEL)
        write(sink, items)
        wait_until(lambda: sink.notices)
        with raises_code(SinkWriteError, "undelivered", naming="127.0.0.1") as error:
            sink.close()
    assert PASSWORD not in f"{sink.notices} {error.value}"
    assert quote(PASSWORD, safe="") not in f"{sink.notices} {error.value}"


def test_events_come_in_order_whenever_the_connection_is_made(tmp_path: Path) -> None:
    info, items = stream(38, 48, 32)
    with mqtt_broker.running(tmp_path, free_port()) as broker:
        for count, pause in enumerate((0.0, 0.0005, 0.001, 0.002), 1):
            sink = sink_to(broker.port)
            sink.open(info, MODEL)
            for item in items:
                write(sink, [item])
                time.sleep(pause)
            sink.close()
            wait_until(lambda count=count: len(broker.texts("home/depth/hall__1/door/event")) == 2 * count)
        types = [json.loads(text)["type"] for text in broker.texts("home/depth/hall__1/door/event")]
        assert types == ["entered", "left"] * 4


def test_an_output_that_is_opened_again_begins_anew(tmp_path: Path) -> None:
    info, items = stream(38, 48, 32)
    port = free_port()
    sink = sink_to(port, timeout_seconds=0)
    sink.open(info, MODEL)
    write(sink, items)
    with raises_code(SinkWriteError, "undelivered", naming="127.0.0.1"):
        sink.close()
    (output,) = sink.outputs
    assert isinstance(output, MqttOutput)
    output.timeout_seconds = 30
    with mqtt_broker.running(tmp_path, port) as broker:
        for count in (2, 4):
            fill(sink, info, items)
            wait_until(lambda count=count: len(broker.texts("home/depth/hall__1/door/event")) == count)
        wait_until(lambda: broker.texts("home/depth/hall__1/status") == ["online", "offline"] * 2)
