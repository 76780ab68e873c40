// The range of depth to display, as streamdepth finds it in Python (core/ranges.py, stabilizers/range.py).

const SAMPLE_PIXELS = 5000;
const GROW_SECONDS = 0.08, SHRINK_SECONDS = 4, HOLD_SECONDS = 1.5, TOLERANCE = 0.03;
const MAX_GAP_SECONDS = 5; // longer than in Python, because a slow browser gives one picture in a second

/** Returns the values below which the shares of all lie. step: takes each step-th pixel of each step-th row. */
export function robustRange(depth, columns, rows, [lowShare, highShare], step = 1) {
  const values = [];
  for (let y = 0; y < rows; y += step)
    for (let x = 0; x < columns; x += step) values.push(depth[y * columns + x]);
  const sorted = Float32Array.from(values).sort();
  return [lowShare, highShare].map((share) => sorted[Math.round((sorted.length - 1) * share)]);
}

/** Returns the range of a single picture. */
export const displayRange = (depth, columns, rows) => robustRange(depth, columns, rows, [0.01, 0.99]);

/** Follows the range of a video: quick to grow, slow to shrink, and only after a calm time. */
export class RangeTracker {
  constructor() {
    this.reset();
  }

  reset() {
    this.range = null;
    this.time = this.secondsSinceGrowth = 0;
  }

  /** Returns the range to display. time: of the picture, in seconds. */
  push(depth, columns, rows, time) {
    const seconds = time - this.time;
    const step = Math.max(1, Math.floor(Math.sqrt(Math.floor(depth.length / SAMPLE_PIXELS))));
    const current = robustRange(depth, columns, rows, [0.02, 0.98], step);
    this.time = time;
    if (this.range && seconds >= 0 && seconds <= MAX_GAP_SECONDS) this.range = this.follow(this.range, current, seconds);
    else [this.range, this.secondsSinceGrowth] = [current, 0];
    return this.range;
  }

  follow([low, high], current, seconds) {
    const width = Math.max(high - low, 1e-12);
    const excess = [(low - current[0]) / width, (current[1] - high) / width];
    this.secondsSinceGrowth = Math.max(...excess) > TOLERANCE ? 0 : this.secondsSinceGrowth + seconds;
    return [low - width * this.outwardStep(excess[0], seconds), high + width * this.outwardStep(excess[1], seconds)];
  }

  /** Returns how far an end moves outwards when its percentile lies `excess` beyond it, in shares of the range. */
  outwardStep(excess, seconds) {
    const beyond = Math.abs(excess) - TOLERANCE;
    if (beyond <= 0 || (excess < 0 && this.secondsSinceGrowth < HOLD_SECONDS)) return 0;
    if (excess < 0) return -beyond * (1 - Math.exp(-seconds / SHRINK_SECONDS));
    return beyond * (1 - Math.exp((-seconds / GROW_SECONDS) * Math.min(1, beyond)));
  }
}
