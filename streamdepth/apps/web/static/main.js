// The page: shows the chosen stream, and handles its buttons and keys.

import * as api from "./api.js";
import { $, reportingErrors, make, toast } from "./dom.js";
import { labelOf, showFacts, showState, showTabs, stateOf, withoutServer } from "./stream_facts.js";
import { StreamConnection } from "./connection.js";
import { PictureView } from "./picture_view.js";
import { showFiles } from "./files.js";
import { BrowserCamera } from "./browser_camera.js";
import { plot } from "./latency_plot.js";
import { DepthReadout } from "./depth_readout.js";
import { onControlsChanged, showControls } from "./controls.js";
import { startUploads } from "./uploads.js";
import { preferences, remember } from "./preferences.js";

const VIEWS = { picture: "Picture", overlay: "Overlay", depth: "Depth", side: "Both", wipe: "Wipe", points: "3D" };
const THEMES = { "": "As the system is", light: "Light", dark: "Dark" };

const pictureView = new PictureView($("picture-canvas"));
const readout = new DepthReadout(pictureView, $("depth-readout"));
const browserCamera = new BrowserCamera($("browser-camera"), onCameraChanged);
let pointView = null;
let hasHeadset = false;
let connection = null;
let name = new URLSearchParams(location.search).get("stream");
let status = null;
let result = null;
let mode = preferences.view in VIEWS ? preferences.view : "overlay";
let linkState = { isUp: false, reason: "Connecting" };
let colorName = "";

const stream = () => status?.streams.find((s) => s.name === name) ?? null;

async function start() {
  try {
    status = await api.status();
  } catch {
    setTimeout(start, 1000);
    return;
  }
  showStream(stream()?.name ?? status.streams[0].name);
  $("sign-out").hidden = !(await api.isSignedIn().catch(() => false));
  await startUploads(() => name).catch(() => {});
  await showFiles().catch(() => {}); // an answer that is lost comes with the next connection
}

function showStream(chosen) {
  connection?.close();
  result?.picture.close();
  [name, result] = [chosen, null];
  pointView?.resetEye();
  if (status.streams.length > 1) history.replaceState(null, "", `?stream=${name}`);
  document.title = `${labelOf(stream())} · streamdepth`;
  const isSmall = matchMedia("(max-width: 700px)").matches || navigator.connection?.saveData;
  connection = new StreamConnection(name, isSmall ? "light" : "full", { onResult, onStatus, onLinkChanged });
  onStatus(status);
}

// ---- messages of the server

/** While the server is out of reach nothing is known of its streams, and nothing can be changed. */
function onLinkChanged(isUp, reason) {
  if (isUp && !linkState.isUp) showFiles().catch(() => {});
  linkState = { isUp, reason };
  document.body.dataset.link = isUp ? "up" : "lost";
  for (const id of ["pause", "snapshot", "record", "sign-out"]) $(id).disabled = !isUp;
  $("controls").inert = !isUp;
  if (isUp) return showCover();
  status = withoutServer(status);
  onStatus(status);
}

/** Calls back before the next frame is shown; while a headset is worn, browsers draw nothing on the page. */
const nextFrame = (draw) => (pointView?.session ?? window).requestAnimationFrame(draw);

/** Resolves once the picture is on the screen, or another stream was chosen meanwhile. */
function onResult(next) {
  const from = connection;
  return new Promise((shown) => nextFrame(() => {
    if (connection !== from) return shown(next.picture.close());
    result?.picture.close();
    result = next;
    draw();
    showCover();
    shown();
  }));
}

/** Ignores a status that was sent before the answer to a change: it would undo the change on the page. */
function onStatus(next) {
  if (next.sequence < status.sequence) return;
  const before = stream();
  status = next;
  const now = stream();
  if (!now) return;
  if (linkState.isUp && before?.recording.active !== now.recording.active) showFiles().catch(() => {});
  if (now.recording.failure && now.recording.failure !== before?.recording.failure) toast(now.recording.failure);
  showTabs(status.streams, name, showStream);
  showState(now);
  showFacts(now, status);
  showControls(now, status);
  showButtons(now);
  showColors(now.controls.colormap).catch(() => (colorName = ""));
  plot($("plot"), now.history);
  showCover();
}

function showButtons({ controls, recording }) {
  $("pause").setAttribute("aria-pressed", controls.paused);
  $("pause").textContent = controls.paused ? "Resume" : "Pause";
  $("record").setAttribute("aria-pressed", recording.active);
  $("record").lastElementChild.textContent = recording.active ? `Stop ${minutes(recording.seconds)}` : "Record";
}

const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds) % 60).padStart(2, "0")}`;

// ---- the picture

function draw() {
  if (!result) return;
  const width = (mode === "side" ? 2 : 1) * result.header.width;
  $("screen").style.setProperty("--shape", `${width} / ${result.header.height}`);
  $("screen").dataset.frame = result.header.index; // for tests
  if (mode === "points") pointView?.draw(result);
  else pictureView.draw(result, mode, $("controls").alpha.value / 100);
  showLegend();
  readout.show(result, mode);
}

async function setMode(next) {
  mode = next;
  remember({ view: mode });
  const is3d = mode === "points";
  if (is3d && !(await makePointView())) return pick("overlay");
  $("picture-canvas").hidden = is3d;
  $("points-canvas").hidden = !is3d;
  $("wipe").hidden = mode !== "wipe";
  draw();
  showCover();
}

async function makePointView() {
  try {
    const { PointView } = await import("./point_view.js");
    if (pointView) return pointView;
    pointView = new PointView($("points-canvas"));
    hasHeadset = await PointView.hasHeadset();
  } catch (error) {
    toast(`3D cannot be shown here: ${error.message}`);
  }
  return pointView;
}

function pick(view) {
  $(`view-${view}`).checked = true;
  setMode(view);
}

function makeViews() {
  for (const [view, label] of Object.entries(VIEWS)) {
    const input = make("input", { type: "radio", name: "view", value: view, id: `view-${view}`, checked: view === mode });
    input.onchange = () => setMode(view);
    $("views").append(make("label", {}, input, make("span", label)));
  }
}

function showLegend() {
  const { kind, range: [low, high] } = result.header;
  const isMetric = kind === "metric";
  $("legend-near").textContent = isMetric ? DepthReadout.meters(low) : "near";
  $("legend-far").textContent = isMetric ? DepthReadout.meters(high) : "far";
  $("legend-note").textContent = isMetric ? "" : "relative, no unit";
  $("legend").hidden = mode === "picture" || mode === "points";
  $("hint").hidden = $("reset-3d").hidden = mode !== "points";
  $("headset").hidden = mode !== "points" || !hasHeadset;
  $("divider").hidden = mode !== "wipe";
  $("divider").style.left = `${pictureView.place(pictureView.wipe, 0, mode).x}px`;
}

async function showColors(wanted) {
  if (wanted === colorName) return;
  colorName = wanted;
  const colors = await api.colors(wanted);
  pictureView.setColors(colors);
  const context = $("legend-bar").getContext("2d");
  colors.forEach((color, i) => {
    context.fillStyle = color;
    context.fillRect(255 - i, 0, 1, 1);
  });
  draw();
}

function showCover() {
  const now = stream();
  const offersCamera = Boolean(linkState.isUp && now?.is_browser_camera && !browserCamera.isOn && now.state !== "live");
  const text = coverText(now, offersCamera);
  $("cover").hidden = !text;
  $("cover").classList.toggle("hint-only", Boolean(result && linkState.isUp && !offersCamera && status.hold_last));
  $("cover-text").textContent = text;
  $("cover-button").hidden = !offersCamera;
}

function coverText(now, offersCamera) {
  if (!linkState.isUp) return linkState.reason || "The server does not answer. Trying again.";
  if (offersCamera) return "This stream shows the camera of whoever opens this page.";
  if (!now || (result && now.state === "live")) return "";
  if (now.state === "live") return now.controls.paused ? "Paused before the first picture" : "Waiting for the first picture";
  const state = result && status.hold_last ? `${stateOf(now)}: this picture is stale` : stateOf(now);
  return now.reason ? `${state}\n${now.reason}` : state;
}

// ---- buttons and keys

async function change(changes) {
  onStatus(await api.setControls(name, changes));
}

function setWipe(share) {
  pictureView.wipe = Math.min(1, Math.max(0, share));
  remember({ wipe: pictureView.wipe });
  $("wipe").value = 100 * pictureView.wipe;
  draw();
}

$("pause").onclick = reportingErrors(() => change({ paused: !stream().controls.paused }));
$("snapshot").onclick = reportingErrors(async () => {
  const { files } = await api.snapshot(name);
  toast(`Saved ${files[0].replace(".png", "")}`);
  await showFiles();
});
$("record").onclick = reportingErrors(async () => {
  onStatus(await (stream().recording.active ? api.stopRecording : api.record)(name));
  await showFiles();
});
$("fullscreen").hidden = !document.fullscreenEnabled; // iPhones show nothing but videos on the full screen
$("fullscreen").onclick = reportingErrors(() => (document.fullscreenElement ? document.exitFullscreen() : $("screen").requestFullscreen()));
$("reset-3d").onclick = () => {
  pointView?.resetEye();
  draw();
};
$("headset").onclick = async () => {
  try {
    await pointView.enterHeadset();
  } catch (error) {
    toast(`The headset cannot be used: ${error.message}. The 3D view stays here.`);
  }
};
$("sign-out").onclick = reportingErrors(async () => {
  await api.signOut();
  location.reload();
});
$("cover-button").onclick = reportingErrors(() => browserCamera.start(name, preferences.facing));
$("camera-stop").onclick = () => browserCamera.stop();
$("camera-flip").onclick = reportingErrors(async () => {
  $("camera-flip").disabled = $("camera-stop").disabled = true;
  try {
    remember({ facing: await browserCamera.flip(preferences.facing) });
  } finally {
    $("camera-flip").disabled = $("camera-stop").disabled = false;
  }
});

function onCameraChanged(reason) {
  $("camera-buttons").hidden = !browserCamera.isOn;
  if (reason) toast(reason);
  showCover();
}

$("wipe").oninput = () => setWipe($("wipe").value / 100);
$("picture-canvas").addEventListener("pointermove", (event) => {
  const at = mode === "wipe" && event.buttons ? pictureView.locate(event.clientX, event.clientY, mode) : null;
  if (at) setWipe(at.u);
});
onControlsChanged({
  change: reportingErrors(change),
  resize: reportingErrors(async (size) => onStatus(await api.setModel(size))),
  now: () => result?.header.range ?? [0, 1],
});
$("controls").alpha.oninput = draw;

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("select, input:not([type=radio])") || document.querySelector("dialog[open]");
  if (isTyping || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const button = { p: "pause", s: "snapshot", r: "record", f: "fullscreen", 0: "reset-3d" }[event.key.toLowerCase()];
  const view = Object.keys(VIEWS)[Number(event.key) - 1];
  if (button) $(button).hidden || $(button).click();
  else if (view) pick(view);
});

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  remember({ theme });
}

setTheme(preferences.theme);
$("theme").onclick = () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(preferences.theme) + 1) % names.length]);
  toast(THEMES[preferences.theme]);
};
for (const panel of document.querySelectorAll("details.panel")) {
  panel.open = !preferences.closedPanels.includes(panel.id);
  panel.ontoggle = () => remember({ closedPanels: [...document.querySelectorAll("details.panel:not([open])")].map(({ id }) => id) });
}
addEventListener("resize", draw);

makeViews();
setWipe(preferences.wipe);
setMode(mode);
start();
