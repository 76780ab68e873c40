// Decodes the packets of the server: a header, a JPEG, and depth in codes. See apps/web/packets.py.

export const LEVELS = 4095; // of depth, in equal steps

/** Returns a result: header, picture (ImageBitmap), codes (Uint16Array, 0 = unknown). */
export async function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const begin = 4 + length;
  const jpeg = new Blob([new Uint8Array(buffer, begin, header.picture_bytes)], { type: "image/jpeg" });
  const packed = new Uint8Array(buffer, begin + header.picture_bytes, header.depth_bytes);
  const [picture, bytePlanes] = await Promise.all([createImageBitmap(jpeg), inflate(packed)]);
  const { depth_size: [columns, rows], depth_low: low, depth_step: step } = header;
  return { header, picture, codes: decodeCodes(bytePlanes, columns, rows), columns, rows, low, step };
}

async function inflate(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function decodeCodes(bytePlanes, columns, rows) {
  const size = columns * rows;
  const codes = new Uint16Array(size);
  for (let y = 0, i = 0; y < rows; y++) {
    let code = 0;
    for (let x = 0; x < columns; x++, i++) {
      const zigzag = bytePlanes[i] | (bytePlanes[size + i] << 8);
      code += (zigzag >>> 1) ^ -(zigzag & 1);
      codes[i] = code;
    }
  }
  return codes;
}

/** Returns the depth at a point, u and v from 0 to 1; null where it is unknown. */
export function depthAt(result, u, v) {
  const x = Math.min(result.columns - 1, Math.floor(u * result.columns));
  const y = Math.min(result.rows - 1, Math.floor(v * result.rows));
  const code = result.codes[y * result.columns + x];
  return code ? result.low + (code - 1) * result.step : null;
}

/** Returns a table from code to nearness, 0 (far) to 1 (near), by the range to display. */
export function nearness(result) {
  const [low, high] = result.header.range;
  const span = Math.max(high - low, 1e-12);
  const isMetric = result.header.kind === "metric";
  const table = new Float32Array(LEVELS + 1);
  for (let code = 1; code <= LEVELS; code++) {
    const share = (result.low + (code - 1) * result.step - low) / span;
    table[code] = Math.min(1, Math.max(0, isMetric ? 1 - share : share));
  }
  return table;
}
