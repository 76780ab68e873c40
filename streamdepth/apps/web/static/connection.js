// The WebSocket of one stream: receives pictures and the status, sends "ready", and reconnects by itself.

import { unpack } from "./packets.js";

const MIN_RETRY_MS = 500, MAX_RETRY_MS = 5000;
const SILENCE_MS = 6000; // a status comes every second: after so long without any message the server is out of reach

export class StreamConnection {
  /** callbacks: {onResult(result) -> Promise, onStatus(status), onLinkChanged(isUp, reason)} */
  constructor(name, detail, callbacks) {
    this.callbacks = callbacks;
    this.address = socketAddress(`api/streams/${name}/live?detail=${detail}`);
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
    socket.onmessage = ({ data }) => {
      this.expectMessage();
      typeof data === "string" ? this.callbacks.onStatus(JSON.parse(data)) : this.show(data);
    };
    socket.onclose = ({ code, reason }) => this.onClosed(code, reason);
    this.expectMessage();
  }

  /** Gives up a socket that stays silent: a network that is gone closes nothing. */
  expectMessage() {
    const { socket } = this;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
      this.onClosed(1006, "");
    }, SILENCE_MS);
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
    clearTimeout(this.silence);
    if (this.isClosed) return;
    this.callbacks.onLinkChanged(false, code === 4429 ? reason : "");
    if (code === 4404 || (await tokenIsRefused())) return location.reload(); // the server has other streams now
    setTimeout(() => this.isClosed || this.open(), this.retryMs * (0.5 + Math.random() / 2));
    this.retryMs = Math.min(2 * this.retryMs, MAX_RETRY_MS);
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.silence);
    this.socket.close();
  }
}

/** path: relative to the page, which may lie behind a proxy's sub-path. */
export function socketAddress(path) {
  return new URL(path, document.baseURI).href.replace(/^http/, "ws");
}

async function tokenIsRefused() {
  try {
    return (await fetch("api/colormaps", { signal: AbortSignal.timeout(SILENCE_MS) })).status === 401;
  } catch {
    return false; // the server is not there
  }
}
