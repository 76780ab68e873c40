"""Many bags of robots are a batch: folders and patterns of them, with one topic for all, into videos and recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import bags
from mcap.reader import make_reader
from rosbags.rosbag2 import StoragePlugin

from streamdepth import config
from streamdepth.apps.batch.tasks import find_tasks, is_batch

LEFT, RIGHT = "/left/image_raw", "/right/image_raw"
ANCHORS = ("--anchor", "5,5=1m", "--anchor", "40,8=3m", "--anchor", "8,28=5m")


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two bags that are folders, and one that is a file, each with two cameras."""
    folder = tmp_path / "in"
    folder.mkdir()
    topics = {topic: [bags.image(index) for index in range(2)] for topic in (LEFT, RIGHT)}
    for name, plugin in (("a", StoragePlugin.SQLITE3), ("b", StoragePlugin.MCAP)):
        bags.write_bag(folder / name, topics, plugin)
    (file,) = bags.write_bag(tmp_path / "other", topics, StoragePlugin.MCAP).glob("*.mcap")
    file.rename(folder / "c.mcap")
    monkeypatch.chdir(tmp_path)
    return folder


def names(*source: str, **outputs: str) -> list[str]:
    settings = config.make(source=source, **(outputs or {"depth_out": "o"}))
    assert is_batch(settings)
    return [task.name for task in find_tasks(settings)]


@pytest.mark.parametrize("source", ["in", "in/*", "in/**"])
def test_a_folder_or_pattern_of_bags_is_a_batch(fleet: Path, source: str) -> None:
    assert names(source) == ["a", "b", "c"]


def test_a_pattern_may_name_a_topic_for_all(fleet: Path) -> None:
    settings = config.make(source=(f"in/*#{LEFT}",), depth_out="o/{name}.mcap")
    assert [task.source for task in find_tasks(settings)] == [f"in/{n}#{LEFT}" for n in ("a", "b", "c.mcap")]
    assert [task.settings.outputs.depth for task in find_tasks(settings)] == [Path(f"o/{n}.mcap") for n in "abc"]
    assert names("in/*.mcap") == ["c"]


def test_bags_that_are_named_are_a_batch_and_topics_of_one_bag_are_its_cameras(fleet: Path) -> None:
    assert names(f"in/a#{LEFT}", f"in/b#{LEFT}") == ["a", "b"]
    assert not is_batch(config.make(source=(f"in/a#{LEFT}", f"in/a#{RIGHT}"), depth_out="o"))
    assert not is_batch(config.make(source=(f"in/a#{LEFT}",), depth_out="o.mkv"))


@pytest.mark.usefixtures("quick_model")
@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["mcap", "rrd", "mkv"])
def test_a_fleet_becomes_recordings(cli, fleet: Path, tmp_path: Path, suffix: str) -> None:
    command = ("convert", f"in/*#{LEFT}", "--depth-out", f"o/{{name}}.{suffix}", *ANCHORS)
    done = cli(*command)
    assert done.code == 0, done.err
    assert sorted(p.name for p in (tmp_path / "o").glob(f"*.{suffix}")) == [f"{n}.{suffix}" for n in "abc"]
    if suffix == "mcap":
        with (tmp_path / "o/a.mcap").open("rb") as file:
            assert make_reader(file).get_summary().statistics.message_count >= 2
    assert "3 of them before" in cli(*command).err
    (fleet / "c.mcap").touch()
    assert "again: " in cli(*command, "--overwrite").err
