// The form that changes how a stream is stabilized and drawn.

import { $ } from "./dom.js";

const form = $("controls");

/** Shows the current values, except in the field that the user is editing. */
export function showControls({ controls }, { choices, model }) {
  fill(form.colormap, choices.colormap, controls.colormap);
  fill(form.smooth, choices.smooth, controls.smooth);
  fill(form.style, choices.style, controls.style);
  fill(form.size, choices.size, model.size ?? choices.size[Math.floor(choices.size.length / 2)] ?? "its own", (size) =>
    Number(size) ? `${size} px` : size);
  form.size.disabled = choices.size.length < 2 || model.switching;
  showRange(controls.range);
  const note = model.switching ? "The model is being loaded at another size." : model.failure;
  $("controls-note").textContent = note;
  $("controls-note").hidden = !note;
}

function showRange(range) {
  const isLocked = range !== "auto";
  if (document.activeElement !== form.range) form.range.value = isLocked ? "lock" : "auto";
  $("locked").hidden = !isLocked;
  if (isLocked && !$("locked").contains(document.activeElement))
    [form.low.value, form.high.value] = range.replace("lock:", "").split(",");
}

function fill(select, values, value, words = (v) => v) {
  const wanted = values.map(String).includes(String(value)) ? values : [...values, value];
  if (select.dataset.values !== wanted.join()) {
    select.dataset.values = wanted.join();
    select.replaceChildren(...wanted.map((v) => new Option(words(v), v)));
  }
  if (document.activeElement !== select) select.value = value;
}

/** change(changes of {colormap, smooth, style, range}), resize(size of the model), now(): the displayed range. */
export function onControlsChanged({ change, resize, now }) {
  form.onsubmit = (event) => event.preventDefault();
  form.onchange = ({ target }) => {
    target.blur();
    if (target.name === "size") return resize(Number(target.value));
    if (target.name === "range") return change({ range: target.value === "auto" ? "auto" : lock(...now()) });
    if (target === form.low || target === form.high) return change({ range: lock(Number(form.low.value), Number(form.high.value)) });
    return change({ [target.name]: target.value });
  };
}

const lock = (low, high) => `lock:${Number(low.toPrecision(4))},${Number(high.toPrecision(4))}`;
