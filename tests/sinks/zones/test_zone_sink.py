"""The sink of zones, its JSON Lines, and what is refused before a run begins."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.sink_data import MODEL, fill, stream, write

import streamdepth
from streamdepth import config, factory
from streamdepth.core.errors import ConfigError, SinkOpenError
from streamdepth.core.types import DepthKind
from streamdepth.core.zones import Zone
from streamdepth.geometry.zone_monitor import ZoneState
from streamdepth.sinks.zones.json_lines import JsonLinesOutput
from streamdepth.sinks.zones.zone_sink import ZoneSink
from streamdepth.testing import ConstantEstimator, RecordingSink, SyntheticSource

ZONE = Zone.parse("door=20,8,10,14@2m")


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_frame_has_a_line_and_events_come_before_theirs(tmp_path: Path) -> None:
    path = tmp_path / "new" / "zones.jsonl"
    fill(ZoneSink([ZONE], [JsonLinesOutput(path)], hold_seconds=0.1), *stream(38, 48, 32))
    records = lines(path)
    assert [r["index"] for r in records if r["type"] == "values"] == list(range(38))
    assert [(i, r["type"], round(r["time"] * 30)) for i, r in enumerate(records) if r["type"] != "values"] == [
        (14, "entered", 11),
        (34, "left", 30),
    ]
    assert records[15] == records[14] | {"type": "values", "time": round(14 / 30, 6)}
    assert (records[14]["nearest"], records[14]["unit"], records[14]["known"]) == (1.5, "m", 1.0)
    assert records[0]["trend"] is None
    assert records[0]["at"] is None


def test_lines_can_be_followed_and_stay_when_a_run_fails(tmp_path: Path) -> None:
    info, items = stream(4, 48, 32)
    sink = ZoneSink([ZONE], [JsonLinesOutput(tmp_path / "z.jsonl")])
    sink.open(info, MODEL)
    write(sink, items[:2])
    assert len(lines(tmp_path / "z.jsonl")) == 2
    sink.discard()
    assert len(lines(tmp_path / "z.jsonl")) == 2


def test_unknown_and_far_depth_is_null(tmp_path: Path) -> None:
    info, items = stream(2, 48, 32)
    items = [replace(i, depth=np.full((32, 48), d, np.float32)) for i, d in zip(items, (np.nan, np.inf), strict=True)]
    fill(ZoneSink([ZONE], [JsonLinesOutput(tmp_path / "z.jsonl")]), info, items)
    unknown, far = lines(tmp_path / "z.jsonl")
    assert (unknown["nearest"], unknown["known"]) == (None, 0)
    assert (far["nearest"], far["known"]) == (None, 1)


def test_percent_end_with_the_range_in_records_and_only_there(tmp_path: Path) -> None:
    info, items = stream(3, 48, 32)
    items = [
        replace(item, depth=np.full((32, 48), value, np.float32), kind=DepthKind.RELATIVE, range=(1.0, 2.0))
        for item, value in zip(items, (0.5, 1.25, 2.5), strict=True)
    ]
    seen: list[float] = []
    sink = ZoneSink(
        [Zone.parse("z=0,0,48,32@120%")],
        [JsonLinesOutput(tmp_path / "z.jsonl")],
        on_states=lambda states: seen.extend(state.depth.nearest for state in states),
        hold_seconds=0,
    )
    sink.open(info, replace(MODEL, kind=DepthKind.RELATIVE))
    write(sink, items)
    sink.close()
    assert seen == [-50, 25, 150]
    assert [
        (r["nearest"], r["median"], r["occupied"]) for r in lines(tmp_path / "z.jsonl") if r["type"] == "values"
    ] == [
        (0, 0, False),
        (25, 25, False),
        (100, 100, True),
    ]


def test_live_streams_and_recordings_with_a_clock_have_times_of_day(tmp_path: Path) -> None:
    info, items = stream(3, 48, 32)
    paths = tmp_path / "clock.jsonl", tmp_path / "live.jsonl"
    fill(ZoneSink([ZONE], [JsonLinesOutput(paths[0])]), replace(info, epoch_ns=1_700_000_000 * 10**9), items)
    assert [r["at"] for r in lines(paths[0])] == [f"2023-11-14T22:13:20.{ms}+00:00" for ms in ("000", "033", "066")]
    items = [replace(i, frame=replace(i.frame, captured_at=time.monotonic() - 5)) for i in items]
    before = time.time() - 5
    fill(ZoneSink([ZONE], [JsonLinesOutput(paths[1])]), replace(info, is_live=True), items)
    first = datetime.fromisoformat(lines(paths[1])[0]["at"]).timestamp()
    assert before - 1 < first < time.time() - 4


def test_zones_can_be_changed_between_frames() -> None:
    info, items = stream(38, 48, 32)
    seen: list[list[str]] = []
    events: list[ZoneState] = []
    sink = ZoneSink([ZONE], on_states=lambda states: seen.append([s.zone.name for s in states]), hold_seconds=0.1)
    sink._on_event = events.append
    sink.open(info, MODEL)
    write(sink, items[:20])
    sink.watch([Zone.parse("other=0,0,5,5"), ZONE])
    write(sink, items[20:])
    sink.close()
    assert seen == [["door"]] * 20 + [["other", "door"]] * 18
    assert [(e.event.kind, round(e.event.time * 30)) for e in events] == [("entered", 11), ("left", 30)]


def test_a_zone_outside_and_a_wrong_unit_are_refused() -> None:
    info, _ = stream(1, 48, 32)
    with raises_code(SinkOpenError, "zone-outside", naming="48x32"):
        ZoneSink([Zone.parse("z=48,0,5,5")]).open(info, MODEL)
    with raises_code(SinkOpenError, "zone-unit", naming="@1.5m"):
        ZoneSink([Zone.parse("z=0,0,5,5@60%")]).open(info, MODEL)
    with raises_code(SinkOpenError, "zone-unit", naming="@60%"):
        ZoneSink([Zone.parse("z=0,0,5,5@2m")]).open(info, replace(MODEL, kind=DepthKind.RELATIVE))


def test_a_size_that_changes_is_said(tmp_path: Path) -> None:
    info, _ = stream(1, 48, 32)
    sink = ZoneSink([ZONE])
    sink.open(info, MODEL)
    sink.on_stream_changed(replace(info, width=18))
    assert "18x32" in sink.notices[0]


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("no-zone", {"zone_out": "z.jsonl", "zone": ()}),
        ("unknown-target", {"zone_out": "z.csv"}),
        ("unknown-target", {"zone_out": "mqtt://"}),
        ("unknown-target", {"zone_out": "https://me:secret@:99999/hook"}),
        ("same-output", {"zone_out": ["z.jsonl", "z.jsonl"]}),
        ("conflict", {"zone_out": ["mqtt://a/b", "mqtt://a/b"]}),
        ("conflict", {"zone_out": "-", "output": "-"}),
        ("same-output", {"zone_out": "z.jsonl", "stats": "z.jsonl"}),
    ],
)
def test_bad_outputs_are_refused_at_once(code: str, settings: dict) -> None:
    chosen = config.make(**{"source": "in.mp4", "zone": "door=1,2,3,4"} | settings)
    with pytest.raises(ConfigError) as error, factory.open_pipeline(chosen, source=SyntheticSource()):
        pass
    assert error.value.code == code
    assert "secret" not in str(error.value)


def test_a_file_that_exists_is_refused_before_the_model_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "z.jsonl"
    path.write_text("older\n")
    settings = config.make(source="in.mp4", zone="door=1,2,3,4", zone_out=str(path))
    with raises_code(SinkOpenError, "exists"), factory.open_pipeline(settings, source=SyntheticSource()):
        pass
    assert path.read_text() == "older\n"


def test_several_streams_have_files_and_zones_of_their_own(tmp_path: Path) -> None:
    sources = [{"source": "lavfi:testsrc=size=64x48:rate=30", "name": name} for name in ("a", "b")]
    sources[1]["zones"] = {"areas": "gate=0,0,10,10"}
    settings = config.make(
        streams=sources, zone="door=20,8,10,14", zone_out=str(tmp_path / "zones"), max_frames=3, smooth="off"
    )
    with factory.open_pipeline(settings, estimator=ConstantEstimator()) as pipeline:
        pipeline.run()
    found = {path.name: [(r["stream"], r["zone"]) for r in lines(path)] for path in (tmp_path / "zones").iterdir()}
    assert found == {"a.jsonl": [("a", "door")] * 3, "b.jsonl": [("b", "gate")] * 3}


def test_python_gets_zones_by_keyword(tmp_path: Path) -> None:
    kept = RecordingSink()
    report = streamdepth.convert(
        SyntheticSource(10),
        model=ConstantEstimator(DepthKind.METRIC),
        sinks=[kept],
        zone="top=0,0,64,10@1m",
        zone_out=str(tmp_path / "z.jsonl"),
        zone_hold_seconds=0.1,
        smooth="off",
    )
    assert report.written == 10
    records = lines(tmp_path / "z.jsonl")
    assert records[0]["nearest"] == pytest.approx(0.5)
    assert [(r["time"], r["index"]) for r in records if r["type"] == "entered"] == [(0.0, 3)]
