"""Depth as LeRobot keeps it in its data sets since 0.6: 12-bit gray HEVC, lossless, every other frame a key frame."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError, SinkOpenError, SinkWriteError
from streamdepth.core.interfaces import Sink
from streamdepth.core.render_options import Edges
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.geometry.flying_pixels import without_flying_pixels
from streamdepth.render.upsampling import check_edges, upsample
from streamdepth.sinks.depth_codes import Codes
from streamdepth.sinks.encoders import supports_pixel_format
from streamdepth.sinks.pending_files import PendingFileWithSidecar, file_url, map_write_errors, write_error_message

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

LARGEST_CODE = 4095
PIXEL_FORMAT = "gray12le"
_ENCODER = "libx265"
_PRESET, _KEY_FRAME_EVERY = "veryfast", 2
_SMALLEST_PX = 16
"""Of x265."""
_LOSSLESS = {"x265-params": "lossless=1"}


@dataclass(frozen=True, slots=True)
class Quantizer:
    """LeRobot's codes: 0 to 4095 for near_m to far_m, evenly spaced in log(depth + shift_m).

    There is no code for unknown depth: it becomes code 0, as what is nearer than near_m does.
    """

    near_m: float = 0.01
    far_m: float = 10.0
    shift_m: float = 3.5

    def __post_init__(self) -> None:
        if not 0 <= self.near_m < self.far_m < math.inf:
            raise ConfigError(f"near and far must be 0 <= near < far, not {self.near_m:g} and {self.far_m:g} m")

    @property
    def _log_range(self) -> tuple[float, float]:
        return math.log(self.near_m + self.shift_m), math.log(self.far_m + self.shift_m)

    def encode(self, depth_m: DepthMap) -> Codes:
        """(h, w) metres as codes, uint16."""
        low, high = self._log_range
        known = np.clip(np.nan_to_num(depth_m, nan=self.near_m, posinf=self.far_m), self.near_m, self.far_m)
        share = (np.log(known.astype(np.float64) + self.shift_m) - low) / (high - low)
        return cast(Codes, np.rint(share * LARGEST_CODE).astype(np.uint16))

    def decode(self, codes: Codes) -> DepthMap:
        """The inverse of `encode`, within half a code; float32 metres."""
        low, high = self._log_range
        depth = np.exp(low + codes.astype(np.float64) * ((high - low) / LARGEST_CODE)) - self.shift_m
        return cast(DepthMap, depth.astype(np.float32))

    @property
    def facts(self) -> dict[str, Any]:
        """As LeRobot names them."""
        return {
            "is_depth_map": True,
            "depth_unit": "m",
            "video.depth_min": self.near_m,
            "video.depth_max": self.far_m,
            "video.shift": self.shift_m,
            "video.use_log": True,
        }


class LeRobotVideoSink(Sink):
    """Writes NAME.mp4 at the size of the pictures, and its feature as LeRobot's info.json has it in NAME.mp4.json.

    Metric depth only. Times are the source's own, from 0 on. Depth beyond `far_m` takes that value (`notices` says so);
    unknown depth becomes `near_m`, since the format cannot say that it is unknown.

    Args:
        edges: guided lets the edges of depth follow those of the picture (`render.upsampling.guided_upsample`).
        drop_flying: depth on a jump between near and far is unknown.

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
        self.quantizer = Quantizer(near_m, far_m)
        self._files: PendingFileWithSidecar | None = None
        self._movie: _GrayMovie | None = None

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.path.suffix.lower() != ".mp4":
            raise SinkOpenError(f"LeRobot's depth video is MP4; name it '{self.path.with_suffix('.mp4')}'")
        if model.kind is DepthKind.RELATIVE:
            raise SinkOpenError(
                f"'{self.path}' holds metres, and the depth of {model.name} is relative, which .mkv keeps; choose a "
                "metric model, or say what you know of the scene with --anchor, --camera-height, --board or --sparse"
            )
        if not supports_pixel_format(_ENCODER, PIXEL_FORMAT):
            raise SinkOpenError(f"this build of FFmpeg has no {_ENCODER} for 12-bit gray; write .mkv instead")
        if min(info.width, info.height) < _SMALLEST_PX:
            raise SinkOpenError(
                f"{info.width}x{info.height} px are too few for HEVC, which begins at {_SMALLEST_PX}x{_SMALLEST_PX}; "
                "write .mkv instead"
            )
        self._files = PendingFileWithSidecar(self.path, overwrite=self.overwrite, origin=info.origin)
        try:
            self._movie = _GrayMovie(self._files.file.temporary, info)
        except (av.FFmpegError, ValueError, OSError) as error:
            self.discard()
            raise SinkOpenError(write_error_message(self.path, error)) from error

    def write(self, item: DepthFrame) -> None:
        if self._movie is None:
            raise SinkWriteError(f"'{self.path}' is not open; call open first")
        depth = upsample(without_flying_pixels(item) if self.drop_flying else item, self.edges).at_frame_size()
        if depth.shape[::-1] != self._movie.size:
            self.add_notice("the size of the picture changed in mid-stream; it is scaled to the first size")
            depth = resize_depth(depth, *self._movie.size)
        if (depth[np.isfinite(depth)] > self.quantizer.far_m).any():
            self.add_notice(f"depth beyond {self.quantizer.far_m:g} m is stored as {self.quantizer.far_m:g} m")
        if np.isnan(depth).any():
            self.add_notice(f"LeRobot has no code for unknown depth: it is stored as {self.quantizer.near_m:g} m")
        try:
            with map_write_errors(self.path):
                self._movie.add(self.quantizer.encode(depth), item.frame.pts * item.frame.time_base)
        except SinkWriteError:
            self.discard()
            raise

    def close(self) -> None:
        if self._movie is None or self._files is None or not self._movie.frames:
            self.discard()
            return
        try:
            with map_write_errors(self.path):
                self._movie.finish()
                self._files.write_sidecar(json.dumps(feature(self._files.file.temporary, self.quantizer), indent=1))
        except SinkWriteError:
            self.discard()
            raise
        files, self._movie, self._files = self._files, None, None
        files.commit()

    def discard(self) -> None:
        if self._movie is not None:
            self._movie.abandon()
        if self._files is not None:
            self._files.discard()
        self._movie = self._files = None


def feature(path: Path, quantizer: Quantizer) -> dict[str, Any]:
    """What `features` in a data set's info.json says of such a video."""
    with av.open(file_url(path)) as container:
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
            "video.g": _KEY_FRAME_EVERY,
            "video.crf": None,
            "video.preset": _PRESET,
            "video.fast_decode": 0,
            "video.video_backend": "pyav",
            "video.extra_options": _LOSSLESS,
            **quantizer.facts,
        },
    }


class _GrayMovie:
    """The file being written."""

    def __init__(self, path: Path, info: StreamInfo) -> None:
        self.size, self.frames = (info.width, info.height), 0
        self._tick, self._first, self._last = info.time_base, Fraction(0), -1
        self._rate = info.fps or Fraction(25)
        self._output: OutputContainer = av.open(file_url(path), "w", format="mp4")
        options = {"preset": _PRESET, "x265-params": f"{_LOSSLESS['x265-params']}:bframes=0:log-level=error"}
        stream = self._output.add_stream(_ENCODER, rate=self._rate, options=options)
        self._stream: VideoStream = stream  # type: ignore[assignment]  # the encoder is one for video
        self._stream.width, self._stream.height = self.size
        self._stream.pix_fmt, self._stream.time_base = PIXEL_FORMAT, self._tick
        self._stream.codec_context.time_base = self._tick
        self._stream.codec_context.gop_size = _KEY_FRAME_EVERY

    def add(self, codes: Codes, time: Fraction) -> None:
        if not self.frames:
            self._first = time
        self._last = max(self._last + 1, round((time - self._first) / self._tick))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(codes), format=PIXEL_FORMAT)
        frame.pts, frame.time_base = self._last, self._tick
        self._mux(frame)
        self.frames += 1

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            packet.duration = max(1, round(1 / self._rate / self._tick))  # of the last one: nothing follows it
            self._output.mux_one(packet)

    def finish(self) -> None:
        self._mux(None)
        self._output.close()

    def abandon(self) -> None:
        try:
            self._output.close()
        except (av.FFmpegError, OSError, ValueError):
            return  # it is removed anyway
