from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.models import make_model
from helpers.pairs import write_pairs

import streamdepth
from streamdepth import factory
from streamdepth.cli import console
from streamdepth.testing import ConstantEstimator

SHIPPED = Path(streamdepth.__file__).parent / "estimators/weights/nano.safetensors"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "sets", "mine")


def test_help_has_an_example(cli) -> None:
    done = cli("eval", "accuracy", "--help")
    assert done.code == 0
    assert "Example: streamdepth eval accuracy" in done.out
    assert "accuracy" in cli("eval", "--help").out


@pytest.mark.usefixtures("quick_model")
def test_one_table_for_all_sets(cli, data: Path, tmp_path: Path) -> None:
    other = write_pairs(tmp_path / "more", "other", count=2)
    done = cli("eval", "accuracy", data, other, "--every", 2)
    assert done.code == 0, done.err
    heading, first, ramp, second, _, *domains, model, note, other_note = done.out.splitlines()
    assert heading.split() == [
        *("set", "fit", "pictures", "AbsRel", "SqRel", "RMSE", "log10", "SILog", "delta1", "delta2", "delta3"),
        *("edgeF1", "order", "ms"),
    ]
    assert first.split()[:3] == ["mine", "fitted", "2"]
    assert ramp.split()[:3] == ["mine", "ramp", "2"]
    assert second.split()[:3] == ["other", "fitted", "1"]
    assert [line.split()[:2] for line in domains[1:]] == [[a, b] for b in ("fitted", "ramp") for a in ("mean", "worst")]
    assert "constant (relative) on torch cpu float32" in model
    assert (note.split(":")[0], other_note.split(":")[0]) == ("mine", "other")


@pytest.mark.usefixtures("quick_model")
def test_all_sets_of_a_folder_and_the_domains_that_they_share(cli, tmp_path: Path) -> None:
    for name, count in (("room_1", 1), ("room_2", 2)):
        write_pairs(tmp_path, name, count=count)
    index = {name: {"depth_scale": 1000, "domain": "rooms"} for name in ("room_1", "room_2")}
    (tmp_path / "index.json").write_text(json.dumps(index))
    done = cli("eval", "accuracy", tmp_path, "--all", "--json", tmp_path / "facts.json")
    assert done.code == 0, done.err
    facts = json.loads((tmp_path / "facts.json").read_text())
    values = [found["scores"]["fitted"]["ordinal"] for found in facts["sets"]]
    mean = facts["domains"]["fitted"]["ordinal"]
    assert mean == {"mean": pytest.approx(sum(values) / 2, abs=1e-4), "worst": mean["mean"], "worst_domain": "rooms"}
    assert "room_1" in done.out
    assert "room_2" in done.out
    assert [line.split()[-1] for line in done.out.splitlines() if line.startswith("worst")] == ["rooms", "rooms"]


@pytest.mark.usefixtures("quick_model")
def test_no_figure_is_cut_off_on_a_narrow_terminal(cli, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = cli("eval", "accuracy", data).out.splitlines()[1].split()[:-1]
    monkeypatch.setattr(console.out, "width", 60)
    assert cli("eval", "accuracy", data).out.splitlines()[1].split()[:-1] == wide


@pytest.mark.usefixtures("quick_model")
def test_json_alone_on_standard_output(cli, data: Path) -> None:
    done = cli("eval", "accuracy", data, "--json", "-", "--max-depth", 3.5, "--limit", 3)
    facts = json.loads(done.out)
    assert facts["model"]["name"] == "constant"
    assert (facts["sets"][0]["pictures"], facts["sets"][0]["max_depth_m"]) == (3, 3.5)


@pytest.mark.usefixtures("quick_model")
def test_files_are_written_and_not_replaced(cli, data: Path, tmp_path: Path) -> None:
    files = ("--json", tmp_path / "facts.json", "--sheet", tmp_path / "sheet.png")
    assert cli("eval", "accuracy", data, *files, "--quiet").out == ""
    assert json.loads((tmp_path / "facts.json").read_text())["sets"][0]["set"] == "mine"
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    again = cli("eval", "accuracy", data, *files)
    assert (again.code, "exists" in again.err) == (5, True)
    assert cli("eval", "accuracy", data, *files, "--overwrite").code == 0


@pytest.mark.usefixtures("quick_model")
@pytest.mark.parametrize(
    ("arguments", "code", "error_code", "facts"),
    [
        (("missing",), 3, "not-found", "'missing'"),
        (("sets",), 3, "not-found", "sets/mine"),
        (("sets/mine", "--crop", "egien"), 2, "unknown-crop", "none, eigen, garg"),
        (("sets/mine", "--crop", "eigen"), 2, "wrong-size", "96x72"),
        (("sets/mine", "--min-depth", "4", "--max-depth", "3"), 2, "empty-range", "nearest < farthest"),
        (("sets/mine", "--max-depth", "1"), 3, "no-truth", "--max-depth"),
        (("sets/mine", "--depth-scale", "0"), 3, "bad-index", "depth_scale"),
        (("sets/mine", "--sheet", "sheet.gif"), 5, "unknown-format", ".png"),
        (("sets/mine", "--json", "/dev/null/nowhere/facts.json"), 5, "no-folder", "nowhere"),
        (("sets/mine", "--every", "0"), 2, None, ""),
    ],
)
def test_mistakes_are_one_line(
    cli,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    error_code: str | None,
    facts: str,
) -> None:
    monkeypatch.chdir(data.parent.parent)
    done = cli("eval", "accuracy", *arguments)
    assert (done.code, done.error_code) == (code, error_code), done.err
    assert facts in done.err
    assert error_code is None or len(done.err.splitlines()) == 1
    assert done.out == ""


def test_interrupted(cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(ConstantEstimator):
        def estimate(self, frames):
            if self.batches:
                raise KeyboardInterrupt
            return super().estimate(frames)

    estimator = Interrupted()
    monkeypatch.setattr(factory, "make_estimator", lambda _: estimator)
    done = cli("eval", "accuracy", data, "--sheet", tmp_path / "sheet.png", "--json", tmp_path / "facts.json")
    assert (done.code, done.out) == (130, "")
    assert "nothing was written" in done.err
    assert estimator.closed
    assert not list(tmp_path.glob("*.*"))


def test_nano_with_other_weights(cli, data: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    shutil.copy(SHIPPED, mine)
    facts = []
    for model in ("nano", mine):
        done = cli("eval", "accuracy", data, "--model", model, "--engine", "torch", "--limit", 1, "--json", "-")
        assert done.code == 0, done.err
        facts.append(json.loads(done.out))
    assert facts[0]["sets"][0]["scores"] == facts[1]["sets"][0]["scores"]
    assert (facts[0]["model"]["name"], facts[1]["model"]["name"]) == ("nano", str(mine))
    assert facts[0]["model"]["parameters"] > 1_000_000
    done = cli("image", data / "rgb/0000.jpg", "-o", tmp_path / "depth.png", "--model", mine, "--engine", "torch")
    assert done.code == 0, done.err


def test_weights_that_are_not_nanos(cli, data: Path, tmp_path: Path) -> None:
    done = cli("eval", "accuracy", data, "--model", tmp_path / "missing.safetensors")
    assert (done.code, done.error_code) == (4, "damaged")
    other = make_model("glpn", tmp_path / "glpn") / "model.safetensors"
    done = cli("eval", "accuracy", data, "--model", other)
    assert (done.code, done.error_code) == (4, "foreign")


@pytest.mark.parametrize(
    ("name", "fits"), [("depth_anything_metric", {"as_is", "fitted", "ramp"}), ("depth_anything", {"fitted", "ramp"})]
)
def test_a_local_folder(cli, data: Path, tmp_path: Path, name: str, fits: set[str]) -> None:
    folder = make_model(name, tmp_path / name)
    done = cli("eval", "accuracy", data, "--model", folder, "--engine", "torch", "--json", "-")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert set(facts["sets"][0]["scores"]) == fits
    assert facts["model"]["parameters"] > 1000
    assert facts["sets"][0]["ms"]["p50"] > 0
