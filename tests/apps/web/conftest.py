"""A browser, and a page in it, for the tests of both pages."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from helpers.chromium import CHROMIUM, FLAGS, PATIENCE
from helpers.paths import ROOT
from playwright.sync_api import Browser, Page, expect, sync_playwright


@pytest.fixture(scope="module")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of the sample, as Chromium's fake camera takes it."""
    path = tmp_path_factory.mktemp("clip") / "camera.y4m"
    with av.open(str(ROOT / "samples/room.mp4")) as clip, av.open(str(path), "w", format="yuv4mpegpipe") as out:
        video = out.add_stream("wrapped_avframe", rate=24)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        for number, (frame, _) in enumerate(zip(clip.decode(video=0), range(24), strict=False)):
            small = frame.reformat(320, 180, "yuv420p")
            small.pts, small.time_base = number, Fraction(1, 24)
            out.mux(video.encode(small))
        out.mux(video.encode(None))
    return path


@pytest.fixture(scope="module")
def browser(camera_clip: Path) -> Iterator[Browser]:
    fake = [f"--use-file-for-fake-video-capture={camera_clip}", "--use-fake-device-for-media-stream"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *fake])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which no script may fail, and that loads nothing from elsewhere."""
    context = browser.new_context(viewport={"width": 1040, "height": 620}, permissions=["camera"])
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    found, errors, hosts = context.new_page(), list[str](), set[str]()
    found.on("pageerror", lambda error: errors.append(str(error)))
    found.on("request", lambda request: hosts.add(request.url.split("/")[2].split(":")[0]))
    yield found
    context.close()
    assert errors == []
    assert hosts <= {"127.0.0.1", ""}
