// The depth of one point, under the pointer or moved by the arrow keys.

import { depthAt } from "./packets.js";

const STEP = 0.02; // of the picture's width and height, for each press of an arrow
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Reading {
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

  show(shot, mode) {
    this.shown = [shot, mode];
    const { box, point } = this;
    box.hidden = !shot || !point || mode === "space";
    if (box.hidden) return;
    box.textContent = words(shot, depthAt(shot, point.u, point.v));
    const { x, y } = this.view.place(point.u, point.v, mode, point.isRight);
    box.style.left = `${x}px`;
    box.style.top = `${y}px`;
    box.classList.toggle("flip", x > this.view.canvas.clientWidth - 180);
  }

  static metres(value) {
    return `${value.toFixed(value < 20 ? 2 : 0)} m`;
  }
}

/** Metres of metric depth only; of relative depth, how near within what is displayed. */
function words(shot, value) {
  if (value === null) return "unknown";
  if (shot.header.kind === "metric") return Reading.metres(value);
  const [low, high] = shot.header.range;
  return `${Math.round(100 * within((value - low) / Math.max(high - low, 1e-12), 1))} % near, relative`;
}

function within(share, most = 0.999) {
  return Math.min(most, Math.max(0, share));
}
