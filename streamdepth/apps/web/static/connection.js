// The WebSocket of one stream: receives pictures and the status, sends "ready", and reconnects by itself.

import { unpack } from "./packets.js";

const MIN_RETRY_MS = 500, MAX_RETRY_MS = 5000;

export class StreamConnection {
  /** callbacks: {onResult(result) -> Promise, onStatus(status), onLinkChanged(isUp, reason)} */
  constructor(name, detail, callbacks) {
    this.callbacks = callbacks;
    this.address = socketAddress(`/api/streams/${name}/live?detail=${detail}`);
    this.retryMs = MIN_RETRY_MS;
    this.isClosed = false;
    this.previous = Promise.resolve(); // resolved when the picture before is on the screen, or could not be shown
    this.open();
  }

  open() {
    const socket = (this.socket = new WebSocket(this.address));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.retryMs = MIN_RETRY_MS;
      this.callbacks.onLinkChanged(true, "");
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.callbacks.onStatus(JSON.parse(data)) : this.show(data));
    socket.onclose = ({ code, reason }) => this.onClosed(code, reason);
  }

  /** Unpacks a packet at once, but shows it only after the one before: a small one is often unpacked first. */
  show(data) {
    const { socket, previous } = this;
    const unpacked = unpack(data);
    this.previous = previous.catch(() => {}).then(async () => {
      try {
        const result = await unpacked;
        await (this.isClosed ? result.picture.close() : this.callbacks.onResult(result));
      } finally {
        if (socket.readyState === WebSocket.OPEN) socket.send("ready");
      }
    });
  }

  async onClosed(code, reason) {
    if (this.isClosed) return;
    this.callbacks.onLinkChanged(false, code === 4429 ? reason : "");
    if (code === 4404 || (await tokenIsRefused())) return location.reload(); // the server has other streams now
    setTimeout(() => this.isClosed || this.open(), this.retryMs * (0.5 + Math.random() / 2));
    this.retryMs = Math.min(2 * this.retryMs, MAX_RETRY_MS);
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
