// What the server packs: a header, a JPEG, and depth in codes. See sinks/web/packets.py.

const LEVELS = 4095;

/** A shown result: header, picture (ImageBitmap), codes (Uint16Array, 0 = unknown). */
export async function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const begin = 4 + length;
  const jpeg = new Blob([new Uint8Array(buffer, begin, header.picture)], { type: "image/jpeg" });
  const packed = new Uint8Array(buffer, begin + header.picture, header.depth);
  const [picture, planes] = await Promise.all([createImageBitmap(jpeg), inflate(packed)]);
  const [columns, rows, low, step] = header.map;
  return { header, picture, codes: unfold(planes, columns, rows), columns, rows, low, step };
}

async function inflate(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function unfold(planes, columns, rows) {
  const size = columns * rows;
  const codes = new Uint16Array(size);
  for (let y = 0, i = 0; y < rows; y++) {
    let code = 0;
    for (let x = 0; x < columns; x++, i++) {
      const folded = planes[i] | (planes[size + i] << 8);
      code += (folded >>> 1) ^ -(folded & 1);
      codes[i] = code;
    }
  }
  return codes;
}

/** The depth at a point, u and v from 0 to 1; null where unknown. */
export function depthAt(shot, u, v) {
  const x = Math.min(shot.columns - 1, Math.floor(u * shot.columns));
  const y = Math.min(shot.rows - 1, Math.floor(v * shot.rows));
  const code = shot.codes[y * shot.columns + x];
  return code ? shot.low + (code - 1) * shot.step : null;
}

/** From code to a number between 0 (far) and 1 (near), by the range to display. */
export function nearness(shot) {
  const [low, high] = shot.header.range;
  const span = Math.max(high - low, 1e-12);
  const isMetric = shot.header.kind === "metric";
  const table = new Float32Array(LEVELS + 1);
  for (let code = 1; code <= LEVELS; code++) {
    const share = (shot.low + (code - 1) * shot.step - low) / span;
    table[code] = Math.min(1, Math.max(0, isMetric ? 1 - share : share));
  }
  return table;
}
