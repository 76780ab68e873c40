// Makes of depth what the page shows: the same results as the server's packets are unpacked to (static/packets.js).

import { LEVELS } from "../static/packets.js";

/** picture: ImageBitmap; depth: Float32Array, relative, near is large; range: [low, high] to display. */
export function makeResult({ picture, depth, columns, rows, range, index }) {
  const { codes, low, step } = quantize(depth);
  const header = { kind: "relative", range, width: picture.width, height: picture.height, index };
  return { header, picture, codes, columns, rows, low, step };
}

/** Returns codes from 1 to LEVELS, the value of code 1, and the step from code to code; unknown depth becomes 0. */
function quantize(depth) {
  let low = Infinity, high = -Infinity;
  for (const value of depth)
    if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const step = (high - low) / (LEVELS - 1) || 1;
  const codes = Uint16Array.from(depth, (value) => (Number.isFinite(value) ? (value - low) / step + 1.5 : 0));
  return { codes, low, step };
}
