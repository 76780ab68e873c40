"""Readers of depth to be scored, from depth videos, gray videos, pictures and datasets; and a cache on disk."""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import MissingDependencyError, SourceLostError, SourceOpenError
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.evaluation.datasets import DepthDataset
from streamdepth.evaluation.steadiness.truth import Pose
from streamdepth.sinks.depth_codes import decode_linear16, encode_linear16
from streamdepth.sinks.depth_facts import TAG
from streamdepth.sinks.depth_reader import DepthVideo
from streamdepth.sinks.images import DEPTH_IMAGE_SUFFIXES
from streamdepth.sources.picture_file import read_picture_file
from streamdepth.utils.containers import open_media_file

_MAX_CHANNEL_DIFFERENCE = 24
"""Difference of 255 between the channels of a gray video, which its compression may cause."""


@dataclass(frozen=True, slots=True)
class DepthSequence:
    """The depth maps of a clip in order; it can be iterated any number of times."""

    name: str
    kind: DepthKind
    read: Callable[[], Iterator[DepthMap]]
    """Starts to read the depth maps from the first one on."""
    has_known_unit: bool = False
    """True if streamdepth made the depth, so that two such sequences have the same unit."""
    ranges: Sequence[tuple[int, float, float]] = ()
    """(first frame, low, high) of the display, where known; each is valid until the next."""

    def __iter__(self) -> Iterator[DepthMap]:
        return self.read()


def open_depth(path: Path) -> DepthSequence:
    """Opens a depth video of streamdepth, any gray video of 8 to 16 bits, or a folder of .png, .npz or .exr depth.

    Gray values without metadata are relative: inverse depth of unknown scale; which end is near does not matter.
    Raises SourceOpenError: "not-found", or "no-depth" for files that cannot be depth; MissingDependencyError for .exr.
    """
    if path.is_dir():
        return _open_pictures(path)
    if not path.is_file():
        raise SourceOpenError(
            f"there is no depth '{path}'; give a depth video, or a folder of .png, .npz or .exr", code="not-found"
        )
    if _is_streamdepth_video(path):
        video = DepthVideo(path)
        ranges = tuple((int(f), float(a), float(b)) for f, a, b in video.metadata.get("display_ranges", ()))
        return DepthSequence(str(path), video.kind, lambda: iter(video), has_known_unit=True, ranges=ranges)
    return DepthSequence(str(path), DepthKind.RELATIVE, lambda: _gray_frames(path))


def open_truth(path: Path) -> DepthSequence:
    """Opens true depth in meters: a folder with `rgb/` and `depth/`, or metric depth that `open_depth` opens.

    Raises SourceOpenError as `open_depth` does, and with the code "not-metric" for relative depth.
    """
    if (path / "depth").is_dir():
        data = DepthDataset(path)
        return DepthSequence(str(path), DepthKind.METRIC, lambda: (pair.depth for pair in data.pairs()))
    clip = open_depth(path)
    if clip.kind is not DepthKind.METRIC:
        raise SourceOpenError(
            f"'{path}' is relative depth, and ground truth is needed in meters; give a dataset's folder with rgb/ "
            "and depth/, or a metric depth video of streamdepth",
            code="not-metric",
        )
    return clip


def read_camera(folder: Path, count: int) -> tuple[Intrinsics, list[Pose]] | None:
    """Returns a dataset's camera and its `count` poses; None unless its folder has both files.

    `camera.json` has {"width", "height", "fx", "fy", "cx", "cy"} in px. `poses.txt` has one line per frame with sixteen
    numbers, the 4x4 matrix from camera to world row by row, in meters. Raises SourceOpenError, code "bad-camera", for
    any other content or number of lines.
    """
    camera, poses = folder / "camera.json", folder / "poses.txt"
    if not (camera.is_file() and poses.is_file()):
        return None
    try:
        facts = json.loads(camera.read_text())
        intrinsics = Intrinsics(**{name: facts[name] for name in ("fx", "fy", "cx", "cy", "width", "height")})
        rows = [[float(word) for word in line.split()] for line in poses.read_text().splitlines() if line.strip()]
        if len(rows) != count:
            raise ValueError(f"{len(rows)} poses of {count} pictures")
        matrices = [np.array(row).reshape(4, 4) for row in rows]
        if any(np.linalg.det(matrix) == 0 for matrix in matrices):
            raise ValueError("a matrix without an inverse")
        return intrinsics, matrices
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceOpenError(
            f"'{camera}' or '{poses}' cannot be used ({error}); needed are width, height, fx, fy, cx, cy, and sixteen "
            "numbers a line; remove them to go without",
            code="bad-camera",
        ) from error


class DepthDiskCache:
    """Depth maps in a temporary file: 16 bits a pixel, each map in its own range, with an error of 8e-6 of it."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="streamdepth-")  # noqa: SIM115 - lives as long as the cache
        self._facts = array("d")

    def add(self, depth: DepthMap) -> None:
        """Writes one map. Raises SourceLostError, code "disk-full", when there is no room."""
        known = depth[np.isfinite(depth)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        high = max(high, np.nextafter(low, np.inf))
        try:
            self._file.write(encode_linear16(depth, low, high).tobytes())
        except OSError as error:
            raise SourceLostError(
                f"depth cannot be kept in '{tempfile.gettempdir()}': {error.strerror}; set TMPDIR to a larger disk",
                code="disk-full",
            ) from error
        self._facts.extend((*depth.shape, low, high))

    def __iter__(self) -> Iterator[DepthMap]:
        offset = 0
        for i in range(0, len(self._facts), 4):
            height, width, low, high = self._facts[i : i + 4]
            count = int(height * width)
            self._file.seek(offset)
            codes = np.frombuffer(self._file.read(2 * count), np.uint16).reshape(int(height), int(width))
            offset += 2 * count
            yield decode_linear16(codes, low, high)

    def __enter__(self) -> DepthDiskCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _is_streamdepth_video(path: Path) -> bool:
    if path.with_name(path.name + ".json").is_file():
        return True
    try:
        with open_media_file(path) as container:
            if not container.streams.video:
                raise SourceOpenError(f"'{path}' has no video in it; give a depth video", code="no-depth")
            return TAG in container.metadata
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceOpenError(
            f"'{path}' is not a video that can be read: {error}; give a depth video", code="no-depth"
        ) from error


def _gray_frames(path: Path) -> Iterator[DepthMap]:
    try:
        with open_media_file(path) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number == 0:
                    _check_gray(frame, path)
                deep = frame.format.components[0].bits > 8
                pixels = frame.to_ndarray(format="gray16le" if deep else "gray")
                yield (pixels / np.float32(65535 if deep else 255)).astype(np.float32)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceLostError(f"'{path}' is damaged: {error}") from error


def _check_gray(frame: av.VideoFrame, path: Path) -> None:
    spread = np.ptp(frame.to_ndarray(format="rgb24").astype(np.int16), axis=2)
    if np.percentile(spread, 99) > _MAX_CHANNEL_DIFFERENCE:
        raise SourceOpenError(
            f"'{path}' has colors, which cannot be turned back into depth; give a gray depth video", code="no-depth"
        )


def _open_pictures(folder: Path) -> DepthSequence:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in DEPTH_IMAGE_SUFFIXES)
    if not paths:
        raise SourceOpenError(
            f"there is no depth in '{folder}'; it needs numbered {', '.join(DEPTH_IMAGE_SUFFIXES)}", code="no-depth"
        )
    kind, _ = _read_picture(paths[0])
    return DepthSequence(
        str(folder), kind or DepthKind.RELATIVE, lambda: _pictures(paths), has_known_unit=kind is not None
    )


def _pictures(paths: Iterable[Path]) -> Iterator[DepthMap]:
    return (_read_picture(path)[1] for path in paths)


def _read_picture(path: Path) -> tuple[DepthKind | None, DepthMap]:
    """Returns the kind, None where the file does not say it, and the depth; meters where metric."""
    read = {".png": _read_png, ".npz": _read_npz, ".exr": _read_exr}[path.suffix.lower()]
    try:
        kind, depth = read(path)
        if depth.ndim != 2:
            raise ValueError(f"it has the shape {depth.shape}, not (height, width)")
        return DepthKind(kind) if kind else None, np.asarray(depth, np.float32)
    except (OSError, ValueError, KeyError, SyntaxError, RuntimeError, SourceOpenError) as error:
        raise SourceOpenError(f"cannot read depth from '{path}': {error}", code="no-depth") from error


def _read_png(path: Path) -> tuple[str | None, Any]:
    picture = read_picture_file(path)
    facts = {k.removeprefix("streamdepth:"): v for k, v in getattr(picture, "text", {}).items()}
    codes = np.asarray(picture)
    kind = facts.get("kind")
    if kind == DepthKind.METRIC:
        return kind, np.where(codes > 0, codes / np.float32(1000), np.nan)
    if kind == DepthKind.RELATIVE:
        low, high = float(facts["low"]), float(facts["high"])
        return kind, np.where(codes > 0, low + (codes.astype(np.float64) - 1) * ((high - low) / 65534), np.nan)
    return None, codes


def _read_npz(path: Path) -> tuple[str | None, Any]:
    with np.load(path, allow_pickle=False) as file:
        return (str(file["kind"]) if "kind" in file else None), cast(Any, file["depth"])


def _read_exr(path: Path) -> tuple[str | None, Any]:
    try:
        import OpenEXR
    except ImportError as error:
        raise MissingDependencyError("OpenEXR", "exr", "reading .exr") from error
    with OpenEXR.File(str(path)) as file:
        kind = file.header().get("streamdepth:kind")
        return (str(kind) if kind else None), file.channels()["Z"].pixels


class DepthTap(Stabilizer):
    """A stabilizer that gives each depth map to a callback, and then to another stabilizer."""

    def __init__(self, inner: Stabilizer, on_depth: Callable[[DepthMap], None]) -> None:
        self.inner, self.on_depth = inner, on_depth

    def begins_shot(self, frame: Frame) -> bool:
        return self.inner.begins_shot(frame)

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        self.on_depth(item.depth)
        return self.inner.push(item)

    def flush(self) -> Iterable[DepthFrame]:
        return self.inner.flush()

    def reset(self) -> None:
        self.inner.reset()
