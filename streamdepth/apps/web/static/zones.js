// The zones of a stream: their outlines over the picture, the drawing of new ones, and the list of their depth.

import * as api from "./api.js";
import { $, icon, make, reportingErrors, shape, toast } from "./dom.js";

const CLICK_PX = 6; // a shorter way of the pointer is a click, a longer one draws a box
const SECONDS = 120, WIDTH = 300, HEIGHT = 44;
const HINT = "Drag a box, or click the corners of a polygon and end it with Enter or a double click. Escape cancels.";

/** Returns a depth in a zone in words; null is unknown, or too far where most of the zone is known. */
export function depthWords(value, { unit, known }) {
  if (value === null) return known < 0.1 ? "unknown" : "far";
  return unit === "m" ? `${value.toFixed(2)} m` : `${Math.round(value)} %`;
}

export class Zones {
  /** stream(): the status of the stream that is shown; onStatus: takes the server's answer to a change. */
  constructor(view, { stream, onStatus }) {
    Object.assign(this, { view, stream, onStatus, mode: "overlay", size: null, items: new Map() });
    this.corners = null; // [x, y] in px of the stream while a zone is drawn
    this.pointer = null;
    this.press = null; // where the button went down: {x, y} on the page, and the corner there
    const { canvas } = view;
    canvas.addEventListener("pointerdown", (event) => this.isDrawing && this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.isDrawing && this.onMove(event));
    canvas.addEventListener("pointerup", (event) => this.isDrawing && this.onUp(event));
    canvas.addEventListener("dblclick", () => this.isDrawing && this.finish());
    $("draw-zone").onclick = () => (this.isDrawing ? this.cancel() : this.begin());
    document.addEventListener("keydown", (event) => {
      if (!this.isDrawing || !["Enter", "Escape"].includes(event.key)) return;
      event.preventDefault(); // Enter would press the button that began it
      if (event.key === "Enter") this.finish();
      else this.cancel();
    });
  }

  get isDrawing() {
    return this.corners !== null;
  }

  // ---- drawing

  begin() {
    if (!this.size || this.mode === "points") return toast("Zones are drawn on a picture; choose another view.");
    this.corners = [];
    this.showDrawing();
    toast(HINT);
  }

  cancel() {
    this.corners = this.press = this.pointer = null;
    if ($("toast").textContent === HINT) $("toast").hidden = true;
    this.showDrawing();
  }

  showDrawing() {
    $("draw-zone").setAttribute("aria-pressed", this.isDrawing);
    $("screen").classList.toggle("drawing", this.isDrawing);
    this.drawOutlines();
  }

  /** Returns the corner of the stream's px that is nearest to a point of the page. */
  cornerAt({ clientX, clientY }) {
    const box = this.view.contentBox();
    const width = this.mode === "side" ? box.width / 2 : box.width;
    const across = (clientX - box.left) / width, down = (clientY - box.top) / box.height;
    const u = this.mode === "side" && across >= 1 ? across - 1 : across;
    return [[u, this.size.width], [down, this.size.height]].map(([share, length]) => Math.round(Math.min(1, Math.max(0, share)) * length));
  }

  onDown(event) {
    if (event.button !== 0) return;
    this.view.canvas.setPointerCapture(event.pointerId);
    this.press = { x: event.clientX, y: event.clientY, corner: this.cornerAt(event) };
  }

  onMove(event) {
    this.pointer = this.cornerAt(event);
    this.drawOutlines();
  }

  onUp(event) {
    if (!this.press) return;
    const { x, y, corner } = this.press;
    this.press = null;
    if (Math.hypot(event.clientX - x, event.clientY - y) > CLICK_PX && !this.corners.length) {
      this.corners = boxCorners(corner, this.cornerAt(event));
      return this.finish();
    }
    this.corners.push(corner);
    this.drawOutlines();
  }

  async finish() {
    const corners = withoutRepeats(this.corners);
    this.cancel();
    if (corners.length < 3) return toast("A zone needs three corners, or a box with some width and height.");
    await this.put(this.freeName(), { corners });
  }

  freeName() {
    const names = this.stream().zones.map((zone) => zone.name);
    for (let number = 1; ; number++) if (!names.includes(`zone${number}`)) return `zone${number}`;
  }

  async put(zone, wanted) {
    await reportingErrors(async () => this.onStatus(await api.putZone(this.stream().name, zone, wanted)))();
  }

  // ---- outlines

  /** size: {width, height} of the stream in px. */
  draw(size, mode) {
    [this.size, this.mode] = [size, mode];
    if (this.isDrawing && mode === "points") this.cancel();
    this.drawOutlines();
  }

  /** Draws all outlines, where anything of them has changed. */
  drawOutlines() {
    const isShown = this.size && this.mode !== "points";
    const wanted = isShown ? this.wantedOutlines() : [];
    const key = JSON.stringify([wanted, this.mode, isShown && this.view.contentBox()]);
    if (key === this.drawnKey) return;
    this.drawnKey = key;
    $("zone-layer").replaceChildren(...wanted.flatMap((outline) => this.outline(...outline)));
  }

  /** Returns [corners, class, label] of each outline. */
  wantedOutlines() {
    const zones = this.stream()?.zones ?? [], drawn = this.preview();
    const watched = zones.map((zone) => [zone.corners, zone.occupied ? "occupied" : "", `${zone.name} ${depthWords(zone.nearest, zone)}`]);
    return drawn.length ? [...watched, [drawn, "new", ""]] : watched;
  }

  preview() {
    if (!this.isDrawing) return [];
    if (this.press && this.pointer && !this.corners.length) return boxCorners(this.press.corner, this.pointer);
    return this.pointer ? [...this.corners, this.pointer] : this.corners;
  }

  outline(corners, kind, text) {
    return (this.mode === "side" ? [false, true] : [false]).flatMap((isRight) => {
      const points = corners.map(([x, y]) => this.view.place(x / this.size.width, y / this.size.height, this.mode, isRight));
      const top = points.reduce((a, b) => (b.y < a.y - 0.5 || (Math.abs(b.y - a.y) <= 0.5 && b.x < a.x) ? b : a));
      const line = shape("polygon", { class: kind, points: points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ") });
      const label = shape("text", { x: top.x + 6, y: Math.max(top.y, 0) + 17 });
      label.textContent = text;
      return [line, label];
    });
  }

  // ---- the list

  showList() {
    const { zones } = this.stream();
    $("zones-note").hidden = zones.length > 0;
    for (const [name, item] of this.items) {
      if (zones.some((zone) => zone.name === name)) continue;
      item.row.remove();
      this.items.delete(name);
    }
    for (const zone of zones) {
      if (!this.items.has(zone.name)) this.items.set(zone.name, this.makeItem(zone.name));
      this.showItem(this.items.get(zone.name), zone);
    }
    this.drawOutlines();
  }

  makeItem(name) {
    const title = make("input", { value: name, maxLength: 40, ariaLabel: "Name of the zone", spellcheck: false });
    const value = make("b"), facts = make("span", { className: "note" }), flag = make("code");
    const near = make("input", { type: "number", min: 0, step: "any", placeholder: "auto", ariaLabel: `Depth at which something is in ${name}` });
    const unit = make("span"), plot = shape("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    const remove = make("button", { className: "icon", ariaLabel: `Remove ${name}`, title: "Remove", onclick: reportingErrors(async () => this.onStatus(await api.deleteZone(this.stream().name, name))) }, icon("M5 5l10 10M15 5L5 15"));
    title.onchange = reportingErrors(() => this.rename(name, title.value.trim()));
    near.onchange = () => this.put(name, { corners: this.find(name).corners, near: near.value === "" ? null : Number(near.value) });
    const head = make("div", { className: "zone-head" }, title, value, remove);
    const limit = make("label", {}, "in when nearer than ", near, unit);
    const row = make("li", {}, head, plot, limit, facts, flag);
    row.dataset.zone = name;
    $("zones").append(row);
    return { row, title, value, near, unit, facts, flag, plot };
  }

  find(name) {
    return this.stream().zones.find((zone) => zone.name === name);
  }

  async rename(name, wanted) {
    const { corners, near } = this.find(name);
    if (wanted === name) return;
    if (this.find(wanted)) throw new Error(`There is a zone ${wanted} already.`);
    await api.putZone(this.stream().name, wanted, { corners, near });
    this.onStatus(await api.deleteZone(this.stream().name, name));
  }

  showItem(item, zone) {
    item.row.classList.toggle("occupied", zone.occupied);
    item.value.textContent = depthWords(zone.nearest, zone);
    item.unit.textContent = ` ${zone.unit}`;
    if (document.activeElement !== item.near) item.near.value = zone.near ?? "";
    const trend = zone.trend === null ? "" : `, ${zone.trend > 0 ? "+" : ""}${zone.trend.toFixed(zone.unit === "m" ? 2 : 0)} ${zone.unit}/s`;
    item.facts.textContent = `median ${depthWords(zone.median, zone)}${trend}, entered ${zone.entered}×`;
    item.flag.textContent = `--zone ${zone.text}`;
    plotNearest(item.plot, zone);
  }
}

/** Plots the nearest depth of the last two minutes; 100 %, or the farthest distance of that time, is a tenth below the top. */
function plotNearest(svg, { history, unit, near, name }) {
  const values = history.map(([, value]) => value).filter((value) => value !== null);
  const top = 1.1 * (unit === "m" ? Math.max(1, near ?? 0, ...values) : 100);
  const last = history.at(-1)?.[0] ?? 0;
  const y = (value) => (HEIGHT * (1 - Math.min(1, Math.max(0, value / top)))).toFixed(1);
  const runs = [[]];
  for (const [second, value] of history) {
    if (value === null) runs.push([]);
    else runs.at(-1).push(`${(WIDTH - ((last - second) * WIDTH) / (SECONDS - 1)).toFixed(1)},${y(value)}`);
  }
  const line = (height, kind = "") => shape("line", { class: kind, x1: 0, x2: WIDTH, y1: height, y2: height });
  const limit = near === null ? [] : [line(y(near), "limit")];
  svg.replaceChildren(line(0), line(HEIGHT), ...limit, ...runs.filter((run) => run.length).map((run) => shape("polyline", { class: "p50", points: run.join(" ") })));
  svg.setAttribute("aria-label", `Nearest depth in ${name} over the last two minutes`);
}

function boxCorners([x1, y1], [x2, y2]) {
  const [left, right] = [Math.min(x1, x2), Math.max(x1, x2)], [top, bottom] = [Math.min(y1, y2), Math.max(y1, y2)];
  return right > left && bottom > top ? [[left, top], [right, top], [right, bottom], [left, bottom]] : [];
}

/** Leaves out a corner that is the same as the one before: a double click makes one. */
function withoutRepeats(corners) {
  return corners.filter(([x, y], i) => i === 0 || Math.hypot(x - corners[i - 1][0], y - corners[i - 1][1]) > 1);
}
