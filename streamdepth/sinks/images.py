"""Depth as image files: 16-bit PNG, float32 EXR or NumPy's NPZ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.ranges import finite_range
from streamdepth.core.render_options import DepthSize, Edges
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.render.upsampling import check_edges
from streamdepth.sinks.depth_maps import check_depth_size, depth_to_store
from streamdepth.sinks.output_checks import check_output
from streamdepth.sinks.pending_files import atomic_write
from streamdepth.sinks.pending_folder import PendingFolder
from streamdepth.sinks.temporary_files import sidecar_path
from streamdepth.sinks.write_errors import map_write_errors
from streamdepth.utils.numbering import find_numbered_files, has_number_field, insert_number, replace_number_field

DEPTH_IMAGE_SUFFIXES = ".png", ".exr", ".npz"
"""Extensions of the image files that hold depth."""
_UNANNOUNCED_SHARE = 0.001
"""Share of the pixels that may lie beyond the range of a PNG without a notice."""
_LARGEST_M = 65.535
"""The largest depth in meters that a 16-bit PNG in millimeters can hold."""

_OPENEXR = OptionalPackage("OpenEXR", "OpenEXR", "exr", "writing .exr")


class ImagesSink(Sink):
    """Writes one depth image per frame, and the facts of all of them as JSON.

        sink = ImagesSink("out/%06d.png")

    - .png: 16 bits. Metric depth in millimeters, 65535 for 65.535 m and more (`notices` says so); the display range of
      relative depth becomes 1..65535, values beyond it take its ends, and the range stands in the file's text and in
      the JSON. 0 is unknown.
    - .exr: float32 in the channel Z, and the same in R, G and B, which programs without depth channels read; needs the
      extra `exr`. .npz: float32 under the name `depth`. Both keep NaN.

    `%06d` in the name becomes the frame's index at the source, so a dropped frame leaves a gap. A name without it
    takes exactly one frame; any further `%` means itself. The JSON lies beside them:
    `out/%06d.png` has `out/frames.json`, `depth.png` has `depth.png.json`. Everything appears at `close`; until then it
    is written to a hidden folder beside the output.

    Args:
        pattern: where to write; the folder must exist.
        size: picture writes depth at the size of the picture, network at that of the network's output.
        edges: guided lets the edges of depth follow those of the picture (`render.upsampling.guided_upsample`).
        drop_flying: metric depth on a jump between near and far (`geometry.flying_pixels`) is written as unknown.
        first_number: number of the first picture, from which the others count; None: each has the index of its frame.

    Raises:
        ConfigError: unknown size or edges.
        SinkOpenError, MissingDependencyError: from `open`.
        SinkWriteError: from `write` and `close`; the pictures are removed then.
    """

    def __init__(
        self,
        pattern: str | Path,
        *,
        overwrite: bool = False,
        size: DepthSize = "picture",
        edges: Edges = "plain",
        drop_flying: bool = False,
        first_number: int | None = None,
    ) -> None:
        super().__init__()
        check_edges(edges)
        check_depth_size(size)
        self.size, self.edges, self.drop_flying = size, edges, drop_flying
        self.first_number = first_number
        self._offset = 0
        """Added to the frames' numbers."""
        self.pattern = Path(pattern)
        self.overwrite = overwrite
        self._folder: PendingFolder | None = None
        self._facts: dict[str, Any] = {}

    @property
    def sidecar(self) -> Path:
        """The path of the JSON."""
        if has_number_field(self.pattern.name):
            return self.pattern.with_name(replace_number_field(self.pattern.stem, "frames") + ".json")
        return sidecar_path(self.pattern)

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [_OPENEXR] if self.pattern.suffix.lower() == ".exr" else []

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        check_depth_image_path(self.pattern)
        for path in (self.pattern, self.sidecar):
            check_output(path, overwrite=self.overwrite, input_path=info.file_path)
        for existing in find_numbered_files(self.pattern):
            check_output(existing, overwrite=self.overwrite, input_path=info.file_path)
        in_mm = self.pattern.suffix.lower() == ".png" and model.kind is DepthKind.METRIC
        self._folder = PendingFolder(self.pattern.parent, overwrite=self.overwrite)
        self._facts = {
            "schema_version": 1,
            "kind": model.kind.value,
            "unit": "mm" if in_mm else model.kind.unit,
            "model": model.name,
            "weights_license": model.license,
            "source": info.name,
            "time_base": (info.time_base.numerator, info.time_base.denominator),
            "frames": {},
        }

    def on_write(self, item: DepthFrame) -> None:
        assert self._folder is not None
        if self.first_number is not None and not self._facts["frames"]:
            self._offset = self.first_number - item.frame.index
        number = item.frame.index + self._offset
        name = insert_number(self.pattern.name, number)
        if name in self._facts["frames"]:
            raise SinkWriteError(
                f"'{name}' can hold one frame only; number the pictures, for example %06d.png", code="not-numbered"
            )
        depth = depth_to_store(item, self.size, self.edges, drop_flying=self.drop_flying)
        with map_write_errors(self.pattern):
            facts = {"time": f"{item.frame.time:.6f}"}
            scale = _write(self._folder.temporary / name, depth, item.kind, facts, item.range)
        self._facts["frames"][name] = {"index": number, "pts": item.frame.pts, **({"range": scale} if scale else {})}
        if item.frame.file_name:
            self._facts["frames"][name]["picture"] = item.frame.file_name
        if (camera := item.intrinsics) is not None:
            self._facts["camera"] = {
                name: getattr(camera, name) for name in ("width", "height", "fx", "fy", "cx", "cy")
            }
        self._facts["size"], self._facts["frame_size"] = depth.shape[::-1], item.frame.size
        if self.pattern.suffix.lower() == ".png":
            self._announce_clipping(depth, item.kind, scale)

    def _announce_clipping(self, depth: DepthMap, kind: DepthKind, scale: tuple[float, float] | None) -> None:
        """Adds a notice if a PNG cannot hold all values, except for a small share of pixels of relative depth."""
        if kind is DepthKind.METRIC and (depth > _LARGEST_M).any():
            self.add_notice(
                f"depth beyond {_LARGEST_M} m does not fit into a PNG of millimeters; .exr and .npz keep it"
            )
        if scale is None:
            return
        is_beyond = np.isfinite(depth) & ((depth < scale[0]) | (depth > scale[1]))
        if is_beyond.mean() > _UNANNOUNCED_SHARE:
            self.add_notice(
                "some depth lies beyond the range and takes its ends in the PNG; --range lock:0%,100% keeps all of a "
                "file, and .exr and .npz always do"
            )

    def on_close(self) -> None:
        assert self._folder is not None
        if not self._facts["frames"]:
            self.on_discard()
            return
        with map_write_errors(self.pattern):
            text = json.dumps(self._facts, indent=1)
            (self._folder.temporary / self.sidecar.name).write_text(text + "\n", encoding="utf-8")
        older = {path.name for path in find_numbered_files(self.pattern)} - self._facts["frames"].keys()
        if older:
            self.add_notice(f"{len(older)} older pictures of '{self.pattern}' stay where they are")
        self._folder.commit()

    def on_discard(self) -> None:
        if self._folder is not None:
            self._folder.discard()
        self._folder = None


def write_depth_image(
    path: str | Path,
    depth: DepthMap,
    kind: DepthKind,
    *,
    overwrite: bool = False,
    text: Mapping[str, str] | None = None,
    range: tuple[float, float] | None = None,
) -> None:
    """Writes one depth map to a .png, .exr or .npz, as `ImagesSink` describes; it appears only when complete.

    Args:
        depth: (h, w) float32, meters or relative, NaN = unknown.
        range: (low, high) of relative depth that become 1 and 65535 in a PNG; by default its smallest and largest.
        text: further facts for the file, such as the name of the model.

    Raises:
        SinkOpenError, MissingDependencyError: the path cannot be written.
        SinkWriteError: while writing.
    """
    path = Path(path)
    check_depth_image_path(path)
    with atomic_write(path, overwrite=overwrite) as temporary:
        _write(temporary, depth, kind, text or {}, range)


def check_depth_image_path(path: Path) -> None:
    """Raises SinkOpenError ("unknown-format") for an unknown extension, MissingDependencyError without its package."""
    if path.suffix.lower() not in DEPTH_IMAGE_SUFFIXES:
        raise SinkOpenError(
            f"cannot write depth to '{path}'; use one of {' '.join(DEPTH_IMAGE_SUFFIXES)}", code="unknown-format"
        )
    if path.suffix.lower() == ".exr":
        _openexr()


def _write(
    path: Path, depth: DepthMap, kind: DepthKind, text: Mapping[str, str], range: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Writes one file. Returns the (low, high) that relative depth was scaled from, or None."""
    facts, suffix = {"kind": kind.value, **text}, path.suffix.lower()
    if suffix == ".png":
        return _write_png(path, depth, kind, facts, range)
    (_write_exr if suffix == ".exr" else _write_npz)(path, depth, facts)
    return None


def _write_png(
    path: Path, depth: DepthMap, kind: DepthKind, facts: dict[str, str], scale: tuple[float, float] | None
) -> tuple[float, float] | None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    known = ~np.isnan(depth)
    if kind is DepthKind.METRIC:
        known &= depth > 0
        values = np.where(known, depth, np.float32(0)).astype(np.float64) * 1000
        facts, scale = {**facts, "unit": "mm"}, None
    else:
        known &= np.isfinite(depth)
        low, high = scale = scale or (finite_range(depth) if known.any() else (0.0, 1.0))
        values = 1 + (np.where(known, depth, np.float32(low)).astype(np.float64) - low) * (65534 / ((high - low) or 1))
        facts = {**facts, "low": repr(low), "high": repr(high)}
    codes = np.where(known, np.clip(np.rint(values), 1, 65535), 0).astype(np.uint16)
    info = PngInfo()
    for key, value in facts.items():
        info.add_text(f"streamdepth:{key}", value)
    Image.fromarray(codes).save(path, format="PNG", pnginfo=info, compress_level=3)
    return scale


def _write_exr(path: Path, depth: DepthMap, facts: dict[str, str]) -> None:
    exr = _openexr()
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    header |= {f"streamdepth:{key}": value for key, value in facts.items()}
    try:
        exr.File(header, dict.fromkeys("RGBZ", np.ascontiguousarray(depth))).write(str(path))
    except RuntimeError as error:
        raise OSError(str(error)) from error


def _write_npz(path: Path, depth: DepthMap, facts: dict[str, str]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, depth=depth, **{k: np.array(v) for k, v in facts.items()})


def _openexr() -> Any:
    try:
        import OpenEXR
    except ImportError as error:
        raise MissingDependencyError(*_OPENEXR[1:]) from error
    return OpenEXR
