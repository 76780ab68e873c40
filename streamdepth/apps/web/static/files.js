// The list of recordings and snapshots, and a player for them.

import * as api from "./api.js";

const list = document.getElementById("files");
const dialog = document.getElementById("player");
const body = document.getElementById("player-body");

export async function showFiles() {
  const files = await api.files();
  document.getElementById("no-files").hidden = files.length > 0;
  list.replaceChildren(...files.filter((file) => !file.name.endsWith(".json")).map(row));
}

function row({ name, bytes }) {
  const item = document.createElement("li");
  const address = `/api/files/${encodeURIComponent(name)}`;
  item.append(/\.(mp4|png|jpg)$/.test(name) && !name.endsWith("_depth.png") ? opener(name, address) : link(name, address));
  const size = document.createElement("small");
  size.textContent = bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  item.append(size);
  return item;
}

function opener(name, address) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = button.title = name;
  button.onclick = () => open(name, address);
  return button;
}

function link(name, address) {
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = anchor.textContent = anchor.title = name;
  return anchor;
}

function open(name, address) {
  const isVideo = name.endsWith(".mp4");
  const shown = document.createElement(isVideo ? "video" : "img");
  Object.assign(shown, isVideo ? { src: address, controls: true, autoplay: true, muted: true } : { src: address, alt: name });
  const save = document.createElement("p");
  save.append(link(name, address));
  body.replaceChildren(shown, save);
  dialog.showModal();
}

dialog.addEventListener("close", () => body.replaceChildren());
