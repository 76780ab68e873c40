// Draws the picture, its depth, or both on a 2D canvas.

import { nearness } from "./packets.js";

export class PictureView {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.depthCanvas = document.createElement("canvas");
    this.colors = null;
    this.wipe = 0.5;
  }

  /** colors: 256 of #rrggbb, far first. */
  setColors(colors) {
    this.colors = Uint32Array.from(colors, (c) => {
      const n = parseInt(c.slice(1), 16);
      return (0xff000000 | ((n & 0xff) << 16) | (n & 0xff00) | (n >> 16)) >>> 0;
    });
  }

  /** alpha: how much of the colors covers the picture in an overlay, from 0 to 1. */
  draw(result, mode, alpha) {
    const { picture } = result;
    const w = picture.width, h = picture.height;
    const isDouble = mode === "side";
    this.resize(isDouble ? 2 * w : w, h);
    if (mode !== "depth") this.context.drawImage(picture, 0, 0);
    if (mode === "picture" || !this.colors) return;
    this.colorize(result);
    this.context.globalAlpha = mode === "overlay" ? alpha : 1;
    this.context.imageSmoothingQuality = "high";
    const left = isDouble ? w : 0;
    this.context.save();
    if (mode === "wipe") {
      this.context.beginPath();
      this.context.rect(this.wipe * w, 0, w, h);
      this.context.clip();
    }
    this.context.drawImage(this.depthCanvas, left, 0, w, h);
    this.context.restore();
    this.context.globalAlpha = 1;
  }

  resize(width, height) {
    if (this.canvas.width === width && this.canvas.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
  }

  colorize(result) {
    const { depthCanvas } = this;
    if (depthCanvas.width !== result.columns || depthCanvas.height !== result.rows) {
      depthCanvas.width = result.columns;
      depthCanvas.height = result.rows;
    }
    const context = depthCanvas.getContext("2d");
    const image = context.createImageData(result.columns, result.rows);
    const pixels = new Uint32Array(image.data.buffer);
    const table = Uint32Array.from(nearness(result), (near) => this.colors[Math.round(near * 255)]);
    table[0] = 0xff000000;
    for (let i = 0; i < pixels.length; i++) pixels[i] = table[result.codes[i]];
    context.putImageData(image, 0, 0);
  }

  /** Returns the position in the picture (u, v from 0 to 1) of a point of the page; null outside. */
  locate(clientX, clientY, mode) {
    const box = this.contentBox();
    let u = (clientX - box.left) / box.width;
    const v = (clientY - box.top) / box.height;
    if (u < 0 || u >= 1 || v < 0 || v >= 1) return null;
    if (mode === "side") u = (2 * u) % 1;
    return { u, v };
  }

  /** Returns the position of a point of the picture, in px of the canvas element. */
  place(u, v, mode, isRight) {
    const box = this.contentBox();
    const outer = this.canvas.getBoundingClientRect();
    const share = mode === "side" ? (u + (isRight ? 1 : 0)) / 2 : u;
    return { x: box.left - outer.left + share * box.width, y: box.top - outer.top + v * box.height };
  }

  /** Returns the drawn part of the element, without the bars that object-fit leaves. */
  contentBox() {
    const outer = this.canvas.getBoundingClientRect();
    const scale = Math.min(outer.width / this.canvas.width, outer.height / this.canvas.height);
    const width = this.canvas.width * scale, height = this.canvas.height * scale;
    return { left: outer.left + (outer.width - width) / 2, top: outer.top + (outer.height - height) / 2, width, height };
  }
}
