// Pictures to estimate the depth of: from the camera, from a video file, or from a picture file.

import { nextPicture } from "../static/device_camera.js";

const MAX_SIDE_PX = 1280; // larger pictures are made smaller by the browser first

/** Gives the pictures of a playing video, one after the other; those that come while nobody asks are left out. */
export class VideoInput {
  isStill = false;

  /** clock(): the time of the current picture in seconds. */
  constructor(video, clock) {
    [this.video, this.clock] = [video, clock];
  }

  /** Resolves to {picture (ImageBitmap), time}. */
  async next() {
    await nextPicture(this.video);
    const time = this.clock();
    return { picture: await toBitmap(this.video, this.video.videoWidth, this.video.videoHeight), time };
  }
}

/** Gives one picture each time that it is asked. */
export class PictureInput {
  isStill = true;

  constructor(picture) {
    this.picture = picture; // ImageBitmap
  }

  async next() {
    return { picture: await toBitmap(this.picture, this.picture.width, this.picture.height), time: 0 };
  }
}

function toBitmap(source, width, height) {
  const scale = MAX_SIDE_PX / Math.max(width, height);
  if (scale >= 1) return createImageBitmap(source);
  const [resizeWidth, resizeHeight] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  return createImageBitmap(source, { resizeWidth, resizeHeight, resizeQuality: "high" });
}

/** Opens a picture or a video of the visitor. Throws an Error with a message for the user. */
export async function openFile(file, video) {
  const picture = file.type.startsWith("video/") ? null : await createImageBitmap(file).catch(() => null);
  if (picture) return new PictureInput(picture);
  video.srcObject = null;
  video.src = URL.createObjectURL(file);
  video.loop = true;
  try {
    await video.play();
  } catch {
    closeVideo(video);
    throw new Error(`${file.name} is no picture and no video that this browser can show.`);
  }
  return new VideoInput(video, () => video.currentTime);
}

/** Ends what the video element shows. */
export function closeVideo(video) {
  video.pause();
  if (video.src) URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  video.srcObject = null;
}
