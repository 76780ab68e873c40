// Brings a picture to the network's size as streamdepth does in Python (core/resize.py), to about one gray level.

/**
 * Returns the picture at width x height, three floats (red, green, blue, 0 to 255) for each pixel.
 *
 * pixels: {data, width, height} with four bytes for each pixel, as a canvas gives them.
 */
export function shrink(pixels, width, height) {
  const mixes = chooseMixes(pixels, width, height);
  return mixColumns(mixRows(pixels, mixes.vertical), pixels.width, height, mixes.horizontal);
}

function chooseMixes({ width: from_w, height: from_h }, width, height) {
  const mix = from_w > 2 * width && from_h > 2 * height ? doubleThenHalve : from_w > width || from_h > height ? average : interpolate;
  return { horizontal: mix(from_w, width), vertical: mix(from_h, height) };
}

/** Each mix is, for every output, the list of [index, weight] of the inputs that it is made of. */
function interpolate(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const at = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    const first = Math.floor(at), share = at - first;
    return share ? [[first, 1 - share], [first + 1, share]] : [[first, 1]];
  });
}

function doubleThenHalve(from, to) {
  const fine = interpolate(from, 2 * to);
  return Array.from({ length: to }, (_, i) => [...fine[2 * i], ...fine[2 * i + 1]].map(([index, weight]) => [index, weight / 2]));
}

function average(from, to) {
  if (from <= to) return interpolate(from, to);
  const scale = from / to;
  return Array.from({ length: to }, (_, i) => {
    const begin = i * scale, end = Math.min((i + 1) * scale, from), mix = [];
    for (let index = Math.floor(begin); index < end; index++) {
      const share = Math.min(index + 1, end) - Math.max(index, begin);
      if (share > 1e-6) mix.push([index, share / scale]);
    }
    return mix;
  });
}

function mixRows({ data, width }, mix) {
  const mixed = new Float32Array(mix.length * width * 4);
  mix.forEach((parts, y) => {
    const row = mixed.subarray(y * width * 4, (y + 1) * width * 4);
    for (const [index, weight] of parts)
      for (let i = 0, j = index * width * 4; i < row.length; i++, j++) row[i] += weight * data[j];
  });
  return mixed;
}

function mixColumns(rows, width, height, mix) {
  const mixed = new Float32Array(height * mix.length * 3);
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < mix.length; x++, to += 3)
      for (const [index, weight] of mix[x]) {
        const from = (y * width + index) * 4;
        for (let c = 0; c < 3; c++) mixed[to + c] += weight * rows[from + c];
      }
  return mixed;
}
