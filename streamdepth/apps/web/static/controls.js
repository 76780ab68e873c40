// The form that changes how a stream is stabilized and drawn.

import { $, toast } from "./dom.js";

const form = $("controls");

/** Shows the current values, except in the field that the user is editing. */
export function showControls({ controls, kind }, { choices, model }) {
  fill(form.colormap, choices.colormap, controls.colormap);
  fill(form.smooth, choices.smooth, controls.smooth);
  fill(form.style, choices.style, controls.style);
  fill(form.size, choices.size, model.size ?? choices.size[Math.floor(choices.size.length / 2)] ?? "its own", (size) =>
    Number(size) ? `${size} px` : size);
  form.size.disabled = choices.size.length < 2 || model.switching;
  if (document.activeElement !== form.alpha) form.alpha.value = 100 * controls.alpha;
  showRange(controls.range, kind === "metric");
  const note = model.switching ? "The model is being loaded at another size." : model.failure;
  $("controls-note").textContent = note;
  $("controls-note").hidden = !note;
}

/** Shows the locked range: near is the smaller number in meters, and the larger one of relative depth. */
function showRange(range, isMetric) {
  const isLocked = range !== "auto";
  form.dataset.nearest = isMetric ? "low" : "high";
  if (document.activeElement !== form.range) form.range.value = isLocked ? "lock" : "auto";
  $("locked").hidden = $("locked-note").hidden = !isLocked;
  document.querySelectorAll("#locked .unit").forEach((unit) => (unit.hidden = !isMetric));
  $("locked-note").textContent = isMetric ? "Distances in meters." : "Relative depth has no unit; nearer is larger.";
  if (!isLocked || $("locked").contains(document.activeElement)) return;
  const [low, high] = range.replace("lock:", "").split(",");
  [form.near.value, form.far.value] = isMetric ? [low, high] : [high, low];
}

function fill(select, values, value, words = (v) => v) {
  const wanted = values.map(String).includes(String(value)) ? values : [...values, value];
  if (select.dataset.values !== wanted.join()) {
    select.dataset.values = wanted.join();
    select.replaceChildren(...wanted.map((v) => new Option(words(v), v)));
  }
  if (document.activeElement !== select) select.value = value;
}

/** change(changes of {colormap, smooth, style, range, alpha}), resize(size of the model), now(): the displayed range. */
export function onControlsChanged({ change, resize, now }) {
  form.onsubmit = (event) => event.preventDefault();
  form.onchange = ({ target }) => {
    if (target.type !== "range") target.blur();
    if (target.name === "size") return resize(Number(target.value));
    if (target.name === "range") return change({ range: target.value === "auto" ? "auto" : lock(...now()) });
    if (target === form.near || target === form.far) return changeLock(change);
    if (target === form.alpha) return change({ alpha: target.value / 100 });
    return change({ [target.name]: target.value });
  };
}

function changeLock(change) {
  const isMetric = form.dataset.nearest === "low";
  const [low, high] = (isMetric ? [form.near, form.far] : [form.far, form.near]).map((field) => Number(field.value));
  if (low >= high) return toast(`Near has to be ${isMetric ? "smaller" : "larger"} than far.`);
  return change({ range: lock(low, high) });
}

const lock = (low, high) => `lock:${Number(low.toPrecision(4))},${Number(high.toPrecision(4))}`;
