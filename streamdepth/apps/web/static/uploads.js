// Videos that are dropped on the page: their upload, and the progress of their conversion.

import * as api from "./api.js";
import { $, confirmed, make, reportingErrors, toast } from "./dom.js";
import { showFiles } from "./files.js";

const POLL_MS = 1000, RETRY_MS = 2000, IDLE_MS = 10_000;
const ENDED = ["done", "failed", "canceled"];

let maxBytes = 0;
let timer = 0;
let nameOfStream = () => "";
let sent = []; // uploads of this page: {id, name, state, share, request}
let known = []; // conversions that the server has told of

/** streamName(): the stream whose look the results get. */
export async function startUploads(streamName) {
  nameOfStream = streamName;
  $("upload").onchange = reportingErrors(async ({ target }) => {
    const files = [...target.files];
    target.value = "";
    await uploadAll(files);
  });
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) addEventListener(kind, onDrag);
  await showConversions();
}

function onDrag(event) {
  if (!maxBytes || !event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  const isLeaving = event.type === "dragleave" && !event.relatedTarget;
  $("drop").hidden = event.type === "drop" || isLeaving;
  if (event.type === "drop") reportingErrors(uploadAll)([...event.dataTransfer.files]);
}

async function uploadAll(files) {
  $("panel-files").open = true;
  const large = files.find((file) => file.size > maxBytes);
  if (large) throw new Error(`${large.name} is too large: a video of at most ${Math.floor(maxBytes / 1e6)} MB may be uploaded.`);
  for (const file of files) await upload(file);
}

async function upload(file) {
  const request = new XMLHttpRequest(); // fetch does not tell how far an upload is
  const entry = { id: `${file.name} ${Date.now()}`, name: file.name, state: "uploading", share: 0, request };
  sent.push(entry);
  request.upload.onprogress = ({ loaded }) => {
    entry.share = loaded / file.size;
    showRows();
  };
  try {
    await api.convert(request, file, nameOfStream());
  } finally {
    sent = sent.filter((other) => other !== entry);
    await showConversions();
  }
}

async function showConversions() {
  showLater(RETRY_MS); // if the server is out of reach
  const { conversions, max_upload_bytes } = await api.conversions();
  maxBytes = max_upload_bytes;
  $("upload-box").hidden = !maxBytes;
  const before = new Map(known.map(({ id, state }) => [id, state]));
  known = conversions;
  for (const { id, name, state, reason } of known.filter(({ id, state }) => before.has(id) && before.get(id) !== state)) {
    if (state === "done") toast(`${name} is converted; it is among the files.`);
    if (state === "failed") toast(`${name}: ${reason}`);
    if (ENDED.includes(state)) await showFiles();
  }
  showRows();
  showLater(known.some(({ state }) => !ENDED.includes(state)) ? POLL_MS : IDLE_MS);
}

function showLater(delayMs) {
  clearTimeout(timer);
  timer = setTimeout(() => showConversions().catch(() => {}), delayMs);
}

/** Makes the rows anew when one comes, goes or changes its state; else only their bars move, and the focus stays. */
function showRows() {
  const shown = [...sent, ...known.filter(({ state }) => state !== "done" && state !== "uploading")];
  const key = JSON.stringify(shown.map(({ id, state }) => [id, state]));
  if ($("uploads").dataset.key !== key) $("uploads").replaceChildren(...shown.map(row));
  $("uploads").dataset.key = key;
  shown.forEach(({ share, state, reason }, i) => {
    const item = $("uploads").children[i];
    const isMoving = share !== null && !ENDED.includes(state);
    item.querySelector("small").textContent = reason || (isMoving ? `${state} ${Math.round(100 * share)} %` : state);
    if (isMoving) item.querySelector("progress").value = share;
  });
}

function row({ id, name, state, request }) {
  const bar = make("progress", { max: 1, hidden: ENDED.includes(state) });
  bar.setAttribute("aria-label", `Progress of ${name}`);
  const remove = make("button", { type: "button", className: "icon", title: "Cancel", textContent: "✕" });
  remove.setAttribute("aria-label", `Cancel ${name}`);
  remove.onclick = reportingErrors(async () => {
    if (request) return request.abort();
    if (!ENDED.includes(state) && !(await confirmed(`Cancel the conversion of ${name}?`, "Cancel it"))) return;
    await api.cancelConversion(id);
    await showConversions();
  });
  return make("li", {}, make("div", {}, make("span", name), make("small"), bar), remove);
}
