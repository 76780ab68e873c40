"""Zones of the page's streams: the API that changes them, the status and the metrics, over real connections."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers.waiting import wait_until
from helpers.web_server import MOVING, Site, running
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from streamdepth import factory
from streamdepth.apps.web.zone_history import ZoneHistories
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.core.zones import Zone
from streamdepth.geometry.zone_monitor import ZoneMonitor
from streamdepth.testing import ConstantEstimator

NAME = "lavfi_testsrc2_size_320x240_rate_30"
ZONES = f"/api/streams/{NAME}/zones"
TOP = {"corners": [[0, 0], [320, 0], [320, 60], [0, 60]]}

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A stream whose depth is 0.5 m in the upper half of 24 rows, and grows to 2 m."""
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(DepthKind.METRIC))
    with running(
        tmp_path / "kept", MOVING, smooth="off", zone="floor=0,230,320,10@1m", zone_out=str(tmp_path / "z.jsonl")
    ) as found:
        yield found


def zones(site: Site) -> dict[str, dict]:
    return {zone["name"]: zone for zone in site.stream(NAME)["zones"]}


def test_zones_are_added_changed_and_removed_while_a_stream_runs(site: Site, tmp_path: Path) -> None:
    wait_until(lambda: zones(site)["floor"]["nearest"])
    floor = zones(site)["floor"]
    assert (floor["text"], floor["unit"], floor["occupied"]) == ("floor=0,230,320,10@1m", "m", False)
    assert floor["nearest"] == pytest.approx(2.0, abs=0.1)
    assert site.call("PUT", f"{ZONES}/top", TOP | {"near": 1.0}).status == 200
    wait_until(lambda: zones(site).get("top", {}).get("occupied"))
    top = zones(site)["top"]
    assert (top["corners"], top["entered"], top["text"]) == (TOP["corners"], 1, "top=0,0,320,60@1m")
    assert top["nearest"] == pytest.approx(0.5)
    assert top["history"][-1][1] == pytest.approx(0.5)
    assert site.call("PUT", f"{ZONES}/top", TOP | {"near": 0.1}).status == 200
    wait_until(lambda: zones(site).get("top", {}).get("near") == 0.1)
    assert not zones(site)["top"]["occupied"]
    assert list(zones(site)) == ["floor", "top"]
    assert site.call("DELETE", f"{ZONES}/top").status == 200
    wait_until(lambda: list(zones(site)) == ["floor"])
    assert site.call("DELETE", f"{ZONES}/top").status == 404
    lines = [json.loads(line) for line in (tmp_path / "z.jsonl").read_text().splitlines()]
    assert [r["zone"] for r in lines if r["type"] == "entered"] == ["top"]


def test_a_removed_zone_is_gone_from_the_answer_and_without_another_frame(site: Site) -> None:
    wait_until(lambda: zones(site))
    site.call("PATCH", f"/api/streams/{NAME}/controls", {"paused": True})
    wait_until(lambda: site.stream(NAME)["controls"]["paused"])
    answer = site.call("DELETE", f"{ZONES}/floor")
    assert [stream["zones"] for stream in answer.json["streams"]] == [[]]


@pytest.mark.parametrize(
    ("zone", "wanted"),
    [
        ("outside", {"corners": [[400, 0], [500, 0], [500, 60]]}),
        ("a b", TOP),
        ("line", {"corners": [[0, 0], [10, 0]]}),
        ("negative", {"corners": [[-5, 0], [10, 0], [10, 10]]}),
        ("more", TOP | {"more": 1}),
        ("far", TOP | {"near": -1}),
    ],
)
def test_what_is_no_zone_is_refused(site: Site, zone: str, wanted: dict) -> None:
    answer = site.call("PUT", f"{ZONES}/{zone.replace(' ', '%20')}", wanted)
    assert answer.status == 422
    assert answer.json["detail"]
    assert list(zones(site)) == ["floor"]


def test_a_stream_has_a_limit_of_zones(site: Site) -> None:
    statuses = [site.call("PUT", f"{ZONES}/z{i}", TOP).status for i in range(33)]
    assert statuses == [200] * 31 + [422] * 2


def test_metrics_have_the_zones(site: Site) -> None:
    site.call("PUT", f"{ZONES}/top", TOP | {"near": 1.0})
    wait_until(lambda: zones(site).get("top", {}).get("occupied"))
    found = {
        (sample.name, sample.labels["zone"], sample.labels["unit"]): sample.value
        for family in text_string_to_metric_families(site.get("/metrics").body.decode())
        for sample in family.samples
        if sample.name.startswith("streamdepth_zone")
    }
    assert found["streamdepth_zone_nearest", "top", "m"] == pytest.approx(0.5)
    assert found["streamdepth_zone_occupied", "top", "m"] == 1
    assert found["streamdepth_zone_entered_total", "top", "m"] == 1
    assert found["streamdepth_zone_occupied", "floor", "m"] == 0
    assert len(found) == 12


def test_pictures_have_the_outlines(site: Site) -> None:
    site.call("PATCH", f"/api/streams/{NAME}/controls", {"paused": True})
    pictures = []
    for method in ("GET", "DELETE"):
        site.call(method, f"{ZONES}/floor")
        jpeg = site.get(f"/streams/{NAME}/picture").body
        pictures.append(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"), int))
    assert np.abs(pictures[0] - pictures[1])[229:].mean() > 5
    assert np.abs(pictures[0] - pictures[1])[:150].mean() < 2


def test_history_has_the_last_value_of_each_second() -> None:
    histories, monitor = ZoneHistories(), ZoneMonitor(Zone.parse("z=0,0,8,8@1m"))
    for i in range(125 * 2):
        frame = Frame(np.zeros((8, 8, 3), np.uint8), i, i, Fraction(1, 2), 0.0)
        depth = np.full((4, 4), i + 2.0, np.float32)
        histories.add_states([monitor.update(DepthFrame(frame, depth, DepthKind.METRIC))])
    (watched,) = histories.zones(["z"])
    assert list(watched.nearest) == [(second, 2 * second + 3.0) for second in range(5, 125)]
    histories.add_states([])
    assert histories.zones(["z"]) == []
