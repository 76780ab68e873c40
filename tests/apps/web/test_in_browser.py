"""The page that computes depth by itself, in Chromium with the real ONNX Runtime Web on WebAssembly."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import http_server
from helpers.chromium import NEEDS_CHROMIUM
from helpers.depth_frames import depth_frame
from helpers.onnxruntime_web import NEEDS_REAL_PACKAGE, REAL_PACKAGE
from helpers.paths import ROOT
from helpers.waiting import wait_until
from PIL import Image
from playwright.sync_api import Page, expect

from streamdepth.apps.web.static_site import write_static_site
from streamdepth.core.resize import shrink
from streamdepth.core.types import DepthKind, Frame
from streamdepth.estimators.nano import NanoEstimator, load_nano
from streamdepth.render.colors import colorize
from streamdepth.stabilizers.range import RangeTracker

pytestmark = [*NEEDS_CHROMIUM, NEEDS_REAL_PACKAGE]

ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
ESTIMATE = """async (size) => {
    const { DepthModel } = await import("./in_browser/depth_model.js");
    const model = new DepthModel();
    await model.load();
    const picture = await createImageBitmap(await (await fetch("picture.png")).blob());
    const { depth, columns, rows } = await model.estimate(picture, size);
    return { depth: [...depth], columns, rows };
}"""
SHRINK = """async ({ data, from, to }) => {
    const { shrink } = await import("./in_browser/shrink.js");
    const [width, height] = from;
    return [...shrink({ data: Uint8ClampedArray.from(data), width, height }, ...to)];
}"""
TRACK = """async (items) => {
    const { RangeTracker } = await import("./in_browser/ranges.js");
    const tracker = new RangeTracker();
    return items.map(({ time, depth }) => tracker.push(Float32Array.from(depth), 16, 12, time));
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("static") / "site"
    write_static_site(found, load_nano(), Path(REAL_PACKAGE))
    Image.open(ROOT / "samples/room.jpg").save(found / "picture.png")
    return found


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with http_server.serve(folder) as found:
        yield found


def open_page(page: Page, address: str) -> None:
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector("body[data-model=ready]")


def frame(page: Page) -> int:
    """Returns the number of the picture that is shown; -1 before the first."""
    return int(page.locator("#screen").get_attribute("data-frame") or -1)


def canvas(page: Page) -> np.ndarray:
    """Returns the pixels of the picture's canvas, (H, W, 3)."""
    data = page.evaluate("() => document.querySelector('#picture-canvas').toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB"), np.int16)


def write_portrait(path: Path) -> Path:
    """Writes a second of VP8, 90x160 px."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libvpx", rate=10)
        video.width, video.height, video.pix_fmt = 90, 160, "yuv420p"
        for number in range(10):
            picture = np.full((160, 90, 3), 20 * number, np.uint8)
            picture[40:80, 10 + 5 * number : 30 + 5 * number] = 255
            image = av.VideoFrame.from_ndarray(picture).reformat(format="yuv420p")
            image.pts, image.time_base = number, Fraction(1, 10)
            out.mux(video.encode(image))
        out.mux(video.encode(None))
    return path


def test_a_picture_has_the_depth_and_colors_that_python_gives_it(page: Page, address: str, folder: Path) -> None:
    """Depth may differ by 0.2 % of its range on average and 1 % at most, colors by 1 of 255 on average."""
    picture = np.asarray(Image.open(folder / "picture.png").convert("RGB"))
    with NanoEstimator(engine="torch") as nano:
        (expected,) = nano.estimate([Frame(picture, 0, 0, Fraction(1), 0.0)])
    open_page(page, address)
    found = page.evaluate(ESTIMATE, 224)
    assert (found["rows"], found["columns"]) == expected.depth.shape
    difference = np.abs(np.reshape(found["depth"], expected.depth.shape) - expected.depth) / np.ptp(expected.depth)
    assert difference.mean() < 0.002
    assert difference.max() < 0.01
    page.locator("#file").set_input_files(folder / "picture.png")
    expect(page.locator("#cover")).to_be_hidden()
    page.locator("#views label", has_text="Depth").click()
    wanted = colorize(expected.depth, DepthKind.RELATIVE, size=(640, 360)).astype(np.int16)
    assert canvas(page).shape == wanted.shape
    assert np.abs(canvas(page) - wanted).mean() < 1
    page.locator("#views label", has_text="Picture").click()
    assert np.abs(canvas(page) - picture).mean() < 1
    expect(page.locator("#legend-note")).to_have_text("relative, no unit")
    expect(page.locator("#facts")).to_contain_text(re.compile("nano, 384 . 224 px"))
    expect(page.locator("#facts")).to_contain_text("CPU (WebAssembly), 1 thread")


def test_the_camera_runs_on_threads_where_the_page_is_isolated(page: Page, folder: Path) -> None:
    with http_server.serve(folder, ISOLATED) as address:
        open_page(page, address)
        page.locator("[name=size]").select_option("128")
        page.locator("#camera").click()
        wait_until(lambda: frame(page) > 1)
        expect(page.locator("#facts")).to_contain_text(re.compile(r"Rate\d+\.\d fps"))
        threads = min(8, os.cpu_count() or 1)
        expect(page.locator("#facts")).to_contain_text(f"(WebAssembly), {threads} thread")
        page.locator("#views label", has_text="Both").click()
        assert canvas(page).shape == (180, 640, 3)
        assert canvas(page)[:, 320:].std() > 20
        page.locator("#camera").click()
        expect(page.locator("#cover-text")).to_have_text("The camera is off.")
        assert page.evaluate("() => document.querySelector('#video').srcObject?.active ?? false") is False


def test_a_dropped_video_is_looped_and_can_be_paused(page: Page, address: str, tmp_path: Path) -> None:
    open_page(page, address)
    clip = write_portrait(tmp_path / "portrait.webm")
    page.locator("[name=size]").select_option("128")
    drop(page, clip)
    wait_until(lambda: frame(page) > 1)
    expect(page.locator("#facts")).to_contain_text(re.compile("nano, 128 . 224 px"))
    page.keyboard.press("p")
    expect(page.locator("#pause")).to_have_text("Resume")
    assert page.evaluate("() => document.querySelector('#video').paused")
    page.keyboard.press("p")
    now = frame(page)
    wait_until(lambda: frame(page) > now + 1)
    drop(page, Path(__file__))
    expect(page.locator("#toast")).to_contain_text("is no picture and no video")


def drop(page: Page, path: Path) -> None:
    """Drops a file on the page as a mouse does."""
    content = base64.b64encode(path.read_bytes()).decode()
    given: Any = {"content": content, "name": path.name, "type": "video/webm" if path.suffix == ".webm" else ""}
    data = page.evaluate_handle(
        """({ content, name, type }) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, { type }));
            return data;
        }""",
        given,
    )
    page.dispatch_event("body", "drop", {"dataTransfer": data})


def test_neither_the_page_nor_its_worker_reaches_another_server(page: Page, address: str, tmp_path: Path) -> None:
    """The script that the worker imports is exchanged for one that calls another server, which would answer."""
    (tmp_path / "data").write_text("secret")
    with http_server.serve(tmp_path, {"Access-Control-Allow-Origin": "*"}) as other:
        script = (
            f"fetch('{other}/data').catch(() => {{}}); export const shrink = () => {{ throw new Error('ended'); }};"
        )
        page.route("**/shrink.js", lambda route: route.fulfill(body=script, content_type="text/javascript"))
        page.goto(address)
        error = page.evaluate("""async () => {
            const { DepthModel } = await import("./in_browser/depth_model.js");
            const model = new DepthModel();
            await model.load();
            const picture = await createImageBitmap(new ImageData(64, 64));
            return model.estimate(picture, 64).catch((error) => error.message);
        }""")
        assert error == "ended"
        assert page.evaluate(f"() => fetch('{other}/data').then(() => 'reached', () => 'refused')") == "refused"
        assert [found for found, _ in http_server.logins if found == other] == []


@pytest.mark.parametrize(("size", "to"), [((97, 61), (32, 24)), ((50, 40), (32, 32)), ((20, 18), (32, 32))])
def test_pictures_are_shrunk_as_in_python(page: Page, address: str, size, to) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 3), np.uint8)
    with_alpha = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    page.goto(address)
    found = page.evaluate(SHRINK, {"data": with_alpha.ravel().tolist(), "from": size, "to": to})
    assert np.abs(np.reshape(found, (to[1], to[0], 3)) - shrink(picture, *to)).max() < 1.5


def test_the_range_follows_as_in_python(page: Page, address: str) -> None:
    rng, tracker = np.random.default_rng(3), RangeTracker()
    scales = [*np.linspace(1, 3, 10), *[3] * 5, *[0.5] * 30]
    items = [depth_frame(0.2 * i, rng.normal(size=(12, 16)) * scale) for i, scale in enumerate(scales)]
    expected = [out.range for item in items for out in tracker.push(item)]
    page.goto(address)
    found = page.evaluate(TRACK, [{"time": item.frame.time, "depth": item.depth.ravel().tolist()} for item in items])
    assert np.abs(np.array(found) - np.array(expected)).max() < 1e-5
