// Sends the pictures of this device's camera to the server, one at a time.

import { socketAddress } from "./connection.js";

const MAX_SIDE_PX = 960, QUALITY = 0.8;

export class BrowserCamera {
  /** onChanged(reason): called when the camera goes on or off; the reason is empty unless it ended by itself. */
  constructor(video, onChanged) {
    [this.video, this.onChanged] = [video, onChanged];
    this.canvas = document.createElement("canvas");
    this.media = this.socket = null;
    this.isBusy = false; // the camera is asked for
  }

  get isOn() {
    return this.socket !== null;
  }

  /** Asks for the camera and starts to send. facing: "environment" or "user". Throws an Error with a message for the user. */
  async start(name, facing) {
    if (!navigator.mediaDevices)
      throw new Error("Browsers give a camera to pages of this machine or over HTTPS only.\n" +
        "Open http://localhost on the machine itself, or start the server with --certificate and --key.");
    if (this.isBusy || this.isOn) return;
    await this.openCamera({ facingMode: facing });
    const socket = (this.socket = new WebSocket(socketAddress(`api/streams/${name}/camera`)));
    socket.onopen = socket.onmessage = () => this.send(socket);
    socket.onclose = ({ reason }) => {
      if (this.socket !== socket) return;
      this.stop();
      this.onChanged(reason);
    };
    this.onChanged("");
  }

  /** Takes the camera that faces the other way; where the device does not know that, its next camera. Returns the way. */
  async flip(facing) {
    if (this.isBusy) return facing;
    const before = this.deviceId();
    const other = facing === "user" ? "environment" : "user";
    this.release(); // phones open one camera at a time
    await this.openCamera({ facingMode: other });
    if (this.deviceId() !== before) return other;
    const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");
    const following = cameras[(cameras.findIndex((device) => device.deviceId === before) + 1) % cameras.length];
    if (!following || following.deviceId === before) throw new Error("This device has one camera only.");
    this.release();
    await this.openCamera({ deviceId: { exact: following.deviceId } });
    return other;
  }

  stop() {
    const { socket } = this;
    this.release();
    this.socket = null;
    if (!socket) return;
    socket.close();
    this.onChanged("");
  }

  async openCamera(wanted) {
    this.isBusy = true;
    try {
      this.media = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, ...wanted } });
      this.media.getVideoTracks()[0].onended = () => this.stop(); // unplugged, or no longer allowed
      this.video.srcObject = this.media;
      await this.video.play();
    } catch (error) {
      const wasAllowed = this.media !== null;
      this.stop();
      throw new Error(error.name === "NotAllowedError" && !wasAllowed ? "The camera was not allowed; allow it in the browser's settings."
        : `The camera cannot be had: ${error.message}`);
    } finally {
      this.isBusy = false;
    }
  }

  deviceId() {
    return this.media?.getVideoTracks()[0].getSettings().deviceId;
  }

  async send(socket) {
    const { video, canvas } = this;
    await new Promise((shown) => (video.requestVideoFrameCallback ? video.requestVideoFrameCallback(shown) : setTimeout(shown, 33)));
    const scale = Math.min(1, MAX_SIDE_PX / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const picture = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
    if (socket.readyState === WebSocket.OPEN) socket.send(picture);
  }

  release() {
    this.media?.getTracks().forEach((track) => track.stop());
    this.media = null;
  }
}
