// Plots latency over time as three lines.

import { shape } from "./dom.js";

const NAMES = ["p50", "p95", "p99"];
const SECONDS = 120, WIDTH = 300, HEIGHT = 90;

export function plot(svg, history) {
  const known = history.filter((second) => second.latency_ms);
  const top = scale(Math.max(10, ...known.map((second) => second.latency_ms[2])));
  svg.replaceChildren(...[0, 0.5, 1].map((share) => line(HEIGHT * share)), ...NAMES.map((_, i) => curve(history, i, top)));
  svg.setAttribute("aria-label", `Latency of the last two minutes, up to ${top} milliseconds`);
  document.getElementById("plot-top").textContent = `${top} ms`;
  NAMES.forEach((name, i) => {
    document.getElementById(name).textContent = known.length ? `${Math.round(known.at(-1).latency_ms[i])} ms` : "–";
  });
}

/** The next of 10, 20, 50, 100... */
function scale(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return unit * [1, 2, 5, 10].find((step) => step * unit >= value);
}

function curve(history, i, top) {
  const points = history.map((second, n) => {
    const x = WIDTH - ((history.length - 1 - n) * WIDTH) / (SECONDS - 1);
    return second.latency_ms && `${x.toFixed(1)},${(HEIGHT * (1 - Math.min(1, second.latency_ms[i] / top))).toFixed(1)}`;
  });
  return shape("polyline", { class: NAMES[i], points: points.filter(Boolean).join(" ") });
}

function line(y) {
  return shape("line", { x1: 0, x2: WIDTH, y1: y, y2: y });
}
