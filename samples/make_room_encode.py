"""Encodes the rendered frames: `room.mp4` with sound, and `room_truth.mkv` with the exact depth."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from make_room_motion import BALL_RADIUS, CUT, FPS, SHOTS, shot_of
from make_room_sound import RATE, sound

from streamdepth.core.arrays import Image
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind, Frame, ModelInfo, StreamInfo
from streamdepth.sinks.depth_video import DepthVideoSink

TICK = Fraction(1, 12288)
"""A time base that Matroska and MP4 both store exactly for 24 fps."""
CRF = 17
GRAIN = 1.3
"""Standard deviation of the film grain, of 255."""
REACH = 4
"""Frames before and after that are averaged with a frame, against the renderer's noise."""
Floats = npt.NDArray[np.float32]
_log = logging.getLogger(__name__)


def encode(work: Path, out: Path, frames: range) -> None:
    """Writes `room.mp4`, `room_truth.mkv` and its sidecar into `out`, over older ones."""
    missing = [f for f in frames if not (color_path(work, f).exists() and depth_path(work, f).exists())]
    if missing:
        raise SystemExit(f"{len(missing)} frames are not in {work}, the first is {missing[0]}; run --step render")
    out.mkdir(parents=True, exist_ok=True)
    camera = Intrinsics(**json.loads((work / "intrinsics.json").read_text()))
    info = StreamInfo(
        "room.mp4", camera.width, camera.height, Fraction(FPS), len(frames), time_base=TICK, intrinsics=camera
    )
    model = ModelInfo("Blender Cycles", DepthKind.METRIC, "Apache-2.0", "cycles", "cpu", "float32")
    truth = DepthVideoSink(out / "room_truth.mkv", overwrite=True, smoothing="off")
    truth.open(info, model)
    partial = out / "room.partial.mp4"
    with av.open(str(partial), "w", options={"movflags": "faststart"}) as movie:
        picture, audio = picture_stream(movie, camera), sound_stream(movie)
        for item in items(work, frames, camera):
            movie.mux(picture.encode(picture_frame(item.frame)))
            truth.write(item)
        movie.mux(picture.encode(None))
        for block in sound_frames(frames):
            movie.mux(audio.encode(block))
        movie.mux(audio.encode(None))
    truth.close()
    partial.replace(out / "room.mp4")
    for name in ("room.mp4", "room_truth.mkv"):
        _log.info("%s: %.2f MB", out / name, (out / name).stat().st_size / 1e6)


def encode_second_eye(work: Path, out: Path) -> None:
    """Writes `room_right.mp4`, all frames that are rendered in `work`, each at its time in `room.mp4`."""
    camera = Intrinsics(**json.loads((work / "intrinsics.json").read_text()))
    frames = sorted(int(path.stem) for path in (work / "color").glob("[0-9]*.png"))
    path = out / "room_right.mp4"
    exact = {"movflags": "faststart", "movie_timescale": str(TICK.denominator)}  # the first frame is not at 0
    with av.open(str(path), "w", options=exact) as movie:
        picture = picture_stream(movie, camera)
        for index in frames:
            image: Image = color(work, index).astype(np.uint8)
            pts = round(index / FPS / TICK)
            movie.mux(picture.encode(picture_frame(Frame(image, index, pts, TICK, time.monotonic(), path.name))))
        movie.mux(picture.encode(None))
    _log.info("%s: %d frames, %.2f MB", path, len(frames), path.stat().st_size / 1e6)


def color_path(work: Path, frame: int) -> Path:
    return work / "color" / f"{frame:04d}.png"


def depth_path(work: Path, frame: int) -> Path:
    return work / "depth" / f"{frame:04d}.npy"


def items(work: Path, frames: range, camera: Intrinsics) -> Iterator[DepthFrame]:
    grain = np.random.default_rng(3)
    for index in frames:
        clean = denoised(work, index, frames, camera)
        noise = cv2.GaussianBlur(grain.normal(0, 2 * GRAIN, clean.shape[:2]), (0, 0), 0.6)
        image: Image = np.clip(np.rint(clean + noise[..., None]), 0, 255).astype(np.uint8)
        pts = round((index - frames.start) / FPS / TICK)
        frame = Frame(image, index - frames.start, pts, TICK, time.monotonic(), "room.mp4")
        yield DepthFrame(frame, depth(work, index), DepthKind.METRIC, index == CUT, intrinsics=camera)


@lru_cache(maxsize=2 * REACH + 2)
def color(work: Path, frame: int) -> Floats:
    """Returns the rendered colors, (H, W, 3) RGB, 0 to 255."""
    picture = cv2.imread(str(color_path(work, frame)))
    if picture is None:
        raise SystemExit(f"{color_path(work, frame)} is no picture; remove it and run --step render")
    return picture[..., ::-1].astype(np.float32)


@lru_cache(maxsize=2 * REACH + 2)
def depth(work: Path, frame: int) -> Floats:
    """Returns the exact depth, (H, W) meters along the optical axis, +inf in the sky."""
    return np.asarray(np.load(depth_path(work, frame)), np.float32)


def denoised(work: Path, frame: int, frames: range, camera: Intrinsics) -> Floats:
    """Returns the mean of a frame and of its neighbors in the same shot, warped onto it by the exact depth.

    Only what does not move, is seen in both, and looks alike is taken from a neighbor: shadows, reflections and the
    ball stay as they are.
    """
    shot = shot_of(frame)[0]
    near = [f for f in range(frame - REACH, frame + REACH + 1) if f in frames and f != frame and shot_of(f)[0] == shot]
    points, here = world_points(work, frame, camera), color(work, frame)
    rests = np.linalg.norm(points - ball_position(frame), axis=-1) > BALL_RADIUS + 0.02
    total, weights = here.copy(), np.ones(here.shape[:2], np.float32)
    for other in near:
        there, weight = warped_colors(work, other, points, here, camera)
        weight *= rests
        total += there * weight[..., None]
        weights += weight
    return total / weights[..., None]


def warped_colors(
    work: Path, other: int, points: Floats, here: Floats, camera: Intrinsics
) -> tuple[Floats, npt.NDArray[np.float32]]:
    """Returns the colors of frame `other` at 3D `points`, and a confidence for each, 0 to 1."""
    eye, axes = pose(other)
    x, y, z = np.moveaxis((points - eye) @ axes.T, -1, 0)
    front = np.maximum(z, 0.01)
    u = (camera.fx * x / front + camera.cx).astype(np.float32)
    v = (camera.fy * y / front + camera.cy).astype(np.float32)
    there = cv2.remap(color(work, other), u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    surface = cv2.remap(finite(depth(work, other)), u, v, cv2.INTER_NEAREST, borderValue=(-1.0,))
    same = np.abs(surface - z) < 0.005 + 0.01 * z
    contrast = cv2.blur(there - here, (5, 5))
    alike = np.exp(-np.square(contrast / 6).sum(axis=-1))
    return np.clip(there, 0, 255), (same * alike).astype(np.float32)


def finite(meters: Floats) -> Floats:
    return np.minimum(meters, np.float32(1e4))


def world_points(work: Path, frame: int, camera: Intrinsics) -> Floats:
    """Returns the 3D points of a frame's pixels, (H, W, 3) meters in the room."""
    z = finite(depth(work, frame))
    v, u = np.mgrid[: camera.height, : camera.width]
    seen = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=-1)
    eye, axes = pose(frame)
    return np.asarray(seen @ axes + eye, np.float32)


def pose(frame: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns the camera's position, and its axes right, down and forward as rows."""
    shot, seconds = shot_of(frame)
    eye, target = (np.array(point) for point in SHOTS[shot - 1].camera(seconds))
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    return eye, np.stack([right, np.cross(forward, right), forward])


def ball_position(frame: int) -> npt.NDArray[np.float64]:
    shot, seconds = shot_of(frame)
    return np.array(SHOTS[shot - 1].throw.position(seconds))


def picture_stream(movie: av.container.OutputContainer, camera: Intrinsics) -> av.VideoStream:
    stream = movie.add_stream("libx264", rate=FPS, options={"crf": str(CRF), "preset": "slow"})
    context = stream.codec_context
    context.width, context.height, context.pix_fmt, context.time_base = camera.width, camera.height, "yuv420p", TICK
    context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, 1
    return stream


def picture_frame(frame: Frame) -> av.VideoFrame:
    """Converts a frame to YUV by BT.709, limited range."""
    picture = av.VideoFrame.from_ndarray(frame.image, format="rgb24")
    picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
    picture.pts, picture.time_base = frame.pts, frame.time_base
    return picture


def sound_stream(movie: av.container.OutputContainer) -> av.AudioStream:
    return movie.add_stream("aac", rate=RATE, layout="stereo", options={"b": "96000"})


def sound_frames(frames: range) -> Iterator[av.AudioFrame]:
    """Yields the sound of `frames` in blocks of 1024 samples, the size of AAC frames."""
    waves = sound()[:, round(frames.start / FPS * RATE) : round(frames.stop / FPS * RATE)]
    for start in range(0, waves.shape[1], 1024):
        block = np.ascontiguousarray(waves[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield frame
