// Sends the pictures of this device's camera to the server, one at a time.

import { socketAddress } from "./connection.js";

const MAX_SIDE_PX = 960, QUALITY = 0.8;

export class BrowserCamera {
  constructor(video, onEnded) {
    this.video = video;
    this.onEnded = onEnded;
    this.canvas = document.createElement("canvas");
    this.isBusy = false; // the camera is asked for, or shown
    this.isOn = false;
  }

  /** Asks for the camera and starts to send. Throws an Error with a message for the user. */
  async start(name) {
    if (!navigator.mediaDevices)
      throw new Error("Browsers give a camera to pages of this machine or over HTTPS only.\n" +
        "Open http://localhost on the machine itself, or start the server with --certificate and --key.");
    if (this.isBusy) return;
    this.isBusy = true;
    let media = null;
    try {
      media = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "environment" } });
      this.video.srcObject = media;
      await this.video.play();
    } catch (error) {
      this.release(media);
      throw new Error(error.name === "NotAllowedError" && !media ? "The camera was not allowed; allow it in the browser's settings."
        : `The camera cannot be had: ${error.message}`);
    }
    this.connect(name, media);
  }

  connect(name, media) {
    const socket = new WebSocket(socketAddress(`/api/streams/${name}/camera`));
    this.isOn = true;
    socket.onopen = socket.onmessage = () => this.send(socket);
    socket.onclose = ({ reason }) => {
      this.release(media);
      this.onEnded(reason);
    };
    media.getVideoTracks()[0].onended = () => socket.close(); // unplugged, or no longer allowed
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

  release(media) {
    this.isBusy = this.isOn = false;
    media?.getTracks().forEach((track) => track.stop());
  }
}
