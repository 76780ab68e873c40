"""Depth as a gray video for compositors, generators and players, with a stated mapping from depth to gray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.ranges import robust_range
from streamdepth.core.render_options import Edges
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.core.version import __version__
from streamdepth.sinks.depth_maps import depth_to_store
from streamdepth.sinks.encoded_video import EncodedVideoSink
from streamdepth.sinks.encoders import EncodingOptions
from streamdepth.sinks.output_checks import check_output
from streamdepth.sinks.pending_files import atomic_write
from streamdepth.sinks.temporary_files import sidecar_path
from streamdepth.sinks.video import OutputSize, resize_item
from streamdepth.sinks.video_file import VideoFile

GrayMapping = Literal["near-white", "near-black"]
GRAY_MAPPINGS: tuple[GrayMapping, ...] = get_args(GrayMapping)


class GrayOptions(TypedDict, total=False):
    """Options of a gray video, see `GrayVideoSink`."""

    mapping: GrayMapping
    near: float | None
    far: float | None
    encoding: EncodingOptions | None
    edges: Edges
    size: OutputSize
    overwrite: bool


class GrayVideoSink(EncodedVideoSink):
    """Writes depth as gray, linear from `near` to `far`; NAME.mp4.json states the mapping.

    Metric depth is linear in meters, relative depth in the network's inverse depth. Values outside are clipped, unknown
    depth gets the gray of the far end. Luma has limited range (ITU-R BT.709), which readers turn into 0 to 255, with 10
    bits 0 to 1023. Motion JPEG has full range.

    Args:
        path: .mp4, .mov, .mkv or another container of videos.
        mapping: near-white or near-black.
        near: the depth that becomes white (near-white) or black (near-black); None: the near end of each frame's range.
        far: the other end; None: the far end of each frame's range.
        encoding: codec, quality and bits.
        edges: how depth gets the picture's size.
        size: see `OutputSize`; by default that of the picture.
        multiple_px: width and height are cropped in the middle to multiples of it.

    Raises:
        ConfigError: near and far do not fit the kind of depth ("bad-range"), or the mapping is unknown
            ("unknown-mapping").
        SinkOpenError: from `open`, as `VideoFile` says.
    """

    def __init__(
        self,
        path: str | Path,
        mapping: GrayMapping = "near-white",
        *,
        near: float | None = None,
        far: float | None = None,
        encoding: EncodingOptions | None = None,
        edges: Edges = "plain",
        size: OutputSize = OutputSize(),
        multiple_px: int = 1,
        overwrite: bool = False,
    ) -> None:
        super().__init__(path, encoding or EncodingOptions())
        if mapping not in GRAY_MAPPINGS:
            raise ConfigError(
                f"unknown mapping {mapping!r} of depth to gray; one of {', '.join(GRAY_MAPPINGS)}",
                code="unknown-mapping",
            )
        self.mapping, self.near, self.far = mapping, near, far
        self.edges, self.overwrite = edges, overwrite
        self.size, self.multiple_px = size, multiple_px
        self._drawn_size = (0, 0)
        """(width, height) in px before cropping."""
        self._facts: dict[str, Any] = {}

    def encoded_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns the (width, height) in px of the video of pictures of `size`."""
        width, height = self.size.of_frame(size, "depth")
        return width - width % self.multiple_px, height - height % self.multiple_px

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        check_output(sidecar_path(self.path), overwrite=self.overwrite, input_path=info.file_path)
        picture = info.width, info.height
        self._drawn_size, size = self.size.of_frame(picture, "depth"), self.encoded_size(picture)
        self._video = VideoFile(
            self.path,
            info,
            size,
            self.encoding,
            overwrite=self.overwrite,
            copy_tracks=False,
            on_notice=self.add_notice,
        )
        self._facts = {
            "schema_version": 1,
            "kind": model.kind.value,
            "unit": model.kind.unit,
            "mapping": self.mapping,
            "scale": "linear in meters" if model.kind is DepthKind.METRIC else "linear in inverse depth without unit",
            "near_gray": 1.0 if self.mapping == "near-white" else 0.0,
            "far_gray": 0.0 if self.mapping == "near-white" else 1.0,
            "unknown": "as far",
            "bits": self.encoding.bits,
            "size": size,
            "ranges": [],
            "model": model.name,
            "weights_license": model.license,
            "source": info.name,
            "software": f"streamdepth {__version__}",
        }

    def on_write(self, item: DepthFrame) -> None:
        assert self._video is not None
        near, far = self._ends(item)
        if not self._facts["ranges"] or self._facts["ranges"][-1][1:] != [near, far]:
            self._facts["ranges"].append([self.frame_count, near, far])
        depth = self._cropped(depth_to_store(resize_item(item, *self._drawn_size), "picture", self.edges))
        nearness = np.clip((depth - np.float32(far)) / np.float32(near - far), 0, 1)
        gray = np.nan_to_num(nearness, nan=0.0)
        if self.mapping == "near-black":
            gray = 1 - gray
        self._video.write(gray_frame(gray, *self._video.frame_format), item.frame.pts * item.frame.time_base)

    def _cropped(self, depth: DepthMap) -> DepthMap:
        """Returns the middle of a map of the drawn size."""
        assert self._video is not None
        (width, height), (rows, columns) = self._video.size, depth.shape
        top, left = (rows - height) // 2, (columns - width) // 2
        return depth[top : top + height, left : left + width]

    def _ends(self, item: DepthFrame) -> tuple[float, float]:
        """Returns the depth at the near and at the far end. Raises ConfigError ("bad-range")."""
        low, high = item.range or robust_range(item.depth) or (0.0, 1.0)
        is_metric = item.kind is DepthKind.METRIC
        near, far = (low, high) if is_metric else (high, low)
        near = near if self.near is None else self.near
        far = far if self.far is None else self.far
        if self.near is not None and self.far is not None and (near >= far if is_metric else near <= far):
            order = "meters, near less than far" if is_metric else "inverse depth without unit, near more than far"
            raise ConfigError(f"near {near:g} and far {far:g} do not fit: they are {order}", code="bad-range")
        return near, far if far != near else near + (1.0 if is_metric else -1.0)

    def on_close(self) -> None:
        super().on_close()
        if self.frame_count:
            with atomic_write(sidecar_path(self.path), overwrite=True) as temporary:
                temporary.write_text(json.dumps(self._facts, indent=1) + "\n", encoding="utf-8")


def gray_frame(gray: npt.NDArray[np.float32], pixel_format: str, size: tuple[int, int]) -> av.VideoFrame:
    """Returns gray from 0 to 1, (H, W), as a frame of YUV without color.

    Args:
        gray: brightness.
        pixel_format: FFmpeg's name of a planar format of 8 bits, or of 10 in 16 (yuv420p10le).
        size: (width, height) in px, both even; an odd picture has its last line repeated.
    """
    width, height = size
    if gray.shape != (height, width):
        missing = height - gray.shape[0], width - gray.shape[1]
        if min(missing) < 0 or max(missing) > 1:
            gray = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.float32)
        else:
            gray = np.pad(gray, ((0, missing[0]), (0, missing[1])), mode="edge")
    planar = pixel_format if pixel_format != "nv12" else "yuv420p"
    is_deep = planar.endswith("10le")
    scale = 4 if is_deep else 1
    black, span = (0, 255) if planar.startswith("yuvj") else (16 * scale, 219 * scale)
    frame = av.VideoFrame(width, height, planar)
    kind = np.uint16 if is_deep else np.uint8
    for index, plane in enumerate(frame.planes):
        rows = np.asarray(memoryview(plane)).view(kind).reshape(plane.height, -1)[:, : plane.width]
        rows[:] = np.rint(gray * np.float32(span) + np.float32(black)).astype(kind) if index == 0 else 128 * scale
    frame.color_range = 2 if planar.startswith("yuvj") else 1
    frame.colorspace = frame.color_primaries = frame.color_trc = 1
    return frame if planar == pixel_format else frame.reformat(format=pixel_format)
