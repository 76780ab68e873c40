// Shows results on the page: as a picture, depth, both or 3D, with the legend of the colors and the depth at a point.

import { $, make, toast } from "./dom.js";
import { DepthReadout } from "./depth_readout.js";
import { PictureView } from "./picture_view.js";
import { preferences, remember } from "./preferences.js";

const VIEWS = { picture: "Picture", overlay: "Overlay", depth: "Depth", side: "Both", wipe: "Wipe", points: "3D" };

export class DepthScreen {
  /** onViewChanged(): called after another view was chosen. onDrawn(): called after a result was drawn. */
  constructor(onViewChanged = () => {}, onDrawn = () => {}) {
    Object.assign(this, { onViewChanged, onDrawn });
    this.pictureView = new PictureView($("picture-canvas"));
    this.readout = new DepthReadout(this.pictureView, $("depth-readout"));
    this.pointView = null;
    this.hasHeadset = false;
    this.result = null; // see packets.js
    this.mode = preferences.view in VIEWS ? preferences.view : "overlay";
  }

  /** Makes the buttons of the views, and shows the view of the last visit. */
  start() {
    this.listen();
    this.makeViews();
    this.setWipe(preferences.wipe);
    this.setMode(this.mode);
  }

  /** Shows a result instead of the one before; null shows none. */
  show(result) {
    if (result?.picture !== this.result?.picture) this.result?.picture.close();
    this.result = result;
    this.draw();
  }

  /** Takes the 3D view to its first point of view with the next result, which comes from another camera. */
  resetEye() {
    this.pointView?.resetEye();
  }

  /** Calls back before the next frame is shown; while a headset is worn, browsers draw nothing on the page. */
  onNextFrame(draw) {
    (this.pointView?.session ?? window).requestAnimationFrame(draw);
  }

  draw() {
    const { result, mode } = this;
    if (!result) return;
    const width = (mode === "side" ? 2 : 1) * result.header.width;
    $("screen").style.setProperty("--shape", `${width} / ${result.header.height}`);
    $("screen").dataset.frame = result.header.index; // for tests
    if (mode === "points") this.pointView?.draw(result);
    else this.pictureView.draw(result, mode, $("controls").alpha.value / 100);
    this.showLegend();
    this.readout.show(result, mode);
    this.onDrawn();
  }

  /** colors: 256 of #rrggbb, far first. */
  setColors(colors) {
    this.pictureView.setColors(colors);
    const context = $("legend-bar").getContext("2d");
    colors.forEach((color, i) => {
      context.fillStyle = color;
      context.fillRect(255 - i, 0, 1, 1);
    });
    this.draw();
  }

  /** Chooses the view of this number, counted from 0; does nothing if there is none. */
  pickNumber(number) {
    const view = Object.keys(VIEWS)[number];
    if (view) this.pick(view);
  }

  pick(view) {
    $(`view-${view}`).checked = true;
    this.setMode(view);
  }

  async setMode(next) {
    this.mode = next;
    remember({ view: next });
    const is3d = next === "points";
    if (is3d && !(await this.makePointView())) return this.pick("overlay");
    $("picture-canvas").hidden = is3d;
    $("points-canvas").hidden = !is3d;
    $("wipe").hidden = next !== "wipe";
    this.draw();
    this.onViewChanged();
  }

  async makePointView() {
    try {
      const { PointView } = await import("./point_view.js");
      if (this.pointView) return this.pointView;
      this.pointView = new PointView($("points-canvas"));
      this.hasHeadset = await PointView.hasHeadset();
    } catch (error) {
      toast(`3D cannot be shown here: ${error.message}`);
    }
    return this.pointView;
  }

  makeViews() {
    for (const [view, label] of Object.entries(VIEWS)) {
      const input = make("input", { type: "radio", name: "view", value: view, id: `view-${view}`, checked: view === this.mode });
      input.onchange = () => this.setMode(view);
      $("views").append(make("label", {}, input, make("span", label)));
    }
  }

  showLegend() {
    const { mode } = this;
    const { kind, range: [low, high] } = this.result.header;
    const isMetric = kind === "metric";
    $("legend-near").textContent = isMetric ? DepthReadout.meters(low) : "near";
    $("legend-far").textContent = isMetric ? DepthReadout.meters(high) : "far";
    $("legend-note").textContent = isMetric ? "" : "relative, no unit";
    $("legend").hidden = mode === "picture" || mode === "points";
    $("hint").hidden = $("reset-3d").hidden = mode !== "points";
    $("headset").hidden = mode !== "points" || !this.hasHeadset;
    $("divider").hidden = mode !== "wipe";
    $("divider").style.left = `${this.pictureView.place(this.pictureView.wipe, 0, mode).x}px`;
  }

  setWipe(share) {
    this.pictureView.wipe = Math.min(1, Math.max(0, share));
    remember({ wipe: this.pictureView.wipe });
    $("wipe").value = 100 * this.pictureView.wipe;
    this.draw();
  }

  listen() {
    $("wipe").oninput = () => this.setWipe($("wipe").value / 100);
    $("picture-canvas").addEventListener("pointermove", (event) => {
      const at = this.mode === "wipe" && event.buttons && !$("screen").classList.contains("drawing") ? this.pictureView.locate(event.clientX, event.clientY, this.mode) : null;
      if (at) this.setWipe(at.u);
    });
    $("controls").alpha.oninput = () => this.draw();
    $("reset-3d").onclick = () => {
      this.resetEye();
      this.draw();
    };
    $("headset").onclick = async () => {
      try {
        await this.pointView.enterHeadset();
      } catch (error) {
        toast(`The headset cannot be used: ${error.message}. The 3D view stays here.`);
      }
    };
    addEventListener("resize", () => this.draw());
  }
}
