// The depth at one point: under the pointer, or moved by the arrow keys.

import { depthAt } from "./packets.js";

const STEP = 0.02; // of the picture's width and height, for each press of an arrow
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class DepthReadout {
  constructor(view, box) {
    [this.view, this.box] = [view, box];
    this.point = null; // {u, v, isRight}: from 0 to 1; isRight: on the right one of two pictures
    this.shown = [null, ""];
    view.canvas.addEventListener("pointermove", (event) => this.follow(event));
    view.canvas.addEventListener("pointerdown", (event) => this.follow(event));
    view.canvas.addEventListener("pointerleave", () => this.move(null));
    view.canvas.addEventListener("keydown", (event) => this.step(event));
  }

  follow(event) {
    const { left, width } = this.view.contentBox();
    const at = this.view.locate(event.clientX, event.clientY, this.shown[1]);
    this.move(at && { ...at, isRight: event.clientX > left + width / 2 });
  }

  step(event) {
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    const { u, v, isRight } = this.point ?? { u: 0.5, v: 0.5, isRight: false };
    this.move({ u: within(u + STEP * arrow[0]), v: within(v + STEP * arrow[1]), isRight });
  }

  move(point) {
    this.point = point;
    this.show(...this.shown);
  }

  show(result, mode) {
    this.shown = [result, mode];
    const { box, point } = this;
    box.hidden = !result || !point || mode === "points";
    if (box.hidden) return;
    box.textContent = words(result, depthAt(result, point.u, point.v));
    const { x, y } = this.view.place(point.u, point.v, mode, point.isRight);
    box.style.left = `${x}px`;
    box.style.top = `${y}px`;
    box.classList.toggle("flip", x > this.view.canvas.clientWidth - 180);
  }

  static meters(value) {
    return `${value.toFixed(value < 20 ? 2 : 0)} m`;
  }
}

/** Metric depth in meters; relative depth as nearness within the displayed range. */
function words(result, value) {
  if (value === null) return "unknown";
  if (result.header.kind === "metric") return DepthReadout.meters(value);
  const [low, high] = result.header.range;
  return `${Math.round(100 * within((value - low) / Math.max(high - low, 1e-12), 1))} % near, relative`;
}

function within(share, most = 0.999) {
  return Math.min(most, Math.max(0, share));
}
