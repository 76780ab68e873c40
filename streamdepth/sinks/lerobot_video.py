"""Depth as LeRobot stores it in its datasets since 0.6: 12-bit gray HEVC, lossless, every other frame a keyframe."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError, SinkOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.render_options import Edges
from streamdepth.core.resize import resize_depth
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.geometry.flying_pixels import without_flying_pixels
from streamdepth.render.upsampling import check_edges, upsample
from streamdepth.sinks.depth_codes import Codes
from streamdepth.sinks.encoders import supports_pixel_format
from streamdepth.sinks.pending_files import PendingFileWithSidecar
from streamdepth.sinks.write_errors import map_write_errors, write_error_message
from streamdepth.utils.containers import file_url, open_media_file

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

LARGEST_CODE = 4095
PIXEL_FORMAT = "gray12le"
_ENCODER = "libx265"
_PRESET, _KEYFRAME_INTERVAL = "veryfast", 2
_SMALLEST_PX = 16
"""x265 takes no smaller sides."""
_LOSSLESS = {"x265-params": "lossless=1"}


@dataclass(frozen=True, slots=True)
class DepthQuantizer:
    """LeRobot's 12-bit codes: 0 to 4095 for near_m to far_m, evenly spaced in log(depth + shift_m).

    There is no code for unknown depth: it becomes code 0, as depth nearer than near_m does. Raises ConfigError unless
    0 <= near_m < far_m < infinity.
    """

    near_m: float = 0.01
    far_m: float = 10.0
    shift_m: float = 3.5

    def __post_init__(self) -> None:
        if not 0 <= self.near_m < self.far_m < math.inf:
            raise ConfigError(
                f"near and far must be 0 <= near < far, not {self.near_m:g} and {self.far_m:g} m", code="bad-range"
            )

    @property
    def _log_range(self) -> tuple[float, float]:
        return math.log(self.near_m + self.shift_m), math.log(self.far_m + self.shift_m)

    def encode(self, depth_m: DepthMap) -> Codes:
        """Encodes (h, w) meters as codes, uint16."""
        low, high = self._log_range
        known = np.clip(np.nan_to_num(depth_m, nan=self.near_m, posinf=self.far_m), self.near_m, self.far_m)
        share = (np.log(known.astype(np.float64) + self.shift_m) - low) / (high - low)
        return cast(Codes, np.rint(share * LARGEST_CODE).astype(np.uint16))

    def decode(self, codes: Codes) -> DepthMap:
        """Decodes codes to meters, float32, within half a code."""
        low, high = self._log_range
        depth = np.exp(low + codes.astype(np.float64) * ((high - low) / LARGEST_CODE)) - self.shift_m
        return cast(DepthMap, depth.astype(np.float32))

    @property
    def lerobot_facts(self) -> dict[str, Any]:
        """The parameters under the names that LeRobot's info.json has for them."""
        return {
            "is_depth_map": True,
            "depth_unit": "m",
            "video.depth_min": self.near_m,
            "video.depth_max": self.far_m,
            "video.shift": self.shift_m,
            "video.use_log": True,
        }


class LeRobotVideoSink(Sink):
    """Writes NAME.mp4 at the size of the pictures, and its entry for LeRobot's info.json in NAME.mp4.json.

    It takes metric depth only. Times are the source's own, from 0 on. Depth beyond `far_m` takes that value (`notices`
    says so); unknown depth becomes `near_m`, since the format has no code for it.

    Args:
        edges: guided lets the edges of depth follow those of the picture (`render.upsampling.guided_upsample`).
        drop_flying: depth on a jump between near and far becomes unknown.

    Raises:
        ConfigError: unknown edges; near and far that are not 0 <= near_m < far_m.
        SinkOpenError: from `open`, also for relative depth, and without an encoder for 12-bit gray.
        SinkWriteError: from `write` and `close`; the output is removed then.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        overwrite: bool = False,
        near_m: float = 0.01,
        far_m: float = 10.0,
        edges: Edges = "plain",
        drop_flying: bool = False,
    ) -> None:
        super().__init__()
        check_edges(edges)
        self.path, self.overwrite, self.edges, self.drop_flying = Path(path), overwrite, edges, drop_flying
        self.quantizer = DepthQuantizer(near_m, far_m)
        self._files: PendingFileWithSidecar | None = None
        self._video: _GrayVideoFile | None = None
        self._intrinsics: Intrinsics | None = None

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.path.suffix.lower() != ".mp4":
            raise SinkOpenError(
                f"LeRobot's depth video is MP4; name it '{self.path.with_suffix('.mp4')}'", code="unknown-format"
            )
        if model.kind is DepthKind.RELATIVE:
            raise SinkOpenError(
                f"'{self.path}' holds meters, and the depth of {model.name} is relative, which .mkv keeps; choose a "
                "metric model, or say what you know of the scene with --anchor, --camera-height, --board or --sparse",
                code="relative-depth",
            )
        if not supports_pixel_format(_ENCODER, PIXEL_FORMAT):
            raise SinkOpenError(
                f"this build of FFmpeg has no {_ENCODER} for 12-bit gray; write .mkv instead", code="unknown-encoder"
            )
        if min(info.width, info.height) < _SMALLEST_PX:
            raise SinkOpenError(
                f"{info.width}x{info.height} px are too few for HEVC, which begins at {_SMALLEST_PX}x{_SMALLEST_PX}; "
                "write .mkv instead",
                code="bad-size",
            )
        self._files = PendingFileWithSidecar(self.path, overwrite=self.overwrite, input_path=info.file_path)
        try:
            self._video = _GrayVideoFile(self._files.temporary, info)
        except (av.FFmpegError, ValueError, OSError) as error:
            raise SinkOpenError(write_error_message(self.path, error)) from error

    def on_write(self, item: DepthFrame) -> None:
        assert self._video is not None
        self._intrinsics = self._intrinsics or item.intrinsics
        depth = upsample(without_flying_pixels(item) if self.drop_flying else item, self.edges).at_frame_size()
        if depth.shape[::-1] != self._video.size:
            self.add_notice("the size of the picture changed in mid-stream; it is scaled to the first size")
            depth = resize_depth(depth, *self._video.size)
        if (depth[np.isfinite(depth)] > self.quantizer.far_m).any():
            self.add_notice(f"depth beyond {self.quantizer.far_m:g} m is stored as {self.quantizer.far_m:g} m")
        if np.isnan(depth).any():
            self.add_notice(f"LeRobot has no code for unknown depth: it is stored as {self.quantizer.near_m:g} m")
        with map_write_errors(self.path):
            self._video.add(self.quantizer.encode(depth), item.frame.pts * item.frame.time_base)

    def on_close(self) -> None:
        assert self._video is not None
        assert self._files is not None
        if not self._video.frame_count:
            self.on_discard()
            return
        with map_write_errors(self.path):
            self._video.finish()
            feature = lerobot_feature(self._files.temporary, self.quantizer, self._intrinsics)
            self._files.write_sidecar(json.dumps(feature, indent=1))
        self._files.commit()

    def on_discard(self) -> None:
        if self._video is not None:
            self._video.abandon()
        if self._files is not None:
            self._files.discard()
        self._video = self._files = None


def lerobot_feature(path: Path, quantizer: DepthQuantizer, intrinsics: Intrinsics | None) -> dict[str, Any]:
    """Returns the entry for such a video in the `features` of a dataset's info.json.

    If the camera is known, the entry has its intrinsics as "camera.fx" and so on; LeRobot has no names for them.
    """
    with open_media_file(path) as container:
        video = container.streams.video[0]
        height, width, rate = video.height, video.width, video.average_rate
    return {
        "dtype": "video",
        "shape": [height, width, 1],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": height,
            "video.width": width,
            "video.codec": "hevc",
            "video.pix_fmt": PIXEL_FORMAT,
            "video.fps": round(rate) if rate else None,
            "video.channels": 1,
            "has_audio": False,
            "video.g": _KEYFRAME_INTERVAL,
            "video.crf": None,
            "video.preset": _PRESET,
            "video.fast_decode": 0,
            "video.video_backend": "pyav",
            "video.extra_options": _LOSSLESS,
            **quantizer.lerobot_facts,
            **({f"camera.{name}": value for name, value in asdict(intrinsics).items()} if intrinsics else {}),
        },
    }


class _GrayVideoFile:
    """The video being written."""

    def __init__(self, path: Path, info: StreamInfo) -> None:
        self.size, self.frame_count = (info.width, info.height), 0
        self._time_base, self._first_time, self._last_pts = info.time_base, Fraction(0), -1
        self._rate = info.fps or Fraction(25)
        self._output: OutputContainer = av.open(file_url(path), "w", format="mp4")
        options = {"preset": _PRESET, "x265-params": f"{_LOSSLESS['x265-params']}:bframes=0:log-level=error"}
        stream = self._output.add_stream(_ENCODER, rate=self._rate, options=options)
        self._stream: VideoStream = stream  # type: ignore[assignment]  # the encoder is one for video
        self._stream.width, self._stream.height = self.size
        self._stream.pix_fmt, self._stream.time_base = PIXEL_FORMAT, self._time_base
        self._stream.codec_context.time_base = self._time_base
        self._stream.codec_context.gop_size = _KEYFRAME_INTERVAL

    def add(self, codes: Codes, time: Fraction) -> None:
        """Adds one frame that is shown from `time` seconds on."""
        if not self.frame_count:
            self._first_time = time
        self._last_pts = max(self._last_pts + 1, round((time - self._first_time) / self._time_base))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(codes), format=PIXEL_FORMAT)
        frame.pts, frame.time_base = self._last_pts, self._time_base
        self._mux(frame)
        self.frame_count += 1

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            packet.duration = max(1, round(1 / self._rate / self._time_base))  # of the last one: nothing follows it
            self._output.mux_one(packet)

    def finish(self) -> None:
        """Completes the file."""
        self._mux(None)
        self._output.close()

    def abandon(self) -> None:
        """Closes the file without completing it."""
        try:
            self._output.close()
        except (av.FFmpegError, OSError, ValueError):
            return  # it is removed anyway
