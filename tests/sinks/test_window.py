"""The window: its keys on a pretended screen, and the real one where a virtual X server is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.paths import PYTHONPATH, ROOT
from helpers.sink_data import MODEL, stream
from PIL import Image as Pillow

from streamdepth.core.errors import ConfigError, SinkOpenError, SinkWriteError
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame
from streamdepth.render.overlay import render
from streamdepth.sinks import window
from streamdepth.sinks.window import WindowSink, check_display
from streamdepth.sinks.window_view import WINDOW_KEYS, WindowView

ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="DISPLAY is looked at on Linux only")


class Screen:
    """Stands for OpenCV's windows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[np.ndarray] = []
        self.destroyed = 0
        self.key, self.visible = -1, 1.0
        self.typed: list[str] = []
        """Keys that are pressed one after the other, before `key`."""
        monkeypatch.setattr(window, "check_display", lambda: None)
        monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "setWindowTitle", lambda *_: None)
        monkeypatch.setattr(cv2, "resizeWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "imshow", lambda _, picture: self.shown.append(picture))
        monkeypatch.setattr(cv2, "waitKey", lambda _: self.key_pressed())
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: self.visible)
        monkeypatch.setattr(cv2, "destroyWindow", self.destroy)

    def key_pressed(self) -> int:
        return ord(self.typed.pop(0)) if self.typed else self.key

    @property
    def last(self) -> np.ndarray:
        """The picture that is shown, RGB."""
        return self.shown[-1][:, :, ::-1]

    def destroy(self, title: str) -> None:
        self.destroyed += 1


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)


def test_it_is_a_preview() -> None:
    assert WindowSink.can_drop_frames


@pytest.mark.parametrize("hold_last", [True, False])
def test_a_lost_camera_is_told_from_a_still_picture(screen: Screen, hold_last: bool) -> None:
    """Its last picture is gray and dark with words on it, or there are words on black."""
    info, items = stream(1)
    sink = WindowSink(options=RenderOptions(legend=False), hold_last=hold_last)
    sink.open(info, MODEL)
    sink.write(items[0])
    sink.on_stalled(items[0], 12.3)
    fresh, stale = screen.shown
    assert stale.shape == fresh.shape
    assert (stale == stale[..., :1]).all(), "gray"
    assert stale.max() > 200, "words"
    assert bool(np.median(stale)) is hold_last
    assert np.median(stale) < np.median(fresh)


def test_shows_blue_green_red(screen: Screen) -> None:
    info, items = stream(1)
    sink = WindowSink(options=RenderOptions(alpha=0))
    sink.open(info, MODEL)
    sink.write(items[0])
    np.testing.assert_array_equal(screen.shown[0][:, :, ::-1], items[0].frame.image)
    assert not sink.wants_stop
    sink.close()
    sink.close()
    assert screen.destroyed == 1


@pytest.mark.parametrize(("key", "visible"), [(ord("q"), 1.0), (27, 1.0), (-1, 0.0)])
def test_q_escape_and_closing_end_the_run(screen: Screen, key: int, visible: float) -> None:
    info, items = stream(2)
    sink = WindowSink()
    sink.open(info, MODEL)
    screen.key, screen.visible = key, visible
    sink.write(items[0])
    assert sink.wants_stop
    sink.write(items[1])
    assert len(screen.shown) == 1
    sink.close()
    sink.open(info, MODEL)
    assert not sink.wants_stop


@pytest.mark.parametrize(("key", "visible"), [(ord("q"), 1.0), (27, 1.0), (-1, 0.0)])
def test_keys_work_while_no_frame_comes(screen: Screen, key: int, visible: float) -> None:
    info, items = stream(1)
    sink = WindowSink()
    sink.on_idle()
    sink.open(info, MODEL)
    sink.write(items[0])
    sink.on_idle()
    assert not sink.wants_stop
    screen.key, screen.visible = key, visible
    sink.on_idle()
    assert sink.wants_stop
    assert len(screen.shown) == 1


def test_a_window_without_a_picture_yet_counts_as_open(screen: Screen) -> None:
    screen.visible = 0.0
    sink = WindowSink()
    sink.open(stream()[0], MODEL)
    sink.on_idle()
    assert not sink.wants_stop
    screen.key = 27
    sink.on_idle()
    assert sink.wants_stop


@pytest.mark.parametrize("legend", [True, False])
def test_the_legend_is_a_choice(screen: Screen, legend: bool) -> None:
    info, items = stream(1, 320, 240)
    sink = WindowSink(options=RenderOptions(legend=legend))
    sink.open(info, MODEL)
    sink.write(items[0])
    bare = render(items[0], RenderOptions(legend=False))[:, :, ::-1]
    assert (screen.shown[0] != bare).any() == legend


@pytest.fixture
def opened(screen: Screen, tmp_path: Path) -> Iterator[tuple[WindowSink, list[DepthFrame]]]:
    """A window without a legend that shows the first of its frames, one each 0.1 s."""
    info, items = stream(24, 160, 120)
    now = iter(np.arange(1000) / 10)
    options = RenderOptions(legend=False)
    with WindowSink(options=options, snapshot_folder=tmp_path, clock=lambda: float(now.__next__())) as sink:
        sink.open(info, MODEL)
        sink.write(items[0])
        yield sink, items


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        ("2", RenderOptions(legend=False)),
        ("3", RenderOptions("depth", legend=False)),
        ("4", RenderOptions("side-by-side", legend=False)),
        ("c", RenderOptions(colormap="magma", legend=False)),
        ("cccccc", RenderOptions(legend=False)),
        ("3i", RenderOptions("depth", legend=False, invert=True)),
        ("---", RenderOptions(alpha=0.3, legend=False)),
        ("++++++++", RenderOptions(alpha=1.0, legend=False)),
        ("l", RenderOptions(legend=True)),
        ("13", RenderOptions("depth", legend=False)),
    ],
)
def test_keys_change_what_is_shown_at_once(
    screen: Screen, opened: tuple[WindowSink, list[DepthFrame]], keys: str, options: RenderOptions
) -> None:
    sink, items = opened
    screen.typed = list(keys)
    for _ in keys:
        sink.on_idle()
    np.testing.assert_array_equal(screen.last, render(items[0], options))
    sink.write(items[1])
    np.testing.assert_array_equal(screen.last, render(items[1], options))


def test_the_picture_alone(screen: Screen, opened: tuple[WindowSink, list[DepthFrame]]) -> None:
    sink, items = opened
    screen.typed = ["1"]
    sink.on_idle()
    np.testing.assert_array_equal(screen.last, items[0].frame.image)


def test_a_paused_window_keeps_its_picture_and_goes_on_with_the_newest(
    screen: Screen, opened: tuple[WindowSink, list[DepthFrame]]
) -> None:
    sink, items = opened
    screen.typed = ["3", "p"]
    sink.on_idle()
    sink.on_idle()
    paused, shown = screen.last, len(screen.shown)
    bare = render(items[0], RenderOptions("depth", legend=False))
    assert (paused[:30] != bare[:30]).any(), "it says that it is paused"
    np.testing.assert_array_equal(paused[30:], bare[30:])
    for item in items[1:4]:
        sink.write(item)
    assert len(screen.shown) == shown
    screen.typed = ["c"]
    sink.write(items[4])
    np.testing.assert_array_equal(screen.last[30:], render(items[0], sink.view.options)[30:])
    screen.typed = ["p"]
    sink.write(items[5])
    sink.write(items[6])
    np.testing.assert_array_equal(screen.last, render(items[6], sink.view.options))


def test_a_snapshot_is_the_frame_that_is_shown(
    screen: Screen, opened: tuple[WindowSink, list[DepthFrame]], tmp_path: Path
) -> None:
    sink, items = opened
    screen.typed = ["p", "s", "s"]
    for item in items[1:4]:
        sink.write(item)
    views = sorted(tmp_path.glob("streamdepth_*_view.jpg"))
    assert len(views) == 2
    name = views[0].name.removesuffix("_view.jpg")
    np.testing.assert_array_equal(np.asarray(Pillow.open(tmp_path / f"{name}.png")), items[1].frame.image)
    depth = np.asarray(Pillow.open(tmp_path / f"{name}_depth.png"))
    np.testing.assert_allclose(depth, 1000 * items[1].at_frame_size(), atol=0.51)
    assert not sink.wants_stop


def test_a_snapshot_that_fails_is_said_and_the_window_goes_on(
    screen: Screen, opened: tuple[WindowSink, list[DepthFrame]], tmp_path: Path
) -> None:
    sink, items = opened
    (tmp_path / "file").touch()
    sink.snapshot_folder = tmp_path / "file"
    screen.typed = ["s"]
    sink.write(items[1])
    (notice,) = sink.notices
    assert "no snapshot" in notice
    sink.write(items[2])
    assert len(screen.shown) == 4


def test_the_rate_is_that_of_the_last_two_seconds(screen: Screen, opened: tuple[WindowSink, list[DepthFrame]]) -> None:
    sink, items = opened
    screen.typed = ["f"]
    for item in items[1:]:  # the clock goes on by 0.1 s each time it is read: once for the rate, once for the message
        sink.write(item)
    assert sink.fps == pytest.approx(5.0)
    bare = render(items[-1], RenderOptions(legend=False))
    assert (screen.last[:20, :40] != bare[:20, :40]).any()
    np.testing.assert_array_equal(screen.last[40:], bare[40:])


def test_each_key_is_in_the_help_the_readme_and_the_list_on_the_screen(
    screen: Screen, opened: tuple[WindowSink, list[DepthFrame]], cli: Callable
) -> None:
    shown = cli("live", "--help").out
    readme = (ROOT / "streamdepth/sinks/README.md").read_text(encoding="utf-8")
    for keys, text in WINDOW_KEYS.items():
        assert f"| {keys} | {text} |" in readme
        for key in keys.split():
            assert f" {key} " in shown.replace("\n", " ")
            assert key in ("s", "q") or WindowView(RenderOptions()).press(key)
    assert not WindowView(RenderOptions()).press("x")
    screen.typed = ["h"]
    opened[0].on_idle()
    assert screen.last[:60, :100].mean() < render(opened[1][0], RenderOptions())[:60, :100].mean()


def test_write_before_open_is_an_error() -> None:
    WindowSink().close()
    with raises_code(SinkWriteError, "not-open"):
        WindowSink().write(stream(1)[1][0])


def test_a_wrong_look_is_a_wrong_setting() -> None:
    with raises_code(ConfigError, "unknown-colormap", naming="turbo"):
        WindowSink(options=RenderOptions(colormap="turboo"))


@ON_LINUX
@pytest.mark.parametrize("display", [None, "", ":4711", "127.0.0.1:4711", "nonsense"])
def test_without_a_screen_it_says_what_to_do(display: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if display is None:
        monkeypatch.delenv("DISPLAY", raising=False)
    else:
        monkeypatch.setenv("DISPLAY", display)
    with raises_code(SinkOpenError, "no-display", naming="streamdepth convert"):
        WindowSink().open(stream()[0], MODEL)


@ON_LINUX
def test_a_server_that_answers_is_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DISPLAY", f"127.0.0.1:{server.getsockname()[1] - 6000}.0")
        check_display()


def test_a_build_without_windows_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                           NONE\n")
    with raises_code(SinkOpenError, "no-display", naming="headless"):
        check_display()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="needs xvfb-run, Debian's package xvfb")
def test_a_real_window_on_a_virtual_screen() -> None:
    program = """
        import cv2
        from helpers.keyboard import find_key_presser
        from helpers.waiting import wait_until
        from helpers.sink_data import MODEL, stream
        from streamdepth.core.render_options import RenderOptions
        from streamdepth.sinks.window import WindowSink
        info, items = stream(5, 320, 240)
        sink = WindowSink("test", RenderOptions(style="side-by-side"))
        sink.open(info, MODEL)
        for item in items:
            sink.on_idle()
            sink.write(item)
        assert not sink.wants_stop
        if press := find_key_presser():
            press("f")
            wait_until(lambda: sink.on_idle() or sink.view.shows_fps)
        cv2.destroyWindow("test")
        sink.write(items[0])
        sink.write(items[0])
        sink.close()
        print("done")
    """
    paths = PYTHONPATH
    done = subprocess.run(
        ["xvfb-run", "-a", sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "done", done.stderr
