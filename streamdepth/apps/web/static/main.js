// The page: shows the chosen stream, and handles its buttons and keys.

import * as api from "./api.js";
import { $, reportingErrors, toast } from "./dom.js";
import { labelOf, showFacts, showState, showTabs, stateOf, withoutServer } from "./stream_facts.js";
import { StreamConnection } from "./connection.js";
import { DepthScreen } from "./depth_screen.js";
import { showFiles } from "./files.js";
import { BrowserCamera } from "./browser_camera.js";
import { plot } from "./latency_plot.js";
import { onControlsChanged, showControls } from "./controls.js";
import { startUploads } from "./uploads.js";
import { startFrame } from "./page_frame.js";
import { preferences, remember } from "./preferences.js";
import { Zones } from "./zones.js";

let connection = null;
let name = new URLSearchParams(location.search).get("stream");
let status = null;
let linkState = { isUp: false, reason: "Connecting" };
let colorName = "";

const stream = () => status?.streams.find((s) => s.name === name) ?? null;
const screen = new DepthScreen(showCover, () => zones.draw(screen.result.header, screen.mode));
const zones = new Zones(screen.pictureView, { stream, onStatus });
const browserCamera = new BrowserCamera($("browser-camera"), onCameraChanged);

async function start() {
  try {
    status = await api.status();
  } catch {
    setTimeout(start, 1000);
    return;
  }
  const uploads = startUploads(() => name).catch(() => {}); // before the first picture, which somebody may wait for
  showStream(stream()?.name ?? status.streams[0].name);
  $("sign-out").hidden = !(await api.isSignedIn().catch(() => false));
  await uploads;
  await showFiles().catch(() => {}); // an answer that is lost comes with the next connection
}

function showStream(chosen) {
  connection?.close();
  name = chosen;
  screen.show(null);
  screen.resetEye();
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
  for (const id of ["pause", "snapshot", "record", "sign-out", "draw-zone"]) $(id).disabled = !isUp;
  $("controls").inert = !isUp;
  if (isUp) return showCover();
  status = withoutServer(status);
  onStatus(status);
}

/** Resolves once the picture is on the screen, or another stream was chosen meanwhile. */
function onResult(next) {
  const from = connection;
  return new Promise((shown) => screen.onNextFrame(() => {
    if (connection !== from) return shown(next.picture.close());
    screen.show(next);
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
  zones.showList();
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

async function showColors(wanted) {
  if (wanted === colorName) return;
  colorName = wanted;
  screen.setColors(await api.colors(wanted));
}

function showCover() {
  const now = stream();
  const offersCamera = Boolean(linkState.isUp && now?.is_browser_camera && !browserCamera.isOn && now.state !== "live");
  const text = coverText(now, offersCamera);
  $("cover").hidden = !text;
  $("cover").classList.toggle("hint-only", Boolean(screen.result && linkState.isUp && !offersCamera && status.hold_last));
  $("cover-text").textContent = text;
  $("cover-button").hidden = !offersCamera;
}

function coverText(now, offersCamera) {
  if (!linkState.isUp) return linkState.reason || "The server does not answer. Trying again.";
  if (offersCamera) return "This stream shows the camera of whoever opens this page.";
  if (!now || (screen.result && now.state === "live")) return "";
  if (now.state === "live") return now.controls.paused ? "Paused before the first picture" : "Waiting for the first picture";
  const state = screen.result && status.hold_last ? `${stateOf(now)}: this picture is stale` : stateOf(now);
  return now.reason ? `${state}\n${now.reason}` : state;
}

// ---- buttons and keys

async function change(changes) {
  onStatus(await api.setControls(name, changes));
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

onControlsChanged({
  change: reportingErrors(change),
  resize: reportingErrors(async (size) => onStatus(await api.setModel(size))),
  now: () => screen.result?.header.range ?? [0, 1],
});

screen.start();
startFrame({ p: "pause", s: "snapshot", r: "record", f: "fullscreen", z: "draw-zone", 0: "reset-3d" }, (number) => screen.pickNumber(number));
start();
