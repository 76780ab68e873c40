// The camera of the device that shows the page.

export class DeviceCamera {
  /** onChanged(reason): called when the camera goes on or off; the reason is empty unless it ended by itself. */
  constructor(video, onChanged) {
    [this.video, this.onChanged] = [video, onChanged];
    this.media = null;
    this.isBusy = false; // the camera is asked for
    this.insecureHint = ""; // what else to say where the browser gives the page no camera
  }

  get isOn() {
    return this.media !== null;
  }

  /** Asks for the camera and shows it. facing: "environment" or "user". Throws an Error with a message for the user. */
  async start(facing) {
    if (this.isBusy || this.isOn) return;
    await this.openCamera({ facingMode: facing });
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
    this.release();
    this.onChanged("");
  }

  async openCamera(wanted) {
    if (!navigator.mediaDevices)
      throw new Error(`Browsers give a camera to pages of this machine or over HTTPS only.${this.insecureHint}`);
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

  release() {
    this.media?.getTracks().forEach((track) => track.stop());
    this.media = null;
  }
}

/** Resolves once the video has another picture. */
export function nextPicture(video) {
  return new Promise((shown) => (video.requestVideoFrameCallback ? video.requestVideoFrameCallback(shown) : setTimeout(shown, 33)));
}
