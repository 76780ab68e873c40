// The stream's tab, state and facts, beside the picture.

import { $, make } from "./dom.js";

const LOST = "lost";
const STATE_NAMES = { closed: "not open", [LOST]: "lost connection" };

/** Returns the state in words; a paused stream is live for the server. */
export function stateOf(stream) {
  return stream.controls.paused && stream.state === "live" ? "paused" : STATE_NAMES[stream.state] ?? stream.state;
}

/** Returns what is left of a status once the server is out of reach; the sequence of a restarted one begins at 1 again. */
export function withoutServer(status) {
  const forget = (stream) => ({ ...stream, state: LOST, reason: "", fps: 0, viewers: "–", recording: { active: false, failure: "" } });
  return { ...status, sequence: 0, streams: status.streams.map(forget) };
}

/** Returns the source's title without a scheme. */
export const labelOf = (stream) => stream.title.replace(/^[a-z]+:\/\//, "");

const dot = (stream) => make("span", { className: `dot ${stream.controls.paused && stream.state === "live" ? "paused" : stream.state}` });

export function showTabs(streams, chosen, choose) {
  const box = $("streams");
  const key = JSON.stringify([chosen, streams.map((s) => [s.name, stateOf(s)])]);
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  const focused = document.activeElement?.dataset?.stream;
  const tabs = streams.map((stream) => {
    const tab = make("button", { onclick: () => choose(stream.name) }, dot(stream), make("span", labelOf(stream)));
    tab.dataset.stream = stream.name;
    tab.setAttribute("aria-current", stream.name === chosen);
    return tab;
  });
  box.replaceChildren(...(streams.length > 1 ? tabs : []));
  tabs.find((tab) => tab.dataset.stream === focused)?.focus({ preventScroll: true });
  if (box.dataset.chosen === chosen) return;
  box.dataset.chosen = chosen;
  const tab = tabs.find((tab) => tab.dataset.stream === chosen);
  box.scrollLeft = tab.offsetLeft - box.offsetLeft - (box.clientWidth - tab.offsetWidth) / 2; // a phone shows only some of the tabs
}

export function showState(stream) {
  const word = stateOf(stream);
  if ($("state").textContent !== word) $("state").replaceChildren(dot(stream), word);
  $("reason").textContent = stream.reason;
  $("reason").hidden = !stream.reason;
}

export function showFacts(stream, { model, version }) {
  const drops = Object.entries(stream.dropped).map(([cause, n]) => `${n} ${cause.replaceAll("_", " ")}`);
  const rows = {
    Source: stream.title,
    Size: stream.width ? `${stream.width} × ${stream.height} px` : "–",
    Rate: `${stream.fps.toFixed(1)} fps`,
    Frames: `${stream.written} of ${stream.read}`,
    Dropped: drops.join(", ") || "none",
    Reconnects: stream.reconnects,
    Depth: stream.kind ? (stream.unit ? "metric, meters" : "relative, no unit") : "–",
    Model: model.name,
    Engine: `${model.engine}, ${model.device}, ${model.precision}`,
    Viewers: stream.viewers,
  };
  const facts = $("facts");
  if (!facts.children.length) facts.append(...Object.keys(rows).flatMap((key) => [make("dt", key), make("dd")]));
  Object.values(rows).forEach((value, i) => {
    const cell = facts.children[2 * i + 1];
    if (cell.textContent !== String(value)) cell.textContent = value;
  });
  $("about").textContent = `streamdepth ${version}`;
}
