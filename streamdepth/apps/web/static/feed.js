// The connection to one stream: pictures and status in, "ready" out; comes back by itself.

import { unpack } from "./packets.js";

const FIRST_WAIT = 500, LONGEST_WAIT = 5000; // ms

export class Feed {
  /** on: {shot(shot) -> Promise, status(status), link(isUp, reason)} */
  constructor(name, detail, on) {
    this.on = on;
    this.address = socketAddress(`/api/streams/${name}/live?detail=${detail}`);
    this.wait = FIRST_WAIT;
    this.isClosed = false;
    this.shown = Promise.resolve(); // done when the picture that came last is on the screen, or is none
    this.open();
  }

  open() {
    const socket = (this.socket = new WebSocket(this.address));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.wait = FIRST_WAIT;
      this.on.link(true, "");
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.on.status(JSON.parse(data)) : this.show(data));
    socket.onclose = ({ code, reason }) => this.lost(code, reason);
  }

  /** Unpacks it at once, and shows it after the one before: the smaller of two is often unpacked first. */
  show(data) {
    const { socket, shown: before } = this;
    const unpacked = unpack(data);
    this.shown = before.catch(() => {}).then(async () => {
      try {
        const shot = await unpacked;
        await (this.isClosed ? shot.picture.close() : this.on.shot(shot));
      } finally {
        if (socket.readyState === WebSocket.OPEN) socket.send("ready");
      }
    });
  }

  async lost(code, reason) {
    if (this.isClosed) return;
    this.on.link(false, code === 4429 ? reason : "");
    if (code === 4404 || (await tokenIsRefused())) return location.reload(); // the server has other streams now
    setTimeout(() => this.isClosed || this.open(), this.wait * (0.5 + Math.random() / 2));
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }

  close() {
    this.isClosed = true;
    this.socket.close();
  }
}

export function socketAddress(path) {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}

async function tokenIsRefused() {
  try {
    return (await fetch("/api/colormaps")).status === 401;
  } catch {
    return false; // the server is not there
  }
}
