// The list of recordings and snapshots, a player for them, and their deletion.

import * as api from "./api.js";
import { $, confirmed, icon, make, reportingErrors } from "./dom.js";

const BIN = "M4 6h12M8 6V4h4v2M6 6l1 10h6l1-10";
const dialog = $("player");

export async function showFiles() {
  const { files, folder } = await api.files();
  $("files-note").textContent = files.length ? `In the folder ${folder} of the server.`
    : `Snapshots and recordings appear here; the server keeps them in its folder ${folder}.`;
  $("files").replaceChildren(...files.filter((file) => !file.name.endsWith(".json")).map(row));
}

function row({ name, bytes }) {
  const canBeShown = /\.(mp4|png|jpg)$/.test(name) && !name.endsWith("_depth.png");
  const opener = canBeShown ? make("button", { type: "button", textContent: name, title: name, onclick: () => open(name) }) : link(name);
  const remove = make("button", { type: "button", className: "icon", title: "Delete", onclick: reportingErrors(() => deleteFile(name)) }, icon(BIN));
  remove.setAttribute("aria-label", `Delete ${name}`);
  return make("li", {}, opener, make("small", sizeOf(bytes)), remove);
}

const sizeOf = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const addressOf = (name) => `api/files/${encodeURIComponent(name)}`;
const link = (name) => make("a", { href: addressOf(name), download: name, textContent: name, title: name });

async function deleteFile(name) {
  if (!(await confirmed(`Delete ${name}? It cannot be brought back.`, "Delete"))) return;
  try {
    await api.deleteFile(name);
  } finally {
    await showFiles();
  }
}

function open(name) {
  const src = addressOf(name);
  const isVideo = name.endsWith(".mp4");
  const shown = isVideo ? make("video", { src, controls: true, autoplay: true, muted: true }) : make("img", { src, alt: name });
  $("player-body").replaceChildren(shown, make("p", {}, link(name)));
  dialog.showModal();
}

dialog.addEventListener("close", () => $("player-body").replaceChildren());
