// The page that computes depth by itself: the visitor's camera or file, the model, and the screen.

import { $, make, reportingErrors, toast } from "../static/dom.js";
import { DepthScreen } from "../static/depth_screen.js";
import { DeviceCamera } from "../static/device_camera.js";
import { startFrame } from "../static/page_frame.js";
import { preferences, remember } from "../static/preferences.js";
import { DepthModel } from "./depth_model.js";
import { closeVideo, openFile, VideoInput } from "./inputs.js";
import { displayRange, RangeTracker } from "./ranges.js";
import { makeResult } from "./result.js";

const SIZES = [1, 6 / 7, 5 / 7, 4 / 7]; // of the model, as shares of its own
const RATE_SECONDS = 3; // over which the frame rate is counted
const ENGINES = { webgpu: "GPU (WebGPU)", wasm: "CPU (WebAssembly)" };

const form = $("controls");
const screen = new DepthScreen();
const camera = new DeviceCamera($("video"), onCameraChanged);
const model = new DepthModel();
const tracker = new RangeTracker();
let input = null; // a VideoInput or PictureInput
let about = null;
let index = 0;
let shownAt = []; // when the latest pictures were shown, in ms

async function start() {
  const [answer, { size }] = await Promise.all([fetch("about.json"), model.load()]);
  about = await answer.json();
  $("about").textContent = `streamdepth ${about.version}`;
  form.colormap.replaceChildren(...Object.keys(about.colormaps).map((name) => new Option(name, name)));
  form.size.replaceChildren(...SIZES.map((share) => new Option(`${Math.round(size * share)} px`, Math.round(size * share))));
  screen.setColors(about.colormaps[form.colormap.value]);
  showCover("Use the camera, or open a picture or a video: drop it anywhere on the page.");
  document.body.dataset.model = "ready"; // for tests
}

// ---- pictures and their depth

/** Shows the pictures of an input until another one takes its place; null shows none. */
async function show(next) {
  input = next;
  tracker.reset();
  shownAt = [];
  screen.resetEye();
  $("pause").hidden = !input || input.isStill;
  setPaused(false);
  if (input) showCover("Computing depth");
  else screen.show(null);
  if (input?.isStill) return step(input);
  while (input && input === next) await ($("video").paused ? isPlaying() : step(next));
}

const isPlaying = () => new Promise((plays) => $("video").addEventListener("play", plays, { once: true }));

async function step(from) {
  const { picture, time } = await from.next();
  const estimate = await model.estimate(picture, Number(form.size.value));
  if (input !== from) return estimate.picture.close();
  const { depth, columns, rows } = estimate;
  const range = from.isStill ? displayRange(depth, columns, rows) : tracker.push(depth, columns, rows, time);
  const result = makeResult({ ...estimate, range, index: index++ });
  await new Promise((drawn) => screen.onNextFrame(drawn));
  screen.show(result);
  showCover("");
  showFacts(estimate, from.isStill);
  $("save").disabled = false;
}

function showFacts({ columns, rows, milliseconds, engine, threads, picture }, isStill) {
  const now = performance.now();
  shownAt = [...shownAt.filter((at) => now - at < 1000 * RATE_SECONDS), now];
  const rate = shownAt.length > 1 ? (1000 * (shownAt.length - 1)) / (now - shownAt[0]) : null;
  const facts = {
    Rate: isStill || rate === null ? "–" : `${rate.toFixed(1)} fps`,
    "Time for a picture": `${milliseconds.toFixed(0)} ms`,
    Picture: `${picture.width} × ${picture.height} px`,
    Model: `nano, ${columns} × ${rows} px`,
    Engine: engine === "wasm" ? `${ENGINES.wasm}, ${threads} thread${threads > 1 ? "s" : ""}` : ENGINES[engine],
    Depth: "relative, no unit",
  };
  $("facts").replaceChildren(...Object.entries(facts).flatMap(([key, value]) => [make("dt", key), make("dd", value)]));
}

function showCover(text) {
  $("cover").hidden = !text;
  $("cover-text").textContent = text;
}

// ---- buttons

function setPaused(isPaused) {
  $("pause").setAttribute("aria-pressed", isPaused);
  $("pause").textContent = isPaused ? "Resume" : "Pause";
}

async function useCamera() {
  if (camera.isOn) return camera.stop();
  closeVideo($("video"));
  await camera.start(preferences.facing);
  await show(new VideoInput($("video"), () => performance.now() / 1000));
}

/** The camera went on, or off by itself or by its button. */
function onCameraChanged() {
  $("camera").textContent = camera.isOn ? "Stop the camera" : "Use the camera";
  $("camera-flip").hidden = !camera.isOn;
  if (camera.isOn || !(input?.clock)) return;
  show(null);
  showCover("The camera is off.");
}

async function open(file) {
  if (!file || !about) return;
  if (camera.isOn) camera.stop();
  closeVideo($("video"));
  await show(await openFile(file, $("video")));
}

function save() {
  const canvas = screen.mode === "points" ? $("points-canvas") : $("picture-canvas");
  screen.draw(); // a 3D canvas can be read only while it is fresh
  canvas.toBlob((blob) => {
    const link = make("a", { href: URL.createObjectURL(blob), download: "depth.png" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}

$("camera").onclick = reportingErrors(useCamera);
$("camera-flip").onclick = reportingErrors(async () => remember({ facing: await camera.flip(preferences.facing) }));
$("file").onchange = reportingErrors(async ({ target }) => {
  const [file] = target.files;
  target.value = "";
  await open(file);
});
$("pause").onclick = () => {
  const { paused } = $("video");
  if (paused) $("video").play();
  else $("video").pause();
  setPaused(!paused);
};
$("save").onclick = save;
form.onsubmit = (event) => event.preventDefault();
form.colormap.onchange = () => screen.setColors(about.colormaps[form.colormap.value]);
form.size.onchange = reportingErrors(async () => {
  if (input?.isStill) await step(input);
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"])
  addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    $("drop").hidden = kind === "drop" || (kind === "dragleave" && !event.relatedTarget);
    if (kind === "drop") reportingErrors(open)(event.dataTransfer.files[0]);
  });

screen.start();
startFrame({ p: "pause", s: "save", f: "fullscreen", 0: "reset-3d" }, (number) => screen.pickNumber(number));
start().catch((error) => {
  showCover(`The model cannot be loaded: ${error.message}`);
  toast(error.message);
});
