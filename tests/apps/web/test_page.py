"""The page in a real browser: Debian's Chromium, without a screen, driven by Playwright."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import rtsp_server
from helpers.chromium import NEEDS_CHROMIUM, screenshot
from helpers.waiting import wait_until
from helpers.web_server import MOVING, Site, has_nothing_on_its_way, running
from playwright.sync_api import Page, WebSocketRoute, expect

from streamdepth import factory
from streamdepth.core.types import DepthKind
from streamdepth.testing import ConstantEstimator

NAME = "lavfi_testsrc2_size_320x240_rate_30"

COUNT_HIDINGS = """() => {
    window.timesHidden = 0;
    const locked = document.querySelector("#locked");
    const count = () => { window.timesHidden += locked.hidden; };
    new MutationObserver(count).observe(locked, { attributeFilter: ["hidden"] });
}"""

SLOW_EVERY_OTHER = """
    window.shown = []; // numbers of frames, in the order in which they were drawn
    let count = 0;
    const make = window.createImageBitmap.bind(window);
    window.createImageBitmap = async (data) => {
        if (count++ % 2 === 0) await new Promise((slept) => setTimeout(slept, 150));
        return make(data);
    };
    addEventListener("DOMContentLoaded", () => {
        const screen = document.querySelector("#screen");
        const note = () => window.shown.push(Number(screen.dataset.frame));
        new MutationObserver(note).observe(screen, { attributeFilter: ["data-frame"] });
    });
"""

HOLD_FRAMES = """
    window.late = null; // while it is a list, what is to be drawn waits in it
    const now = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (draw) => (window.late ? window.late.push(draw) : now(draw));
"""

NO_STORAGE = """
    const refuse = () => { throw new DOMException("not allowed", "SecurityError"); };
    Object.defineProperty(window, "localStorage", { get: refuse });
"""

SLOW_CAMERA = """
    window.media = [];
    const allowed = new Promise((allow) => (window.allow = allow));
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        await allowed;
        const found = await ask(wanted);
        window.media.push(found);
        return found;
    };
"""

HEADSET = """
    // A headset whose two eyes look at the halves of the canvas. No real one was tried.
    delete window.XRWebGLBinding;
    WebGL2RenderingContext.prototype.makeXRCompatible = async () => {};
    const SIZE = 300, HALF_IPD = 0.032;
    const projection = new Float32Array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, -1.0002, -1, 0, 0, -0.02, 0]);
    const at = (x) => ({ matrix: new Float32Array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, x, 0, 0, 1]) });
    const viewOf = (eye, x) => ({ eye, projectionMatrix: projection, transform: at(x) });
    const views = [viewOf("left", -HALF_IPD), viewOf("right", HALF_IPD)];
    window.XRWebGLLayer = class {
        framebuffer = null;
        framebufferWidth = 2 * SIZE;
        framebufferHeight = SIZE;
        getViewport(view) { return { x: view.eye === "left" ? 0 : SIZE, y: 0, width: SIZE, height: SIZE }; }
    };
    const frame = { session: null, getViewerPose: () => ({ views, transform: at(0) }) };
    class Session extends EventTarget {
        inputSources = [];
        renderState = {};
        environmentBlendMode = "opaque";
        updateRenderState(state) { Object.assign(this.renderState, state); }
        async requestReferenceSpace() { return new EventTarget(); }
        requestAnimationFrame(draw) { return setTimeout(() => draw(performance.now(), frame), 300); }
        cancelAnimationFrame(id) { clearTimeout(id); }
        async end() { this.dispatchEvent(Object.assign(new Event("end"), { session: this })); }
    }
    const xr = {
        isSessionSupported: async (kind) => kind === "immersive-vr",
        requestSession: async () => {
            if (window.isHeadsetBroken) throw new Error("it is asleep");
            window.worn = new Session();
            return window.worn;
        },
    };
    Object.defineProperty(navigator, "xr", { value: xr });
"""

TWO_CAMERAS = """
    window.media = []; // what was given, with the facing that was asked for
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async ({ video }) => {
        if (window.media.some((media) => media.active)) throw new Error("one camera at a time");
        const found = await ask({ video: true });
        const track = found.getVideoTracks()[0];
        track.getSettings = () => ({ deviceId: video.facingMode });
        window.media.push(Object.assign(found, { facing: video.facingMode }));
        return found;
    };
"""

NO_FULLSCREEN = """
    delete Element.prototype.requestFullscreen; // as on an iPhone
    Object.defineProperty(Document.prototype, "fullscreenEnabled", { value: undefined });
"""

pytestmark = NEEDS_CHROMIUM


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(size=(24, 32), from_brightness=True))
    with running(tmp_path / "kept", MOVING) as found:
        yield found


def open_page(page: Page, site: Site) -> None:
    page.goto(site.address)
    expect(page.locator("#cover")).to_be_hidden()


def choose_file(page: Page, file: Any) -> None:
    """Chooses a file to upload, once the page knows what may be uploaded."""
    expect(page.locator("#upload-box:not([hidden])")).to_have_count(1)
    page.locator("#upload").set_input_files(file)


def view(page: Page, name: str) -> None:
    page.locator("#views label", has_text=name).click()


def pause(page: Page, site: Site) -> None:
    """Pauses the stream; returns once the page shows the last picture from before."""
    page.keyboard.press("p")
    expect(page.locator("#pause")).to_have_text("Resume")
    wait_until(lambda: has_nothing_on_its_way(site, NAME))
    last = site.session.streams[NAME].live.newest
    assert last is not None
    expect(page.locator("#screen")).to_have_attribute("data-frame", str(last.item.frame.index))


def has_points(page: Page) -> bool:
    """True if the 3D view shows points."""
    return bool((screenshot(page, "#points-canvas") > 40).any(axis=2).mean() > 0.1)


class TestZones:
    """Zones are drawn with the mouse on a picture of 320x240 px."""

    def drag(self, page: Page, *shares: tuple[float, float]) -> None:
        """Presses the button at the first place, moves it and lets it go at the last; shares of the picture's size."""
        page.locator("#picture-canvas").scroll_into_view_if_needed()
        box = page.locator("#picture-canvas").bounding_box()
        scale = min(box["width"] / 320, box["height"] / 240)
        left, top = box["x"] + (box["width"] - 320 * scale) / 2, box["y"] + (box["height"] - 240 * scale) / 2
        places = [(left + u * 320 * scale, top + v * 240 * scale) for u, v in shares]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=4)
        page.mouse.up()

    def zones(self, site: Site) -> list[dict]:
        return site.stream(NAME)["zones"]

    def test_a_box_is_drawn_and_its_depth_is_shown_and_plotted(self, page: Page, site: Site) -> None:
        open_page(page, site)
        page.locator("#draw-zone").click()
        self.drag(page, (0.25, 0.25), (0.75, 0.5))
        item = page.locator('#zones li[data-zone="zone1"]')
        expect(item).to_be_visible()
        (zone,) = self.zones(site)
        assert np.abs(np.array(zone["corners"]) - [(80, 60), (240, 60), (240, 120), (80, 120)]).max() <= 1
        expect(item.locator("code")).to_have_text(f"--zone {zone['text']}")
        expect(item.locator(".zone-head b")).to_contain_text("%")
        wait_until(lambda: len((item.locator("polyline").get_attribute("points") or "").split()) > 2)
        polygon = page.locator("#zone-layer polygon")
        expect(polygon).to_have_count(1)
        box, canvas = polygon.bounding_box(), page.locator("#picture-canvas").bounding_box()
        assert box["y"] == pytest.approx(canvas["y"] + canvas["height"] / 4, abs=4)
        assert box["height"] == pytest.approx(canvas["height"] / 4, abs=12)  # with its line and shadow
        view(page, "Both")
        expect(polygon).to_have_count(2)
        view(page, "3D")
        expect(polygon).to_have_count(0)

    def test_a_polygon_is_clicked_named_limited_and_removed(self, page: Page, site: Site) -> None:
        open_page(page, site)
        page.keyboard.press("z")
        for corner in ((0.1, 0.1), (0.9, 0.1), (0.5, 0.9)):
            self.drag(page, corner)
        page.keyboard.press("Enter")
        expect(page.locator("#zones li")).to_have_count(1)
        assert np.abs(np.array(self.zones(site)[0]["corners"]) - [(32, 24), (288, 24), (160, 216)]).max() <= 1
        page.locator(".zone-head input").fill("door")
        page.locator(".zone-head input").press("Enter")
        item = page.locator('#zones li[data-zone="door"]')
        item.locator("input[type=number]").fill("1")
        item.locator("input[type=number]").press("Enter")
        wait_until(lambda: [(z["name"], z["near"], z["occupied"]) for z in self.zones(site)] == [("door", 1, True)])
        expect(page.locator("#zone-layer polygon.occupied")).to_have_count(1)
        item.get_by_label("Remove door").click()
        expect(page.locator("#zones li")).to_have_count(0)
        expect(page.locator("#zones-note")).to_be_visible()
        assert self.zones(site) == []

    def test_escape_draws_nothing_and_a_bad_name_is_said(self, page: Page, site: Site) -> None:
        open_page(page, site)
        page.keyboard.press("z")
        self.drag(page, (0.1, 0.1))
        page.keyboard.press("Escape")
        expect(page.locator("#draw-zone")).to_have_attribute("aria-pressed", "false")
        assert self.zones(site) == []
        page.locator("#draw-zone").click()
        self.drag(page, (0.1, 0.1), (0.3, 0.3))
        page.locator(".zone-head input").fill("a b")
        page.locator(".zone-head input").press("Enter")
        expect(page.locator("#toast")).to_contain_text("a name has letters")
        assert [z["name"] for z in self.zones(site)] == ["zone1"]


class TestPicture:
    def test_depth_moves(self, page: Page, site: Site) -> None:
        open_page(page, site)
        for name in ("Picture", "Depth", "Both"):
            view(page, name)
            first = screenshot(page)
            assert first.std() > 10, name
            wait_until(lambda first=first: np.abs(screenshot(page) - first).mean() > 0.5)
        expect(page.locator("#legend-note")).to_have_text("relative, no unit")

    def test_wipe_shows_the_picture_left_and_depth_right(self, page: Page, site: Site) -> None:
        open_page(page, site)
        pause(page, site)
        seen = {}
        for name in ("Picture", "Depth", "Wipe"):
            view(page, name)
            seen[name] = screenshot(page)[:, :, :]
        width = seen["Wipe"].shape[1]
        left, right = slice(0, width // 2 - 8), slice(width // 2 + 8, None)
        assert np.abs(seen["Wipe"] - seen["Picture"])[:, left].mean() < 2
        assert np.abs(seen["Wipe"] - seen["Depth"])[:, right].mean() < 2
        page.locator("#wipe").focus()
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        assert page.locator("#wipe").input_value() == "60"

    def test_relative_depth_is_never_shown_in_meters(self, page: Page, site: Site) -> None:
        open_page(page, site)
        page.locator("#picture-canvas").hover()
        expect(page.locator("#depth-readout")).to_contain_text("% near, relative")
        assert " m" not in page.locator("#legend").inner_text().replace("\n", " ").replace("no unit", "")

    def test_metric_depth_is_shown_in_meters_under_pointer_and_keys(
        self, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(DepthKind.METRIC, size=(100, 100)))
        with running(tmp_path, MOVING, smooth="off") as site:  # the filter carries depth along what moves
            open_page(page, site)
            box = page.locator("#picture-canvas").bounding_box()
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 0.75 * box["height"])
            expect(page.locator("#depth-readout")).to_have_text(
                "1.64 m"
            )  # 0.5 to 2 m from top to bottom, 75th row of 100
            page.mouse.move(0, 0)
            expect(page.locator("#depth-readout")).to_be_hidden()
            page.locator("#picture-canvas").focus()
            page.keyboard.press("ArrowDown")
            expect(page.locator("#depth-readout")).to_have_text("1.29 m")
            expect(page.locator("#legend-far")).to_contain_text(" m")

    def test_3d_shows_points_that_turn(self, page: Page, site: Site) -> None:
        open_page(page, site)
        view(page, "3D")
        wait_until(lambda: has_points(page))
        pause(page, site)
        before = screenshot(page, "#points-canvas")
        box = page.locator("#points-canvas").bounding_box()
        page.mouse.move(box["x"] + 300, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 420, box["y"] + 240, steps=4)
        page.mouse.up()
        wait_until(lambda: np.abs(screenshot(page, "#points-canvas") - before).mean() > 2)

    def test_the_3d_view_is_reset_by_a_button(self, page: Page, site: Site) -> None:
        open_page(page, site)
        expect(page.locator("#reset-3d")).to_be_hidden()
        view(page, "3D")
        wait_until(lambda: has_points(page))
        pause(page, site)
        before = screenshot(page, "#points-canvas")
        box = page.locator("#points-canvas").bounding_box()
        page.mouse.move(box["x"] + 200, box["y"] + 100)
        for _ in range(5):
            page.mouse.wheel(0, 300)
        wait_until(lambda: np.abs(screenshot(page, "#points-canvas") - before).mean() > 2)
        page.locator("#reset-3d").click()
        wait_until(lambda: np.abs(screenshot(page, "#points-canvas") - before).mean() < 0.5)

    def test_a_headset_sees_the_points_with_two_eyes(
        self, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is Z meters away is 0.064 m / Z * 150 px farther left for the right eye; Z is 0.5 to 2 m, downwards."""
        page.add_init_script(HEADSET)
        monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(DepthKind.METRIC, size=(120, 160)))
        with running(tmp_path, MOVING, smooth="off") as site:
            open_page(page, site)
            expect(page.locator("#headset")).to_be_hidden()
            view(page, "3D")
            page.evaluate("() => { window.isHeadsetBroken = true; }")
            page.locator("#headset").click()
            expect(page.locator("#toast")).to_contain_text("it is asleep")
            page.evaluate("() => { window.isHeadsetBroken = false; }")
            page.locator("#headset").click()
            page.wait_for_function("() => window.worn?.renderState.baseLayer")
            pause(page, site)
            wait_until(lambda: has_points(page))
            shown = screenshot(page, "#points-canvas").astype(np.uint8)
            bar = round((shown.shape[0] - shown.shape[1] / 2) / 2)  # above and below both eyes, which are 600x300 px
            eyes = cv2.resize(shown[bar:-bar], (600, 300), interpolation=cv2.INTER_AREA).astype(np.int16)
            for v in (0.1, 0.5, 0.9):
                row = 150 + round(150 * (v - 0.5) * 2 * np.tan(np.pi / 6) * 0.75)  # fov of 60 degrees, 4:3
                left, right = eyes[row - 4 : row + 5, :300], eyes[row - 4 : row + 5, 300:]
                unlikeness = [np.abs(left[:, s:] - right[:, : 300 - s]).mean() for s in range(30)]
                assert abs(np.argmin(unlikeness) - 150 * 0.064 / (0.5 + 1.5 * v)) < 1.5, v
            page.evaluate("() => window.worn.end()")
            wait_until(lambda: (screenshot(page, "#points-canvas")[:80] > 40).any())

    def test_the_overlay_is_as_strong_as_the_slider_says(self, page: Page, site: Site) -> None:
        open_page(page, site)
        pause(page, site)
        page.locator("[name=alpha]").fill("25")
        wait_until(lambda: site.session.streams[NAME].controls.value.alpha == 0.25)
        seen = {}
        for name in ("Picture", "Depth", "Overlay"):
            view(page, name)
            seen[name] = screenshot(page)
        assert np.abs(seen["Picture"] - seen["Depth"]).mean() > 20
        assert np.abs(seen["Overlay"] - (0.75 * seen["Picture"] + 0.25 * seen["Depth"])).mean() < 2

    def test_the_3d_view_is_reset_for_another_camera(self, page: Page, tmp_path: Path, quick_model: None) -> None:
        with running(tmp_path, MOVING, "lavfi:testsrc=size=160x120:rate=30") as site:
            open_page(page, site)
            view(page, "3D")
            wait_until(lambda: has_points(page))
            box = page.locator("#points-canvas").bounding_box()
            page.mouse.move(box["x"] + 200, box["y"] + 100)
            for _ in range(60):
                page.mouse.wheel(0, 500)  # far away
            wait_until(lambda: not has_points(page))
            page.locator("#streams button").nth(1).click()
            expect(page.locator("#facts")).to_contain_text("120 px")
            wait_until(lambda: has_points(page))

    def test_pictures_are_shown_in_their_order(self, page: Page, site: Site) -> None:
        page.add_init_script(SLOW_EVERY_OTHER)
        open_page(page, site)
        page.wait_for_function("() => window.shown.length > 8")
        shown = page.evaluate("() => window.shown")
        assert shown == sorted(shown)


class TestControls:
    def test_changed_controls_take_effect(self, page: Page, site: Site) -> None:
        open_page(page, site)
        control = site.session.streams[NAME].controls
        view(page, "Depth")
        page.select_option("[name=colormap]", "gray")
        wait_until(lambda: control.value.colormap == "gray")
        wait_until(lambda: np.ptp(screenshot(page)[20:-20, 20:-20], axis=2).max() < 12)
        page.select_option("[name=smooth]", "light")
        page.select_option("[name=style]", "depth")
        page.select_option("[name=range]", "lock")
        wait_until(lambda: control.value.range.startswith("lock:"))
        page.locator("[name=far]").fill("0.125")
        page.locator("[name=far]").press("Tab")
        wait_until(lambda: control.value.range.startswith("lock:0.125,"))
        expect(page.locator("#locked-note")).to_have_text("Relative depth has no unit; nearer is larger.")
        expect(page.locator("#locked .unit").first).to_be_hidden()
        assert (control.value.smooth, control.value.style) == ("light", "depth")
        page.select_option("[name=range]", "auto")
        wait_until(lambda: control.value.range == "auto")
        page.locator("[name=size]").select_option("320")
        wait_until(lambda: site.session.model_controls.value.size == 320)

    def test_a_range_of_meters_has_its_unit_and_near_is_the_smaller_number(
        self, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(DepthKind.METRIC, size=(40, 40)))
        with running(tmp_path, MOVING) as site:
            open_page(page, site)
            page.select_option("[name=range]", "lock")
            expect(page.locator("#locked")).to_contain_text("m")
            expect(page.locator("#locked-note")).to_have_text("Distances in meters.")
            near, far = (page.locator(f"[name={name}]") for name in ("near", "far"))
            far.fill("4")
            far.press("Tab")
            near.fill("0.75")
            near.press("Tab")
            wait_until(lambda: site.session.streams[NAME].controls.value.range == "lock:0.75,4")
            near.fill("9")
            near.press("Tab")
            expect(page.locator("#toast")).to_have_text("Near has to be smaller than far.")
            far.fill("20")
            far.press("Tab")
            wait_until(lambda: site.session.streams[NAME].controls.value.range == "lock:9,20")
            expect(page.locator("#legend-near")).to_have_text("9.00 m")

    def test_a_status_from_before_a_change_does_not_undo_it(self, page: Page, site: Site) -> None:
        sockets, told = list[WebSocketRoute](), list[str]()

        def listen(socket: WebSocketRoute) -> None:
            def pass_on(message: str | bytes) -> None:
                if isinstance(message, str):
                    told.append(message)
                socket.send(message)

            sockets.append(socket)
            socket.connect_to_server().on_message(pass_on)

        page.route_web_socket("**/live?*", listen)
        open_page(page, site)
        expect(page.locator("#p95")).to_contain_text("ms")
        page.select_option("[name=range]", "lock")
        expect(page.locator("[name=far]")).to_be_visible()
        page.locator("[name=far]").fill("0.125")
        page.evaluate(COUNT_HIDINGS)
        sockets[0].send(told[0])
        page.locator("[name=far]").press("Tab")
        expect(page.locator("[name=far]")).not_to_be_focused()
        sockets[0].send(told[0])
        seen = len(told)
        wait_until(lambda: page.wait_for_timeout(50) or len(told) > seen)
        assert site.session.streams[NAME].controls.value.range.startswith("lock:0.125,")
        assert page.evaluate("() => window.timesHidden") == 0

    def test_a_refused_change_is_shown(self, page: Page, site: Site) -> None:
        page.route("**/controls", lambda route: route.fulfill(status=422, json={"detail": "not today"}))
        open_page(page, site)
        page.locator("#pause").click()
        expect(page.locator("#toast")).to_have_text("not today")
        page.unroute("**/controls")
        page.route("**/controls", lambda route: route.fulfill(status=502, body="<html>a proxy's page</html>"))
        page.locator("#pause").click()
        expect(page.locator("#toast")).to_have_text("The server refused it (502).")

    def test_a_recording_plays_and_a_snapshot_opens(self, page: Page, site: Site) -> None:
        open_page(page, site)
        page.locator("#record").click()
        expect(page.locator("#record")).to_have_text(re.compile("^Stop 0:0[1-9]$"))
        written = site.stream(NAME)["written"]
        wait_until(lambda: site.stream(NAME)["written"] > written + 40)
        page.locator("#record").click()
        page.locator("#files button", has_text=".mp4").click()
        video = page.locator("#player video")
        wait_until(lambda: video.evaluate("v => v.currentTime > 0.3 && v.videoWidth == 320"))
        page.keyboard.press("Escape")
        page.locator("#snapshot").click()
        expect(page.locator("#files li")).to_have_count(5)
        page.locator("#files button", has_text="_view.jpg").click()
        wait_until(lambda: page.locator("#player img").evaluate("i => i.naturalWidth == 320"))

    def test_files_are_deleted_after_a_question(self, page: Page, site: Site, tmp_path: Path) -> None:
        open_page(page, site)
        expect(page.locator("#files-note")).to_contain_text("folder kept")
        page.locator("#snapshot").click()
        expect(page.locator("#files li")).to_have_count(3)
        name = page.locator("#files li button:not(.icon)").first.inner_text()
        remove = page.get_by_role("button", name=f"Delete {name}")
        remove.click()
        expect(page.locator("#confirm-text")).to_contain_text(name)
        page.keyboard.press("Escape")
        remove.click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#files li")).to_have_count(3)
        assert (tmp_path / "kept" / name).exists()
        remove.click()
        page.locator("#confirm-yes").click()
        expect(page.locator("#files li")).to_have_count(2)
        assert not (tmp_path / "kept" / name).exists()

    def test_what_this_browser_chose_survives_a_reload(self, page: Page, site: Site) -> None:
        open_page(page, site)
        view(page, "Wipe")
        page.locator("#wipe").fill("30")
        page.locator("#theme").click()
        page.locator("#panel-latency summary").click()
        page.select_option("[name=colormap]", "turbo")
        wait_until(lambda: site.session.streams[NAME].controls.value.colormap == "turbo")
        page.reload()
        expect(page.locator("#view-wipe")).to_be_checked()
        expect(page.locator("#wipe")).to_have_value("30")
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        expect(page.locator("#plot")).to_be_hidden()
        expect(page.locator("#facts")).to_be_visible()
        expect(page.locator("[name=colormap]")).to_have_value("turbo")
        view(page, "3D")
        page.reload()
        wait_until(lambda: has_points(page))

    def test_a_device_without_full_screen_has_no_button_for_it(self, page: Page, site: Site) -> None:
        page.add_init_script(NO_FULLSCREEN)
        open_page(page, site)
        expect(page.locator("#fullscreen")).to_be_hidden()
        page.keyboard.press("f")
        expect(page.locator("#toast")).to_be_hidden()

    def test_what_is_touched_is_40_px_high(self, page: Page, site: Site) -> None:
        page.set_viewport_size({"width": 390, "height": 844})
        open_page(page, site)
        page.locator("#snapshot").click()
        expect(page.locator("#files li")).to_have_count(3)
        for element in page.locator(
            "button, select, summary, input[type=range], .files a, .segments input, footer a"
        ).all():
            if box := element.bounding_box():
                assert box["height"] >= 39.5, element.evaluate("e => e.outerHTML")
                assert box["width"] >= 39.5, element.evaluate("e => e.outerHTML")

    def test_facts_and_latency_are_shown(self, page: Page, site: Site) -> None:
        open_page(page, site)
        facts = page.locator("#facts")
        expect(facts).to_contain_text("240 px")
        expect(facts).to_contain_text("constant")
        expect(page.locator("#p95")).to_contain_text("ms")
        expect(page.locator("#state")).to_have_text("live")
        wait_until(lambda: len(page.locator("#plot .p50").get_attribute("points").split()) >= 2)

    def test_everything_is_reached_by_the_keyboard(self, page: Page, site: Site) -> None:
        open_page(page, site)
        page.keyboard.press("3")
        expect(page.locator("#view-depth")).to_be_checked()
        changes = list[str]()
        page.on("request", lambda request: changes.append(request.url) if request.method == "PATCH" else None)
        page.keyboard.down("p")
        expect(page.locator("#pause")).to_have_text("Resume")
        page.keyboard.down("p")  # it is held, and repeated
        page.evaluate("() => fetch('/healthz').then((answer) => answer.text())")
        assert len(changes) == 1
        seen = set()
        for _ in range(30):
            page.keyboard.press("Tab")
            seen.add(page.evaluate("() => document.activeElement.id || document.activeElement.name"))
        assert {"picture-canvas", "view-depth", "pause", "snapshot", "record", "fullscreen", "theme"} <= seen
        assert {"colormap", "smooth", "size", "range", "style"} <= seen

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_a_phone_shows_it_all_without_scrolling_sideways(self, page: Page, site: Site, scheme: str) -> None:
        page.set_viewport_size({"width": 360, "height": 740})
        page.emulate_media(color_scheme=scheme)
        open_page(page, site)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        ground = screenshot(page, "body")[-4:, :4].mean()
        assert ground < 60 if scheme == "dark" else ground > 200

    def test_a_phone_shows_the_chosen_tab_and_how_large_files_are(
        self, page: Page, tmp_path: Path, quick_model: None
    ) -> None:
        page.set_viewport_size({"width": 360, "height": 740})
        others = [f"lavfi:testsrc2=size=320x240:rate={rate}" for rate in (10, 11, 12)]
        with running(tmp_path / "kept", MOVING, *others) as site:
            page.goto(f"{site.address}?stream={list(site.session.streams)[-1]}")
            expect(page.locator("#cover")).to_be_hidden()
            expect(page.locator("#streams [aria-current=true]")).to_be_in_viewport(ratio=0.7)
            page.locator("#snapshot").click()
            expect(page.locator("#files small")).to_have_count(3)
            for size in page.locator("#files small").all():
                box = size.bounding_box()
                assert box["x"] + box["width"] <= 360
                assert "kB" in size.inner_text()


class TestUploads:
    def test_a_dropped_video_is_converted_and_played(self, page: Page, site: Site, camera_clip: Path) -> None:
        open_page(page, site)
        expect(page.locator("#upload-box")).to_be_visible()
        data = page.evaluate_handle(
            """(name) => fetch("/streams/" + name + "/picture").then(async () => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([new Uint8Array(9)], "no video.mp4"));
                return transfer;
            })""",
            NAME,
        )
        page.dispatch_event("body", "dragenter", {"dataTransfer": data})
        expect(page.locator("#drop")).to_be_visible()
        page.dispatch_event("body", "drop", {"dataTransfer": data})
        expect(page.locator("#drop")).to_be_hidden()
        expect(page.locator("#toast")).to_contain_text("not a video")
        choose_file(page, camera_clip)
        expect(page.locator("#toast")).to_have_text("camera is converted; it is among the files.")
        expect(page.locator("#uploads li")).to_have_count(0)
        page.locator("#files button", has_text="camera_").click()
        video = page.locator("#player video")
        wait_until(lambda: video.evaluate("v => v.videoWidth == 320 && v.duration > 0.9"))

    def test_progress_is_shown_and_a_conversion_is_canceled(
        self, page: Page, tmp_path: Path, camera_clip: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(delay_seconds=0.4))
        with running(tmp_path / "kept", MOVING) as site:
            open_page(page, site)
            choose_file(page, camera_clip)
            expect(page.locator("#uploads small")).to_have_text(re.compile(r"^converting [1-9]\d* %$"))
            seen = page.locator("#uploads small").inner_text()
            with page.expect_event("requestfailed"):
                page.route("**/api/conversions", lambda route: route.abort())
            page.unroute("**/api/conversions")
            expect(page.locator("#uploads small")).not_to_have_text(seen)  # it goes on after the server was away
            page.get_by_role("button", name="Cancel camera").click()
            page.locator("#confirm-yes").click()
            expect(page.locator("#uploads small")).to_have_text("canceled")
            page.get_by_role("button", name="Cancel camera").click()
            expect(page.locator("#uploads li")).to_have_count(0)
            assert site.get("/api/files").json["files"] == []

    def test_a_video_that_is_too_large_is_not_sent(self, page: Page, tmp_path: Path, quick_model: None) -> None:
        large = {"name": "a.mp4", "mimeType": "video/mp4", "buffer": b"x" * 1_000_001}
        with running(tmp_path / "kept", MOVING, web={"max_upload_mb": 1}) as site:
            open_page(page, site)
            choose_file(page, large)
            expect(page.locator("#toast")).to_contain_text("at most 1 MB")


class TestConnections:
    def test_the_page_comes_back_when_the_server_does(self, page: Page, tmp_path: Path, quick_model: None) -> None:
        port = rtsp_server.free_port()
        state, record = page.locator("#state"), page.locator("#record")
        with running(tmp_path, MOVING, port=port) as site:
            open_page(page, site)
            record.click()
            expect(record).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#cover")).to_contain_text("does not answer")
        expect(state).to_have_text("lost connection")
        expect(state.locator(".dot")).to_have_css("background-color", "rgb(178, 106, 0)")
        expect(record).to_have_attribute("aria-pressed", "false")
        for button in ("#record", "#pause", "#snapshot"):
            expect(page.locator(button)).to_be_disabled()
        with running(tmp_path, MOVING, port=port) as site:
            expect(page.locator("#cover")).to_be_hidden()
            expect(state).to_have_text("live")
            expect(record).to_be_enabled()
            wait_until(lambda: site.stream(NAME)["viewers"] == 1)

    def test_a_server_that_falls_silent_is_lost_until_it_is_heard_again(self, page: Page, site: Site) -> None:
        """A network that is gone closes no socket."""
        is_silent = False

        def listen(socket: WebSocketRoute) -> None:
            server = socket.connect_to_server()
            server.on_message(lambda message: None if is_silent else socket.send(message))

        page.route_web_socket("**/live?*", listen)
        open_page(page, site)
        expect(page.locator("#state")).to_have_text("live")
        is_silent = True
        expect(page.locator("#state")).to_have_text("lost connection")
        is_silent = False
        expect(page.locator("#state")).to_have_text("live")
        expect(page.locator("#cover")).to_be_hidden()

    def test_a_page_of_a_removed_stream_shows_another(self, page: Page, tmp_path: Path, quick_model: None) -> None:
        port = rtsp_server.free_port()
        with running(tmp_path, MOVING, "lavfi:testsrc=size=160x120:rate=30", port=port) as site:
            page.goto(f"{site.address}?stream={NAME}")
            expect(page.locator("#facts")).to_contain_text("240 px")
        with running(tmp_path, "lavfi:testsrc=size=64x48:rate=30", port=port):
            expect(page.locator("#facts")).to_contain_text("48 px")
            expect(page.locator("#cover")).to_be_hidden()

    def test_a_lost_camera_covers_its_last_picture_until_it_is_back(
        self, page: Page, tmp_path: Path, quick_model: None
    ) -> None:
        if missing := rtsp_server.unavailable_reason():
            pytest.skip(missing)
        with rtsp_server.running() as camera, running(tmp_path, f"{camera.address}/h264") as site:
            page.goto(site.address)
            expect(page.locator("#cover")).to_be_hidden()
            camera.stop()
            expect(page.locator("#cover")).to_be_visible()
            expect(page.locator("#state")).to_have_text("reconnecting")
            camera.start()
            expect(page.locator("#cover")).to_be_hidden()
            expect(page.locator("#facts")).to_contain_text("Reconnects1")

    def test_several_streams_are_chosen_by_tabs(self, page: Page, tmp_path: Path, quick_model: None) -> None:
        with running(tmp_path, MOVING, "lavfi:testsrc=size=160x120:rate=30") as site:
            open_page(page, site)
            expect(page.locator("#facts")).to_contain_text("240 px")
            page.locator("#streams button").nth(1).click()
            expect(page.locator("#facts")).to_contain_text("120 px")
            page.reload()
            expect(page.locator("#facts")).to_contain_text("120 px")

    def test_a_late_picture_of_the_stream_before_is_not_shown(
        self, page: Page, tmp_path: Path, quick_model: None
    ) -> None:
        page.add_init_script(HOLD_FRAMES)
        with running(tmp_path, MOVING, "lavfi:testsrc=size=160x120:rate=30") as site:
            open_page(page, site)
            page.evaluate("() => { window.late = []; }")
            wait_until(lambda: page.evaluate("() => window.late.length"))
            is_hidden = page.evaluate("""() => {
                document.querySelectorAll("#streams button")[1].click();
                for (const draw of window.late) draw();
                window.late = null;
                return document.querySelector("#cover").hidden;
            }""")
            assert not is_hidden, "the new stream has no picture yet"
            expect(page.locator("#cover")).to_be_hidden()

    def test_a_token_opens_the_page_once_and_for_all(self, page: Page, tmp_path: Path, quick_model: None) -> None:
        with running(tmp_path, MOVING, web={"token": "a-token-for-tests"}) as site:
            page.goto(site.address)
            page.locator("input[name=token]").fill("a-token-for-tests")
            page.keyboard.press("Enter")
            expect(page.locator("#cover")).to_be_hidden()
            assert "token" not in page.url
            page.goto(site.address)
            expect(page.locator("#cover")).to_be_hidden()
            page.locator("#sign-out").click()
            expect(page.locator("input[name=token]")).to_be_visible()
            page.goto(site.address)
            expect(page.locator("input[name=token]")).to_be_visible()

    def test_a_page_without_a_token_has_nothing_to_sign_out_of(self, page: Page, site: Site) -> None:
        open_page(page, site)
        expect(page.locator("#facts")).to_contain_text("240 px")
        expect(page.locator("#sign-out")).to_be_hidden()

    def test_the_browsers_own_camera_comes_back_with_depth(
        self, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator(from_brightness=True))
        with running(tmp_path, web={"browser_camera": True}) as site:
            page.goto(site.address)
            page.locator("#cover-button").click()
            expect(page.locator("#cover")).to_be_hidden()
            wait_until(lambda: site.stream("browser")["written"] > 10)
            assert site.session.streams["browser"].live.newest.item.frame.image.std() > 20
            view(page, "Picture")
            assert screenshot(page).std() > 20

    def test_the_camera_is_flipped_and_stopped(self, page: Page, tmp_path: Path, quick_model: None) -> None:
        page.add_init_script(TWO_CAMERAS)
        facings = "() => window.media.map((media) => [media.facing, media.active])"
        with running(tmp_path, web={"browser_camera": True}) as site:
            page.goto(site.address)
            expect(page.locator("#camera-flip")).to_be_hidden()
            page.locator("#cover-button").click()
            expect(page.locator("#cover")).to_be_hidden()
            assert page.evaluate(facings) == [["environment", True]]
            page.locator("#camera-flip").click()
            wait_until(lambda: page.evaluate(facings) == [["environment", False], ["user", True]])
            written = site.stream("browser")["written"]
            wait_until(lambda: site.stream("browser")["written"] > written + 5)
            page.locator("#camera-stop").click()
            wait_until(lambda: page.evaluate(facings) == [["environment", False], ["user", False]])
            expect(page.locator("#camera-stop")).to_be_hidden()
            expect(page.locator("#state")).to_have_text("reconnecting")
            page.locator("#cover-button").click()
            wait_until(lambda: page.evaluate(facings)[-1] == ["user", True])
            expect(page.locator("#cover")).to_be_hidden()

    def test_a_camera_is_asked_for_once_however_often_one_clicks(
        self, page: Page, tmp_path: Path, quick_model: None
    ) -> None:
        page.add_init_script(SLOW_CAMERA)
        with running(tmp_path, web={"browser_camera": True}) as site:
            page.goto(site.address)
            for _ in range(3):
                page.locator("#cover-button").click()
            page.evaluate("() => window.allow()")
            expect(page.locator("#cover")).to_be_hidden()
            assert page.evaluate("() => window.media.length") == 1

    def test_a_camera_that_cannot_be_shown_is_released(self, page: Page, tmp_path: Path, quick_model: None) -> None:
        page.add_init_script(SLOW_CAMERA + "window.allow();")
        page.add_init_script("HTMLMediaElement.prototype.play = () => Promise.reject(new Error('no play'));")
        with running(tmp_path, web={"browser_camera": True}) as site:
            page.goto(site.address)
            for tries in (1, 2):
                page.locator("#cover-button").click()
                expect(page.locator("#toast")).to_contain_text("cannot be had: no play")
                wait_until(lambda tries=tries: page.evaluate("() => window.media.length") == tries)
                wait_until(
                    lambda: page.evaluate("() => window.media.every(m => m.getTracks()[0].readyState === 'ended')")
                )

    def test_a_page_without_access_to_cameras_says_why(self, page: Page, tmp_path: Path, quick_model: None) -> None:
        page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")  # as over HTTP
        with running(tmp_path, web={"browser_camera": True}) as site:
            page.goto(site.address)
            page.locator("#cover-button").click()
            expect(page.locator("#toast")).to_contain_text("over HTTPS only")

    def test_the_page_works_without_local_storage(self, page: Page, site: Site) -> None:
        page.add_init_script(NO_STORAGE)
        open_page(page, site)
        page.locator("#theme").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "light")

    def test_the_api_page_lists_every_route(self, page: Page, site: Site) -> None:
        paths = site.get("/openapi.json").json["paths"]
        page.goto(f"{site.address}api")
        expect(page.locator("article")).to_have_count(sum(map(len, paths.values())))
        expect(page.locator("#api")).to_contain_text("/api/streams/{name}/controls")
