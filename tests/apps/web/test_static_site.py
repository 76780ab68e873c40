"""The page that computes depth in the visitor's browser, as it is written to a folder."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from helpers.onnxruntime_web import write_stand_in

from streamdepth.render.colors import lookup_table

pytestmark = pytest.mark.slow


def test_the_folder_has_everything_that_the_page_refers_to(cli, tmp_path: Path) -> None:
    package, site = write_stand_in(tmp_path / "package.tgz"), tmp_path / "site"
    done = cli("serve", "--static", site, "--onnxruntime-web", package, "--size", 64, "--colormap", "turbo")
    assert done.code == 0, done.err
    for name in ("wasm", "webgpu"):
        assert (site / f"onnxruntime-web/ort.{name}.js").read_text() == f"ort.{name}.bundle.min.mjs"
    for script in [*site.glob("in_browser/*.js"), site / "static/depth_screen.js"]:
        for target in re.findall(r"""(?:from|import\(|URL\()\s*["'](\.[^"']+)["']""", script.read_text()):
            assert (script.parent / target).is_file(), (script.name, target)
    for target in re.findall(r'(?:src|href)="([^"]+)"', (site / "index.html").read_text()):
        assert (site / target).exists(), target
    assert json.loads((site / "model/card.json").read_text())["spec"]["size"] == [64, 64]
    about = json.loads((site / "about.json").read_text())
    assert next(iter(about["colormaps"])) == "turbo"
    assert about["colormaps"]["turbo"][255] == "#" + bytes(lookup_table("turbo")[255, 0]).hex()
    assert not (site.stat().st_mode & 0o005) ^ 0o005  # a web server may read it


def test_an_unpacked_package_will_do_and_other_files_in_the_folder_stay(cli, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "CNAME").write_text("depth.example")
    (site / "index.html").write_text("older")
    with tarfile.open(write_stand_in(tmp_path / "package.tgz")) as archive:
        archive.extractall(tmp_path, filter="data")
    words = ["serve", "--static", site, "--onnxruntime-web", tmp_path / "package", "--size", 64]
    assert cli(*words).error_code == "exists"
    assert (site / "index.html").read_text() == "older"
    done = cli(*words, "--overwrite")
    assert done.code == 0, done.err
    assert "Content-Security-Policy" in (site / "index.html").read_text()
    assert (site / "CNAME").read_text() == "depth.example"


@pytest.mark.parametrize("damage", ["none", "absent", "incomplete", "not a package"])
def test_a_missing_runtime_is_said_with_the_line_that_gets_it(cli, tmp_path: Path, damage: str) -> None:
    package = tmp_path / "package.tgz"
    if damage == "incomplete":
        write_stand_in(package, without="ort-wasm-simd-threaded.wasm")
    elif damage == "not a package":
        shutil.copy(__file__, package)
    given = [] if damage == "none" else ["--onnxruntime-web", package]
    done = cli("serve", "--static", tmp_path / "site", *given)
    assert (done.code, done.error_code) == (2, "no-runtime" if damage in ("none", "absent") else "bad-runtime")
    assert "npm pack onnxruntime-web@" in done.err
    assert not (tmp_path / "site").exists()


def test_a_source_is_refused(cli, tmp_path: Path) -> None:
    assert cli("serve", "0", "--static", tmp_path / "site").error_code == "option-conflict"


def test_the_package_is_for_a_written_page_only(cli, tmp_path: Path) -> None:
    assert cli("serve", "--onnxruntime-web", tmp_path / "package.tgz").error_code == "conflict"
