// The page: what is shown of which stream, and what its buttons do.

import * as api from "./api.js";
import { $, doing, make, toast } from "./dom.js";
import { labelOf, showFacts, showState, showTabs, stateOf } from "./facts.js";
import { Feed } from "./feed.js";
import { FlatView } from "./flat.js";
import { showFiles } from "./kept.js";
import { OwnCamera } from "./own_camera.js";
import { plot } from "./plot.js";
import { Reading } from "./reading.js";
import { onTune, showControls } from "./tune.js";

const VIEWS = { picture: "Picture", overlay: "Overlay", depth: "Depth", side: "Both", wipe: "Wipe", space: "3D" };
const THEMES = { "": "As the system is", light: "Light", dark: "Dark" };

const flat = new FlatView($("flat"));
const reading = new Reading(flat, $("reading"));
const own = new OwnCamera($("own-camera"), (reason) => reason && toast(reason));
let space = null;
let feed = null;
let name = new URLSearchParams(location.search).get("stream");
let status = null;
let shot = null;
let mode = "overlay";
let link = { isUp: false, reason: "" };
let colorName = "";

const stream = () => status?.streams.find((s) => s.name === name) ?? null;

async function begin() {
  try {
    status = await api.status();
  } catch {
    setTimeout(begin, 1000);
    return;
  }
  choose(stream()?.name ?? status.streams[0].name);
  await showFiles();
}

function choose(chosen) {
  feed?.close();
  shot?.picture.close();
  [name, shot] = [chosen, null];
  space?.leave();
  if (status.streams.length > 1) history.replaceState(null, "", `?stream=${name}`);
  document.title = `${labelOf(stream())} · streamdepth`;
  const isSmall = matchMedia("(max-width: 700px)").matches || navigator.connection?.saveData;
  feed = new Feed(name, isSmall ? "light" : "full", { shot: onShot, status: onStatus, link: onLink });
  onStatus(status);
}

// ---- what arrives

function onLink(isUp, reason) {
  if (isUp && !link.isUp) showFiles().catch(() => {});
  if (!isUp && status) status.number = 0; // a server that starts again counts anew
  link = { isUp, reason };
  showVeil();
}

/** Done once the picture is on the screen, or another stream was chosen before. */
function onShot(next) {
  const from = feed;
  return new Promise((shown) => requestAnimationFrame(() => {
    if (feed !== from) return shown(next.picture.close());
    shot?.picture.close();
    shot = next;
    draw();
    showVeil();
    shown();
  }));
}

/** What was on its way while something was changed is older than the answer, and would undo it on the page. */
function onStatus(next) {
  if (next.number < status.number) return;
  const before = stream();
  status = next;
  const now = stream();
  if (!now) return;
  if (before?.recording.active !== now.recording.active) showFiles().catch(() => {});
  if (now.recording.failure && now.recording.failure !== before?.recording.failure) toast(now.recording.failure);
  showTabs(status.streams, name, choose);
  showState(now);
  showFacts(now, status);
  showControls(now, status);
  showButtons(now);
  showColors(now.controls.colormap).catch(() => (colorName = ""));
  plot($("plot"), now.history);
  showVeil();
}

function showButtons({ controls, recording }) {
  $("pause").setAttribute("aria-pressed", controls.paused);
  $("pause").textContent = controls.paused ? "Resume" : "Pause";
  $("record").setAttribute("aria-pressed", recording.active);
  $("record").lastElementChild.textContent = recording.active ? "Stop" : "Record";
}

// ---- the picture

function draw() {
  if (!shot) return;
  const width = (mode === "side" ? 2 : 1) * shot.header.width;
  $("screen").style.setProperty("--shape", `${width} / ${shot.header.height}`);
  $("screen").dataset.frame = shot.header.index; // for those who check
  if (mode === "space") space?.draw(shot);
  else flat.draw(shot, mode);
  showLegend();
  reading.show(shot, mode);
}

async function setMode(next) {
  mode = next;
  const isSpace = mode === "space";
  if (isSpace && !(await makeSpace())) return pick("overlay");
  $("flat").hidden = isSpace;
  $("space").hidden = !isSpace;
  $("wipe").hidden = mode !== "wipe";
  draw();
  showVeil();
}

async function makeSpace() {
  try {
    const { SpaceView } = await import("./space.js");
    space ??= new SpaceView($("space"));
  } catch (error) {
    toast(`3D cannot be shown here: ${error.message}`);
  }
  return space;
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
  const { kind, range: [low, high] } = shot.header;
  const isMetric = kind === "metric";
  $("legend-near").textContent = isMetric ? Reading.metres(low) : "near";
  $("legend-far").textContent = isMetric ? Reading.metres(high) : "far";
  $("legend-note").textContent = isMetric ? "" : "relative, no unit";
  $("legend").hidden = mode === "picture" || mode === "space";
  $("hint").hidden = mode !== "space";
  $("divider").hidden = mode !== "wipe";
  $("divider").style.left = `${flat.place(flat.wipe, 0, mode).x}px`;
}

async function showColors(wanted) {
  if (wanted === colorName) return;
  colorName = wanted;
  const colors = await api.colors(wanted);
  flat.setColors(colors);
  const context = $("legend-bar").getContext("2d");
  colors.forEach((color, i) => {
    context.fillStyle = color;
    context.fillRect(255 - i, 0, 1, 1);
  });
  draw();
}

function showVeil() {
  const now = stream();
  const isInvited = Boolean(link.isUp && now?.camera && !own.isOn && now.state !== "live");
  const text = veilText(now, isInvited);
  $("veil").hidden = !text;
  $("veil").classList.toggle("quiet", Boolean(shot && link.isUp && !isInvited && status.hold_last));
  $("veil-text").textContent = text;
  $("veil-button").hidden = !isInvited;
}

function veilText(now, isInvited) {
  if (!link.isUp) return link.reason || "The server does not answer. Trying again.";
  if (isInvited) return "This stream shows the camera of whoever opens this page.";
  if (!now || (shot && now.state === "live")) return "";
  if (now.state === "live") return now.controls.paused ? "Paused before the first picture" : "Waiting for the first picture";
  const state = shot && status.hold_last ? `${stateOf(now)}: this picture is stale` : stateOf(now);
  return now.reason ? `${state}\n${now.reason}` : state;
}

// ---- what is done

async function change(changes) {
  onStatus(await api.setControls(name, changes));
}

function setWipe(share) {
  flat.wipe = Math.min(1, Math.max(0, share));
  $("wipe").value = 100 * flat.wipe;
  draw();
}

$("pause").onclick = doing(() => change({ paused: !stream().controls.paused }));
$("snapshot").onclick = doing(async () => {
  const { files } = await api.snapshot(name);
  toast(`Kept ${files.join(", ")}`);
  await showFiles();
});
$("record").onclick = doing(async () => {
  onStatus(await (stream().recording.active ? api.stopRecording : api.record)(name));
  await showFiles();
});
$("whole").onclick = doing(() => (document.fullscreenElement ? document.exitFullscreen() : $("screen").requestFullscreen()));
$("veil-button").onclick = doing(async () => {
  await own.start(name);
  showVeil();
});
$("wipe").oninput = () => setWipe($("wipe").value / 100);
$("flat").addEventListener("pointermove", (event) => {
  const at = mode === "wipe" && event.buttons ? flat.locate(event.clientX, event.clientY, mode) : null;
  if (at) setWipe(at.u);
});
onTune({
  change: doing(change),
  resize: doing(async (size) => onStatus(await api.setModel(size))),
  now: () => shot?.header.range ?? [0, 1],
});

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("select, input:not([type=radio])") || $("player").open;
  if (isTyping || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const button = { p: "pause", s: "snapshot", r: "record", f: "whole" }[event.key.toLowerCase()];
  const view = Object.keys(VIEWS)[Number(event.key) - 1];
  if (button) $(button).click();
  else if (view) pick(view);
});

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  storage()?.setItem("theme", theme);
}

/** What the browser keeps from visit to visit; null where it keeps nothing. */
function storage() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

setTheme(storage()?.getItem("theme") ?? "");
$("theme").onclick = () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length]);
  toast(THEMES[document.documentElement.dataset.theme]);
};
addEventListener("resize", draw);

makeViews();
begin();
