from __future__ import annotations

import threading
from pathlib import Path

import pytest
from filelock import FileLock

from streamdepth.utils import cache


@pytest.fixture
def openvino_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path))
    return tmp_path / "openvino"


def test_what_killed_processes_left_half_made_is_swept(openvino_cache: Path) -> None:
    openvino_cache.mkdir(parents=True, exist_ok=True)
    killed, alive = openvino_cache / ".new-00000001", openvino_cache / ".new-00000002"
    for folder in (killed, alive):
        folder.mkdir()
        (folder / "model.xml").write_text("half")
    with FileLock(f"{alive}.lock"):
        cache.ModelCache("openvino", "tiny", "key").store("8x8", lambda path: path.write_text("network") and None)
        assert {path.name for path in openvino_cache.iterdir()} == {"tiny-key-8x8", alive.name, f"{alive.name}.lock"}


def test_the_cache_is_private_to_its_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path / "new" / "cache"))
    cache.make_cache_subfolder("openvino")
    assert (tmp_path / "new" / "cache").stat().st_mode & 0o077 == 0


def test_a_user_without_a_home_gets_a_cache_for_this_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("STREAMDEPTH_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", refuse)
    assert cache.cache_folder().is_dir()
    assert cache.cache_folder() == cache.cache_folder()


@pytest.mark.usefixtures("openvino_cache")
def test_two_may_store_the_same_network_at_once(openvino_cache: Path) -> None:
    barrier = threading.Barrier(2)

    def save(path: Path) -> None:
        path.write_text("network")
        barrier.wait(60)

    stores = [
        threading.Thread(target=cache.ModelCache("openvino", "tiny", "key").store, args=("8x8", save)) for _ in range(2)
    ]
    for thread in stores:
        thread.start()
    for thread in stores:
        thread.join(60)
    assert [path.name for path in openvino_cache.iterdir()] == ["tiny-key-8x8"]
    found = cache.ModelCache("openvino", "tiny", "key").find("8x8")
    assert found is not None
    assert found.read_text() == "network"


@pytest.mark.parametrize(
    ("platform", "variables", "wanted"),
    [
        ("linux", {"STREAMDEPTH_CACHE": "/a"}, "/a"),
        ("linux", {"XDG_CACHE_HOME": "/b"}, "/b/streamdepth"),
        ("linux", {}, "/home/me/.cache/streamdepth"),
        ("darwin", {}, "/home/me/Library/Caches/streamdepth"),
        ("win32", {"LOCALAPPDATA": "/c"}, "/c/streamdepth"),
    ],
)
def test_where_the_cache_is(
    platform: str, variables: dict[str, str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    for name in ("STREAMDEPTH_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    assert cache.cache_folder() == Path(wanted)
