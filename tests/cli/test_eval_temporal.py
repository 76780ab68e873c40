"""`streamdepth eval temporal`, from files to table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from helpers.media import write_video
from helpers.moving_scene import HEIGHT, WIDTH, scene
from PIL import Image

from streamdepth import factory
from streamdepth.core.types import DepthKind
from streamdepth.evaluation.steadiness.inputs import DepthDiskCache, open_depth, open_truth
from streamdepth.testing import ConstantEstimator

COUNT, SIZE = 20, (WIDTH, HEIGHT)
IMAGES, INVERSE = zip(*scene(COUNT), strict=True)


@pytest.fixture
def bright_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Depth is brightness: it moves with the scene."""
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(size=(36, 48), from_brightness=True))


def write_set(folder: Path, count: int = COUNT, *, poses: int | None = None) -> Path:
    """The synthetic scene as a set with truth in millimeters."""
    for part in ("rgb", "depth"):
        (folder / part).mkdir(parents=True)
    for i in range(count):
        cv2.imwrite(str(folder / "rgb" / f"{i:04d}.png"), IMAGES[i][..., ::-1])
        cv2.imwrite(str(folder / "depth" / f"{i:04d}.png"), (1000 / INVERSE[i]).astype(np.uint16))
    (folder / "index.json").write_text(json.dumps({"depth_scale": 1000, "fps": 15}))
    if poses is not None:
        camera = {"width": SIZE[0], "height": SIZE[1], "fx": 140, "fy": 140, "cx": 80, "cy": 60}
        (folder / "camera.json").write_text(json.dumps(camera))
        (folder / "poses.txt").write_text("\n".join([POSE] * poses) + "\n")
    return folder


POSE = " ".join(str(v) for v in np.eye(4).ravel())


def clip(path: Path, count: int = COUNT) -> Path:
    return write_video(path, images=IMAGES[:count])


def gray_video(path: Path, count: int = COUNT, *, deep: bool = False, size: tuple[int, int] = SIZE) -> Path:
    """Inverse depth as gray levels, lossless, as other tools write it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "gray16le" if deep else "gray"
        for i in range(count):
            gray = cv2.resize(INVERSE[i], size) * (60000 if deep else 240)
            values = gray.astype(np.uint16 if deep else np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(values, "gray16le" if deep else "gray")))
        container.mux(stream.encode(None))
    return path


def test_help_has_an_example(cli) -> None:
    assert "Example: streamdepth eval temporal" in cli("eval", "temporal", "--help").out


@pytest.mark.usefixtures("bright_model")
def test_a_set_with_a_model_and_a_preset(cli, tmp_path: Path) -> None:
    folder, video = write_set(tmp_path / "room", poses=COUNT), tmp_path / "side.mp4"
    files = {"--json": tmp_path / "facts.json", "--plot": tmp_path / "plot.png", "--side-by-side": video}
    done = cli("eval", "temporal", folder, "--smooth", "strong", *(word for pair in files.items() for word in pair))
    assert done.code == 0, done.err
    for word in ("flow-warped error", "ghosting", "edge retention", "TEPE", "TAE", "20 frames"):
        assert word in done.out
    facts = json.loads(files["--json"].read_text())
    assert (facts["frames"], facts["smooth"], facts["model"]["name"]) == (COUNT, "strong", "constant")
    assert facts["result"]["tae_percent"] > 0
    assert facts["result"]["ghosting"] > 0
    assert facts["raw"]["abs_rel"] > 0
    assert len(facts["per_frame"]["flow_warped_error"]) == COUNT
    with Image.open(files["--plot"]) as plot:
        assert plot.size[0] == 960
    with av.open(str(video)) as container:
        frames = list(container.decode(video=0))
        assert (len(frames), frames[0].width, frames[0].height) == (COUNT, 3 * SIZE[0], SIZE[1])
        assert container.streams.video[0].average_rate == 15


@pytest.mark.usefixtures("bright_model")
def test_without_smoothing_there_is_nothing_to_compare(cli, tmp_path: Path) -> None:
    done = cli("eval", "temporal", clip(tmp_path / "in.mp4"), "--smooth", "off", "--json", "-", "--max-frames", 8)
    facts = json.loads(done.out)
    assert facts["frames"] == 8
    assert facts["raw"] == {}
    assert "ghosting" not in facts["result"]


def test_our_own_depth_video_with_its_raw(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(size=(36, 48), from_brightness=True))
    video = clip(tmp_path / "in.mp4")
    for name, smooth in (("raw", "off"), ("smooth", "strong")):
        assert cli("convert", video, "--depth-out", tmp_path / f"{name}.mkv", "--smooth", smooth).code == 0
    files = video, tmp_path / "smooth.mkv", "--raw", tmp_path / "raw.mkv"
    given = json.loads(cli("eval", "temporal", *files, "--json", "-").out)
    made = json.loads(cli("eval", "temporal", video, "--smooth", "strong", "--json", "-").out)
    assert given["cuts"] == made["cuts"] == []
    assert made["result"]["ghosting"] > 0.001
    for name, value in made["result"].items():
        assert (given["result"][name] or 0) == pytest.approx(value or 0, rel=0.02, abs=1e-3), name


@pytest.mark.parametrize("deep", [False, True])
def test_anyones_gray_video(cli, tmp_path: Path, deep: bool) -> None:
    video, depth = clip(tmp_path / "in.mp4"), gray_video(tmp_path / "gray.mkv", deep=deep)
    truth = write_set(tmp_path / "room")
    done = cli("eval", "temporal", video, depth, "--truth", truth, "--raw", depth, "--cuts", "10", "--json", "-")
    facts = json.loads(done.out)
    assert facts["cuts"] == [10]
    assert facts["result"]["abs_rel"] < 0.01
    assert facts["result"]["ghosting"] == pytest.approx(0, abs=1e-6)
    assert facts["result"]["edge_retention"] == pytest.approx(1)


@pytest.mark.parametrize("suffix", [".png", ".npz", ".exr"])
@pytest.mark.parametrize("kind", list(DepthKind))
def test_depth_pictures_of_ours_come_back(tmp_path: Path, suffix: str, kind: DepthKind) -> None:
    from streamdepth.sinks.images import write_depth_image

    if suffix == ".exr":
        pytest.importorskip("OpenEXR")
    depths = [1 / INVERSE[i] for i in range(3)]
    depths[1][0, 0] = np.nan
    for i, depth in enumerate(depths):
        write_depth_image(tmp_path / f"{i:06d}{suffix}", depth, kind)
    found = open_depth(tmp_path)
    assert (found.kind, found.has_known_unit) == (kind, True)
    for _ in range(2):
        for depth, again in zip(depths, found, strict=True):
            np.testing.assert_allclose(again, depth, atol=2e-3)


def test_pictures_of_others_are_relative(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.full((4, 6), 7, np.uint16))
    np.savez(tmp_path / "1.npz", depth=np.ones((4, 6)))
    found = open_depth(tmp_path)
    assert (found.kind, found.has_known_unit) == (DepthKind.RELATIVE, False)
    assert [float(d[0, 0]) for d in found] == [7, 1]


def test_a_store_gives_back_what_it_got() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(5, 7)).astype(np.float32), np.full((2, 3), 4, np.float32), np.full((2, 2), np.nan)]
    maps[0][1, 1] = np.nan
    with DepthDiskCache() as store:
        for depth in maps:
            store.add(depth.astype(np.float32))
        for _ in range(2):
            for depth, again in zip(maps, store, strict=True):
                np.testing.assert_allclose(again, depth, atol=1e-4)


def _colored(folder: Path) -> Path:
    return write_video(folder / "colors.mp4", images=[IMAGES[i] * np.uint8([1, 0, 0]) for i in range(COUNT)])


def _text(folder: Path) -> Path:
    (folder / "note.mkv").write_text("no video")
    return folder / "note.mkv"


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _bad_npz(folder: Path) -> Path:
    (folder / "npz").mkdir()
    np.savez(folder / "npz" / "0.npz", other=np.ones((4, 6)))
    return folder / "npz"


@pytest.mark.parametrize(
    ("make", "error_code", "facts"),
    [
        (lambda f: f / "nothing.mkv", "not-found", "nothing.mkv"),
        (_colored, "no-depth", "colors"),
        (_text, "no-depth", "not a video"),
        (_empty, "no-depth", ".npz"),
        (_bad_npz, "no-depth", "0.npz"),
        (lambda f: gray_video(f / "few.mkv", 12), "length-mismatch", "12 frames"),
        (lambda f: gray_video(f / "wide.mkv", size=(320, 80)), "wrong-shape", "160x120"),
    ],
)
def test_depth_that_cannot_be_used(
    cli, tmp_path: Path, make: Callable[[Path], Path], error_code: str, facts: str
) -> None:
    done = cli("eval", "temporal", clip(tmp_path / "in.mp4"), make(tmp_path))
    assert (done.code, done.error_code) == (3, error_code), done.err
    assert facts in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "error_code", "facts"),
    [
        (["DEPTH", "--model", "nano"], 2, "conflict", "leave out --model"),
        (["DEPTH", "--smooth", "off"], 2, "conflict", "leave out --smooth"),
        (["--raw", "DEPTH"], 2, "conflict", "--raw"),
        (["DEPTH", "--cuts", "one,two"], 2, "bad-cuts", "one,two"),
        (["DEPTH", "--truth", "DEPTH"], 3, "not-metric", "gray.mkv"),
        (["DEPTH", "--plot", "plot.jpg"], 2, "unknown-format", ".png"),
        (["DEPTH", "--side-by-side", "x.avi"], 2, "unknown-format", ".mp4"),
        (["DEPTH", "--json", "/dev/null/nowhere/facts.json"], 5, "no-folder", "nowhere"),
        (["DEPTH", "--max-frames", "1"], 3, "too-short", "1 frame"),
    ],
)
def test_arguments_that_do_not_fit(
    cli, tmp_path: Path, arguments: list[str], code: int, error_code: str, facts: str
) -> None:
    depth = str(gray_video(tmp_path / "gray.mkv"))
    words = [depth if word == "DEPTH" else word for word in arguments]
    done = cli("eval", "temporal", clip(tmp_path / "in.mp4"), *words)
    assert (done.code, done.error_code) == (code, error_code), done.err
    assert facts in done.err


@pytest.mark.usefixtures("bright_model")
def test_poses_must_fit_the_pictures(cli, tmp_path: Path) -> None:
    done = cli("eval", "temporal", write_set(tmp_path / "room", poses=COUNT - 1))
    assert (done.code, done.error_code) == (3, "bad-camera")
    assert "19 poses of 20" in done.err


def test_poses_must_be_motions(cli, tmp_path: Path) -> None:
    folder = write_set(tmp_path / "room", poses=COUNT)
    (folder / "poses.txt").write_text(((POSE + "\n") * (COUNT - 1)) + "0 " * 16)
    done = cli("eval", "temporal", folder)
    assert (done.code, done.error_code) == (3, "bad-camera")
    assert "inverse" in done.err


def test_an_existing_output_is_kept(cli, tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    plot.write_text("mine")
    done = cli("eval", "temporal", clip(tmp_path / "in.mp4"), gray_video(tmp_path / "gray.mkv"), "--plot", plot)
    assert done.code == 5
    assert plot.read_text() == "mine"


def test_truth_of_a_set_is_in_meters(tmp_path: Path) -> None:
    truth = open_truth(write_set(tmp_path / "room", 3))
    assert truth.kind is DepthKind.METRIC
    assert [float(d.min()) for d in truth] == pytest.approx([1, 1, 1])
