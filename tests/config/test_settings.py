from __future__ import annotations

from pathlib import Path

import pytest
from helpers.errors import raises_code
from helpers.paths import ROOT

from streamdepth import config
from streamdepth.core.errors import ConfigError

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my.yaml"
    path.write_text(text)
    return path


def test_defaults_then_file_then_set_then_keywords(tmp_path: Path) -> None:
    path = _file(tmp_path, "source: 0\nsmooth: strong\nmodel: {size: 192}\nvideo: {crf: 30}\n")
    settings = config.load(path, ["model.size=256", "video.preset=slow"], {"size": 320})
    assert (settings.source, settings.smooth, settings.model.size) == (("0",), "strong", 320)
    assert (settings.video.crf, settings.video.preset, settings.video.codec) == (30, "slow", "auto")


def test_a_camera_size_is_read_as_people_write_it(tmp_path: Path) -> None:
    assert config.load(_file(tmp_path, "camera: {size: 1280x720}")).camera.size == (1280, 720)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_shipped_configs_are_valid(path: Path) -> None:
    assert config.load(path).source


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("camera: {fsp: 30}", "unknown-setting", "my.yaml: camera.fsp: unknown key; did you mean 'camera.fps'?"),
        ("colourmap: turbo", "unknown-setting", "did you mean 'render.colormap'?"),
        ("legend: false", "unknown-setting", "did you mean 'render.legend'?"),
        ("depth_out: d.mkv", "unknown-setting", "did you mean 'outputs.depth'?"),
        ("video: {alpha: 1}", "unknown-setting", "did you mean 'render.alpha'?"),
        ("outputs: {wndow: true}", "unknown-setting", "did you mean 'outputs.window'?"),
        ("xyz: 1", "unknown-setting", "my.yaml: xyz: unknown key; allowed: source, streams"),
        ("render: {style: wipe}", "bad-value", "'overlay', 'depth', 'side-by-side', "),
        ("inference: {batch: 0}", "bad-value", "my.yaml: inference.batch: "),
        ("camera: {size: big}", "bad-value", "my.yaml: camera.size"),
        ("inference: {fps: often}", "bad-value", "my.yaml: inference.fps: write auto, or how many times per second"),
        (
            "model: nano",
            "not-a-section",
            "'model' holds a value, not a section with settings of its own, such as model.name",
        ),
        ("- 1\n- 2", "bad-yaml", "must hold 'key: value' lines"),
        ("a: b: c", "bad-yaml", "is not valid YAML"),
        ("1: 2", "bad-yaml", "must hold 'key: value' lines"),
    ],
)
def test_a_wrong_file_says_where_and_what_is_allowed(tmp_path: Path, text: str, code: str, says: str) -> None:
    with raises_code(ConfigError, code) as caught:
        config.load(_file(tmp_path, text))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("keyword", "says"),
    [("smoth", "'smooth'"), ("crf", "'video_crf'"), ("max_frame", "'max_frames'"), ("xyz", "allowed: source")],
)
def test_an_unknown_keyword_suggests_the_right_one(keyword: str, says: str) -> None:
    with raises_code(ConfigError, "unknown-setting") as caught:
        config.make(**{keyword: 1})
    assert says in str(caught.value)


def test_a_missing_file_is_said() -> None:
    with raises_code(ConfigError, "not-found"):
        config.load(Path("nowhere.yaml"))


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert config.load(_file(tmp_path, "")) == config.Settings()


@pytest.mark.parametrize(
    ("assignment", "code"),
    [
        ("crf", "bad-assignment"),
        ("=3", "bad-assignment"),
        ("source.x=3", "not-a-section"),
        ("model.name.size=3", "not-a-section"),
        ("model.size=[1", "bad-yaml"),
        ("sizes=3", "unknown-setting"),
    ],
)
def test_wrong_assignments(tmp_path: Path, assignment: str, code: str) -> None:
    with raises_code(ConfigError, code):
        config.load(_file(tmp_path, "source: '0'\nmodel: {name: nano}"), [assignment])


@pytest.mark.parametrize("text", ["web:\n", "web: {port: 1}\n", ""])
def test_an_empty_section_takes_keywords_and_assignments(tmp_path: Path, text: str) -> None:
    settings = config.load(_file(tmp_path, text), ["web.port=2"], {"token": "x"})
    assert (settings.web.port, settings.web.token) == (2, "x")
    assert config.load(_file(tmp_path, text), [], {"port": 3}).web.port == 3


def test_a_section_that_is_a_value_is_said(tmp_path: Path) -> None:
    with raises_code(ConfigError, "not-a-section"):
        config.load(_file(tmp_path, "web: [8000]"), [], {"port": 3})


@pytest.mark.parametrize("text", ["web: {token: 12345678}", "web: {token: [12345678]}", "web: {token: 12345678: }: x"])
def test_a_secret_is_not_in_what_is_said_of_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(_file(tmp_path, text))
    assert "12345678" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        config.load(None, ["web.token=[12345678"])
    assert "12345678" not in str(caught.value)


def test_an_address_in_the_wrong_place_loses_its_password(tmp_path: Path) -> None:
    with raises_code(ConfigError, "bad-value") as caught:
        config.load(_file(tmp_path, "model: {size: rtsp://user:geheim@camera.local/x}"))
    assert "camera.local" in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("namespace", ["camera", "/b\u00fcro", "/1", "/a/", "/a__b", "/a_"])
def test_a_namespace_that_ros_would_refuse(namespace: str) -> None:
    with raises_code(ConfigError, "bad-value"):
        config.make(robot_namespace=namespace)


def test_an_address_as_output_is_pushed_to(tmp_path: Path) -> None:
    outputs = config.make(output="rtsp://server/a", push="srt://server:1").outputs
    assert (outputs.video, outputs.push) == (None, ("rtsp://server/a", "srt://server:1"))
    outputs = config.load(_file(tmp_path, "outputs: {video: 'rtmp://server/a'}")).outputs
    assert (outputs.video, outputs.push) == (None, ("rtmp://server/a",))


def test_replace_changes_settings_in_their_sections_alone() -> None:
    before = config.make(source="a.mp4", size=192, legend=False)
    after = before.replace(size=224, max_frames=3)
    assert (after.model.size, after.max_frames, after.render.legend, after.source) == (224, 3, False, ("a.mp4",))
    assert (before.model.size, before.max_frames) == (192, None)


def test_settings_can_be_keys() -> None:
    assert len({config.make(model="nano"), config.make(model="nano")}) == 1


@pytest.mark.parametrize("device", ["GPU", "CPU", "AUTO:GPU,CPU", "Cuda:1"])
def test_devices_are_taken_in_any_case(device: str) -> None:
    assert config.make(device=device).model.device == device.lower()
