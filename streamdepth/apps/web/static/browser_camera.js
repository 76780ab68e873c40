// Sends the pictures of this device's camera to the server, one at a time.

import { socketAddress } from "./connection.js";
import { DeviceCamera, nextPicture } from "./device_camera.js";

const MAX_SIDE_PX = 960, QUALITY = 0.8;

export class BrowserCamera extends DeviceCamera {
  constructor(video, onChanged) {
    super(video, onChanged);
    this.canvas = document.createElement("canvas");
    this.socket = null;
    this.insecureHint = "\nOpen http://localhost on the machine itself, or start the server with --certificate and --key.";
  }

  get isOn() {
    return this.socket !== null;
  }

  /** Asks for the camera and starts to send. facing: "environment" or "user". Throws an Error with a message for the user. */
  async start(name, facing) {
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

  stop() {
    const { socket } = this;
    this.release();
    this.socket = null;
    if (!socket) return;
    socket.close();
    this.onChanged("");
  }

  async send(socket) {
    const { video, canvas } = this;
    await nextPicture(video);
    const scale = Math.min(1, MAX_SIDE_PX / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const picture = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
    if (socket.readyState === WebSocket.OPEN) socket.send(picture);
  }
}
