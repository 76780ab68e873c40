from __future__ import annotations

from pathlib import Path

import pytest
from helpers.paths import ROOT

from streamdepth import config
from streamdepth.core.errors import ConfigError

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my.yaml"
    path.write_text(text)
    return path


def test_defaults_then_file_then_set_then_flags(tmp_path: Path) -> None:
    path = _file(tmp_path, "source: 0\nsmooth: strong\nsize: 192\nvideo: {crf: 30}\n")
    settings = config.load(path, ["size=256", "video.preset=slow"], {"size": 320, "smooth": None})
    assert (settings.source, settings.smooth, settings.size) == (("0",), "strong", 320)
    assert (settings.video.crf, settings.video.preset, settings.video.codec) == (30, "slow", "auto")


def test_a_camera_size_is_read_as_people_write_it(tmp_path: Path) -> None:
    assert config.load(_file(tmp_path, "camera: {size: 1280x720}")).camera.size == (1280, 720)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_shipped_configs_are_valid(path: Path) -> None:
    assert config.load(path).source


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("camera: {fsp: 30}", r"my.yaml: camera.fsp: unknown key; did you mean 'fps'\?"),
        ("colourmap: turbo", r"my.yaml: colourmap: unknown key; did you mean 'colormap'\?"),
        ("xyz: 1", r"my.yaml: xyz: unknown key; allowed: source, output"),
        ("style: wipe", r"my.yaml: style: Input should be 'overlay', 'depth' or 'side-by-side', not 'wipe'"),
        ("batch: 0", r"my.yaml: batch: Input should be greater than or equal to 1, not 0"),
        ("camera: {size: big}", r"my.yaml: camera.size"),
        ("refresh: often", r"my.yaml: refresh: write auto, or how many times a second, [^;]*, not 'often'$"),
        ("- 1\n- 2", r"must hold 'key: value' lines"),
        ("a: b: c", r"is not valid YAML"),
        ("1: 2", r"must hold 'key: value' lines"),
    ],
)
def test_a_wrong_file_says_where_and_what_is_allowed(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        config.load(_file(tmp_path, text))


def test_a_missing_file_is_said() -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration 'nowhere.yaml': No such file"):
        config.load(Path("nowhere.yaml"))


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert config.load(_file(tmp_path, "")) == config.Settings()


@pytest.mark.parametrize("assignment", ["crf", "=3", "model.size=3", "size=[1"])
def test_wrong_assignments(tmp_path: Path, assignment: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.size|no assignment|holds a value|valid YAML"):
        config.load(_file(tmp_path, "model: nano"), [assignment])


@pytest.mark.parametrize("text", ["web:\n", "web: {port: 1}\n", ""])
def test_an_empty_section_takes_flags_and_assignments(tmp_path: Path, text: str) -> None:
    settings = config.load(_file(tmp_path, text), ["web.port=2"], {"web": {"token": "x"}})
    assert (settings.web.port, settings.web.token) == (2, "x")
    assert config.load(_file(tmp_path, text), [], {"web": {"port": 3}}).web.port == 3


def test_a_section_that_is_a_value_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'web' holds a value"):
        config.load(_file(tmp_path, "web: [8000]"), [], {"web": {"port": 3}})


@pytest.mark.parametrize("text", ["web: {token: 12345678}", "web: {token: [12345678]}", "web: {token: 12345678: }: x"])
def test_a_secret_is_not_in_what_is_said_of_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(_file(tmp_path, text))
    assert "12345678" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        config.load(None, ["web.token=[12345678"])
    assert "12345678" not in str(caught.value)


def test_an_address_in_the_wrong_place_loses_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"size.*camera\.local") as caught:
        config.load(_file(tmp_path, "size: rtsp://user:geheim@camera.local/x"))
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("namespace", ["camera", "/büro", "/1", "/a/", "/a__b", "/a_"])
def test_a_namespace_that_ros_would_refuse(namespace: str) -> None:
    with pytest.raises(ConfigError, match=r"robot\.namespace"):
        config.make({"robot": {"namespace": namespace}})


def test_settings_can_be_keys() -> None:
    assert len({config.make({"model": "nano"}), config.make({"model": "nano"})}) == 1
