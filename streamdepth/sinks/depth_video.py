"""Depth as a lossless video: FFV1, 16-bit gray, in Matroska, with all facts that a reader needs."""

from __future__ import annotations

import json
import logging
import math
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import av
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError, SinkOpenError
from streamdepth.core.render_options import DepthSize, Edges
from streamdepth.core.resize import resize_depth
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.core.version import __version__
from streamdepth.render.upsampling import check_edges
from streamdepth.sinks.depth_codes import (
    FAR,
    UNKNOWN,
    AdaptiveRange,
    Codes,
    encode_linear16,
    encode_log16,
)
from streamdepth.sinks.depth_facts import SCHEMA_VERSION, TAG, facts_for_tag
from streamdepth.sinks.depth_maps import check_depth_size, depth_to_store
from streamdepth.sinks.depth_reader import DepthVideo
from streamdepth.sinks.pending_files import PendingFileWithSidecar
from streamdepth.sinks.temporary_files import temporary_copy
from streamdepth.sinks.write_errors import map_write_errors
from streamdepth.utils.containers import file_url, open_media_file

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

__all__ = ["DepthVideo", "DepthVideoSink"]

_log = logging.getLogger(__name__)

_OPTIONS = {"level": "3", "slices": "4", "slicecrc": "1", "coder": "1", "context": "1", "g": "1"}
"""FFV1 version 3: every frame a key frame, in four slices with checksums."""
_SMALLEST_PX = 2
"""FFV1's four slices need this many px; a smaller map is padded with unknown, and the reader crops it."""


class DepthOptions(TypedDict, total=False):
    """Options of a depth video, see `DepthVideoSink`."""

    overwrite: bool
    smoothing: str
    near_m: float
    far_m: float
    size: DepthSize
    edges: Edges
    drop_flying: bool


class DepthVideoSink(Sink):
    """Writes NAME.mkv, lossless and with the source's times, and its facts (`depth_facts`) as JSON in NAME.mkv.json.

        sink = DepthVideoSink("depth.mkv", near_m=0.2, far_m=80.0)

    - Metric depth is stored logarithmically (`encode_log16`); values outside near_m to far_m take the nearest end
      (`notices` says so). Relative depth is stored linearly in ranges that follow it (`AdaptiveRange`), so nothing is
      clipped.
    - Depth has the size of the picture, or with size="network" that of the network's output, in a tenth of the time and
      space; another size in mid-stream is scaled to the first.
    - edges guided lets the edges of depth follow those of the picture (`render.upsampling.guided_upsample`).
    - With drop_flying, metric depth on a jump between near and far (`geometry.flying_pixels`) is stored as unknown.
    - Memory: 16 bytes remain of each frame, and 24 more where its display range or its alignment changes.

    Raises:
        ConfigError: near_m and far_m are not 0 < near_m < far_m < infinity; unknown size or edges.
        SinkOpenError: from `open`.
        SinkWriteError: from `write` and `close`; the output is removed then.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        overwrite: bool = False,
        smoothing: str = "default",
        near_m: float = 0.1,
        far_m: float = 200.0,
        size: DepthSize = "network",
        edges: Edges = "plain",
        drop_flying: bool = False,
    ) -> None:
        super().__init__()
        check_edges(edges)
        check_depth_size(size)
        if not 0 < near_m < far_m < math.inf:
            raise ConfigError(f"near_m must lie between 0 and far_m, not {near_m} and {far_m}", code="bad-range")
        self.path = Path(path)
        self.overwrite, self.smoothing, self.near_m, self.far_m = overwrite, smoothing, near_m, far_m
        self.size, self.edges, self.drop_flying = size, edges, drop_flying
        self._files: PendingFileWithSidecar | None = None
        self._video: _DepthVideoFile | None = None

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.path.suffix.lower() != ".mkv":
            raise SinkOpenError(
                f"a depth video is Matroska; name it '{self.path.with_suffix('.mkv')}'", code="unknown-format"
            )
        self._files = PendingFileWithSidecar(self.path, overwrite=self.overwrite, input_path=info.file_path)
        self._video = _DepthVideoFile(self._files.temporary, info, model, (self.near_m, self.far_m))

    def on_write(self, item: DepthFrame) -> None:
        assert self._video is not None
        with map_write_errors(self.path):
            depth = depth_to_store(item, self.size, self.edges, drop_flying=self.drop_flying)
            for notice in self._video.add(item, depth):
                self.add_notice(notice)

    def on_close(self) -> None:
        assert self._video is not None
        assert self._files is not None
        if not self._video.pts:
            self.on_discard()
            return
        with map_write_errors(self.path):
            facts = self._video.facts(self.smoothing)
            self.finish_video({TAG: facts_for_tag(facts), "title": f"depth of {self._video.info.name}"})
            self._files.write_sidecar(json.dumps(facts))
        self._files.commit()

    def finish_video(self, tags: dict[str, str]) -> None:
        """Completes the video with these tags, which are known only at the end."""
        assert self._video is not None
        self._video.finish(lambda written, target: _copy_with_tags(written, target, tags))

    @property
    def bytes_to_finish(self) -> int:
        return self._files.file.size if self._files else 0

    def on_discard(self) -> None:
        if self._video is not None:
            self._video.abandon()
        if self._files is not None:
            self._files.discard()
        self._video = self._files = None


class _DepthVideoFile:
    """The video being written. Its facts are complete only at the end, and `finish` adds them."""

    def __init__(self, path: Path, info: StreamInfo, model: ModelInfo, limits_m: tuple[float, float]) -> None:
        self.path, self.info, self.model, self.limits_m = path, info, model, limits_m
        self.pts, self.indices, self.cuts = array("q"), array("q"), array("q")
        self.display_ranges, self.intrinsics = _ChangeLog(2, tolerance=0.005), _ChangeLog(4)
        self.alignment = _ChangeLog(2)
        self.metric_fit = _ChangeLog(2)
        self.code_range = AdaptiveRange()
        self.size: tuple[int, int] | None = None
        self._output: OutputContainer | None = None
        self._stream: VideoStream | None = None

    def add(self, item: DepthFrame, depth: DepthMap) -> list[str]:
        """Adds one frame with the depth to store. Returns sentences that a user should read."""
        notices = []
        if self.size is None:
            self._open((depth.shape[1], depth.shape[0]))
        assert self.size is not None
        if depth.shape[::-1] != self.size:
            notices.append("the size of the depth changed in mid-stream; it is scaled to the first size")
            depth = resize_depth(depth, *self.size)
        if item.kind is DepthKind.METRIC and _exceeds(depth, self.limits_m):
            notices.append(
                "some depth lies outside {:g} to {:g} m and is stored as the nearest end".format(*self.limits_m)
            )
        self._encode(self._codes(depth), self._record_facts(item))
        return notices

    def _open(self, size: tuple[int, int]) -> None:
        self.size = size
        self._output = av.open(file_url(self.path), "w", format="matroska")
        self._stream = self._output.add_stream("ffv1", rate=self.info.fps or 25, options=_OPTIONS)
        self._stream.width, self._stream.height = (max(side, _SMALLEST_PX) for side in size)
        self._stream.pix_fmt, self._stream.time_base = "gray16le", self.info.time_base
        self._stream.codec_context.time_base = self.info.time_base

    def _codes(self, depth: DepthMap) -> Codes:
        if self.model.kind is DepthKind.METRIC:
            return encode_log16(depth, *self.limits_m)
        return encode_linear16(depth, *self.code_range.update(depth, len(self.pts)))

    def _record_facts(self, item: DepthFrame) -> int:
        """Records the facts of one frame and returns its pts, which rises from frame to frame."""
        number = len(self.pts)
        pts = round(item.frame.pts * item.frame.time_base / self.info.time_base)
        self.pts.append(max(pts, self.pts[-1] + 1) if self.pts else pts)
        self.indices.append(item.frame.index)
        if item.cut:
            self.cuts.append(number)
        if item.range is not None:
            self.display_ranges.record(number, item.range)
        if item.alignment is not None:
            self.alignment.record(number, item.alignment)
        if item.metric_fit is not None:
            self.metric_fit.record(number, item.metric_fit)
        if (camera := item.intrinsics or self.info.intrinsics) is not None:
            self.intrinsics.record(number, (camera.fx, camera.fy, camera.cx, camera.cy))
        return self.pts[-1]

    def _encode(self, codes: Codes, pts: int) -> None:
        assert self._output is not None
        assert self._stream is not None
        padding = [(0, max(0, _SMALLEST_PX - side)) for side in codes.shape]
        frame = av.VideoFrame.from_ndarray(np.pad(codes, padding), format="gray16le")
        frame.pts, frame.time_base = pts, self.info.time_base
        self._output.mux(self._stream.encode(frame))

    def facts(self, smoothing: str) -> dict[str, Any]:
        """Returns the facts listed in `depth_facts`, ready for JSON."""
        metric, model, info = self.model.kind is DepthKind.METRIC, self.model, self.info
        code = {"code": "log16", "near_m": self.limits_m[0], "far_m": self.limits_m[1], "far_code": FAR}
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": model.kind.value,
            "unit": model.kind.unit,
            **(code if metric else {"code": "linear16", "ranges": self.code_range.ranges}),
            "invalid_code": UNKNOWN,
            "size": self.size,
            "frame_size": (info.width, info.height),
            "model": model.name,
            "engine": model.engine,
            "device": model.device,
            "precision": model.precision,
            "weights_license": model.license,
            "smoothing": smoothing,
            "source": info.name,
            "software": f"streamdepth {__version__}",
            "frames": len(self.pts),
            "time_base": (info.time_base.numerator, info.time_base.denominator),
            "first_pts": self.pts[0],
            "cuts": self.cuts.tolist(),
            "intrinsics": self.intrinsics.rows(),
            "display_ranges": self.display_ranges.rows(),
            "alignment": self.alignment.rows(),
            "metric_fit": self.metric_fit.rows(),
            "frame_index": self.indices.tolist(),
            "pts": self.pts.tolist(),
        }

    def finish(self, write_tagged: Callable[[Path, Path], None]) -> None:
        """Completes the video, then replaces it: `write_tagged` gets its path and that of the new file to write."""
        assert self._output is not None
        assert self._stream is not None
        self._output.mux(self._stream.encode(None))
        self._output.close()
        tagged = temporary_copy(self.path)
        try:
            write_tagged(self.path, tagged)
            tagged.replace(self.path)
        finally:
            tagged.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Closes the file without completing anything."""
        if self._output is None:
            return
        try:
            self._output.close()
        except (av.FFmpegError, OSError, ValueError) as error:
            _log.debug("an abandoned depth video could not be closed: %s", error)


def _copy_with_tags(written: Path, target: Path, tags: dict[str, str]) -> None:
    with open_media_file(written) as source, av.open(file_url(target), "w", format="matroska") as output:
        output.metadata.update(tags)
        stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux_one(packet)


def _exceeds(depth: DepthMap, limits_m: tuple[float, float]) -> bool:
    known = depth[np.isfinite(depth) & (depth > 0)]
    return bool(known.size) and (known.min() < limits_m[0] or known.max() > limits_m[1])


class _ChangeLog:
    """Numbers that are valid from one frame until they change, stored as plain doubles.

    Numbers that are not finite are left out, because JSON does not have them and readers would reject the file.

    Args:
        count: how many numbers there are for a frame.
        tolerance: changes below this share of the span between the numbers are not recorded.
    """

    def __init__(self, count: int, *, tolerance: float = 0.0) -> None:
        self._width, self._tolerance = count + 1, tolerance
        self._values = array("d")

    def record(self, frame: int, values: tuple[float, ...]) -> None:
        if not all(map(math.isfinite, values)):
            return
        last = self._values[1 - self._width :]
        allowed = self._tolerance * (max(values) - min(values))
        if not last or any(abs(a - b) > allowed for a, b in zip(last, values, strict=True)):
            self._values.extend((frame, *values))

    def rows(self) -> list[tuple[float, ...]]:
        """Returns (first frame, numbers...) for each change, ready for JSON."""
        starts = range(0, len(self._values), self._width)
        return [(int(self._values[i]), *self._values[i + 1 : i + self._width]) for i in starts]
