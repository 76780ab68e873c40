// Runs the model beside the page, so that the page never waits: pictures come in as messages, depth goes out.

import { shrink } from "./shrink.js";

const MAX_THREADS = 8;
const at = (path) => new URL(`../${path}`, import.meta.url);

const sessions = new Map(); // by the size of the input
let card, model, engine, ort;
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true });

const actions = { load, estimate };

onmessage = async ({ data: { id, action, given } }) => {
  try {
    const { transfer = [], ...result } = await actions[action](given);
    postMessage({ id, result }, transfer);
  } catch (error) {
    postMessage({ id, error: error.message });
  }
};

/** Loads the model and its runtime. Returns the size of the model and what it runs on. */
async function load() {
  card = await (await get("model/card.json")).json();
  model = new Uint8Array(await (await get("model/nano.onnx")).arrayBuffer());
  await startEngine((await hasGpu()) ? "webgpu" : "wasm");
  return { size: card.spec.size[0], ...facts() };
}

async function get(path) {
  const answer = await fetch(at(path));
  if (!answer.ok) throw new Error(`${path} cannot be loaded: ${answer.status} ${answer.statusText}`);
  return answer;
}

/** A GPU that the browser only imitates is slower than WebAssembly. */
async function hasGpu() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter));
}

/** Threads need memory that they share, which browsers give to isolated pages only. */
async function startEngine(name) {
  engine = name;
  sessions.clear();
  ort = await import(at(`onnxruntime-web/ort.${name}.js`));
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(MAX_THREADS, navigator.hardwareConcurrency) : 1;
}

const facts = () => ({ engine, threads: ort.env.wasm.numThreads });

/**
 * Estimates the depth of a picture.
 *
 * picture: an ImageBitmap, which comes back with the result. size: the short side of the network's input in px.
 * Returns depth (Float32Array, near is large), its columns and rows, and the milliseconds that it took.
 */
async function estimate({ picture, size }) {
  const begin = performance.now();
  const [width, height] = inputSize(picture, size);
  const input = normalize(shrink(pixelsOf(picture), width, height), width, height);
  const depth = await infer(input, width, height);
  const milliseconds = performance.now() - begin;
  return { picture, depth, columns: width, rows: height, milliseconds, ...facts(), transfer: [picture, depth.buffer] };
}

/** As InputSpec.output_size does in Python, which rounds halves to the even number. */
function inputSize({ width, height }, size) {
  const { multiple, max_long_side: longest } = card.spec;
  const scale = Math.min(size / Math.min(width, height), longest / Math.max(width, height));
  return [width, height].map((side) => Math.max(1, roundHalfToEven((side * scale) / multiple)) * multiple);
}

function roundHalfToEven(value) {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

function pixelsOf(picture) {
  [canvas.width, canvas.height] = [picture.width, picture.height];
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, picture.width, picture.height);
}

/** Returns the three colors one after the other, as the network wants them. */
function normalize(colors, width, height) {
  const { mean, std, rescale } = card.spec;
  const size = width * height, input = new Float32Array(3 * size);
  for (let c = 0; c < 3; c++)
    for (let i = 0; i < size; i++) input[c * size + i] = (Math.round(colors[3 * i + c]) * rescale - mean[c]) / std[c];
  return input;
}

async function infer(input, width, height) {
  try {
    return await run(input, width, height);
  } catch (error) {
    if (engine === "wasm") throw error;
    await startEngine("wasm"); // the GPU cannot run it
    return run(input, width, height);
  }
}

async function run(input, width, height) {
  const session = await sessionFor(width, height);
  const outputs = await session.run({ pixels: new ort.Tensor("float32", input, [1, 3, height, width]) });
  const [depth] = Object.values(outputs);
  return new Float32Array(await depth.getData());
}

async function sessionFor(width, height) {
  const key = `${width}x${height}`;
  if (!sessions.has(key)) {
    for (const session of sessions.values()) await session.release();
    sessions.clear(); // one at a time: each holds the weights
    sessions.set(key, await ort.InferenceSession.create(model, { executionProviders: [engine], freeDimensionOverrides: { height, width } }));
  }
  return sessions.get(key);
}
