"""The Python entrance: `estimate` for pictures, `stream` for frames with depth, `convert` from file to file."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdepth import config, factory
from streamdepth.config.sections import ModelSettings
from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import DepthFrame, DepthKind, Frame, Intrinsics
from streamdepth.factory.references import make_camera, make_reference
from streamdepth.factory.stats_file import StatsFile
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.pipeline.report import Report
from streamdepth.stabilizers import MetricConverter, MetricReference

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """The depth of one picture."""

    predicted_depth: DepthMap
    """(H, W) float32 at the picture's size, NaN = unknown; meaning as `kind` says."""
    kind: DepthKind
    intrinsics: Intrinsics | None = None
    """The camera, when the settings, the picture's EXIF or the model tell it."""

    @property
    def unit(self) -> str | None:
        """`"m"` for metric depth, None for relative depth."""
        return self.kind.unit

    @property
    def depth(self) -> Picture:
        """A picture to look at, mode L: `predicted_depth` from its least (0) to its greatest value (255), unknown is 0.

        As in the depth-estimation pipeline of transformers; a flat map gives a flat picture.
        """
        from PIL.Image import fromarray

        known = np.isfinite(self.predicted_depth)
        values = np.where(known, self.predicted_depth, 0.0)
        low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
        scale = 255.0 / (high - low) if high > low else 0.0
        return fromarray(np.where(known, (values - low) * scale, 0.0).round().astype(np.uint8))


def estimate(image: Any, model: str = "nano", **settings: Any) -> Depth:
    """The depth of one picture.

    image: a path, an http(s) address or a PIL image. settings: any of `streamdepth.config.Settings` that concerns the
    model or the camera: size, engine, device, precision, accept_license, allow_pickle, fov, fx, camera_info. The model
    stays loaded for the next call. Raises SourceError for a picture that cannot be read, EstimatorError and ConfigError
    as loading does.
    """
    chosen = config.make(model=model, **settings)
    pixels, camera = read_photo(image, chosen)
    return estimate_pixels(pixels, chosen, camera)


def read_photo(image: Any, settings: config.Settings) -> tuple[Image, Intrinsics | None]:
    """(H, W, 3) uint8 RGB, its lens undone where wanted, and its camera: as the settings say, else as its EXIF does."""
    from streamdepth.geometry.camera import Undistorter
    from streamdepth.sources.picture_file import read_picture_and_intrinsics

    pixels, camera = read_picture_and_intrinsics(image, max_side_px=settings.max_side)
    camera = make_camera(settings).intrinsics(pixels.shape[1], pixels.shape[0]) or camera
    if settings.camera.undistort and camera is not None and camera.distortion:
        return Undistorter(camera)(pixels), camera.pinhole
    return pixels, camera


def estimate_pixels(pixels: Image, settings: config.Settings, camera: Intrinsics | None = None) -> Depth:
    """The depth of a picture in memory, (H, W, 3) uint8 RGB. camera: its own; else the model's, where it tells one."""
    item = estimate_item(pixels, settings, camera)
    return Depth(item.at_frame_size(), item.kind, item.intrinsics)


def estimate_item(pixels: Image, settings: config.Settings, camera: Intrinsics | None = None) -> DepthFrame:
    """As `estimate_pixels`, with the depth at the network's size."""
    estimator = _loaded(settings.model)
    frame = Frame(pixels, 0, 0, Fraction(1), time.monotonic(), "picture")
    result = estimator.estimate([frame])[0]
    if camera is None and result.focal_px:
        camera = Intrinsics.from_focal(result.focal_px, pixels.shape[1], pixels.shape[0])
    item = DepthFrame(frame, result.depth, estimator.info.kind, intrinsics=camera)
    reference = make_reference(settings)
    return _in_meters(item, reference) if reference else item


def _in_meters(item: DepthFrame, reference: MetricReference) -> DepthFrame:
    """Raises ConfigError where what tells metres cannot be seen in the picture."""
    stage = MetricConverter(reference)
    (item,) = stage.push(item)
    if item.metric_fit is None:
        raise ConfigError(f"{reference.name} cannot be seen in the picture, so there are no metres; leave it out")
    return item


@lru_cache(maxsize=1)
def _loaded(model: ModelSettings) -> Estimator:
    """Returns the loaded model; the last one stays loaded, so that a new colormap loads nothing again."""
    return factory.make_estimator(config.Settings(model=model))


def stream(source: str | int | Path, model: str = "nano", **settings: Any) -> Iterator[DepthFrame]:
    """Frames of `source` with steady depth, one by one; a live source drops frames while the caller is slow.

    settings: any of `streamdepth.config.Settings` but outputs. Closing the generator stops everything.
    Raises StreamDepthError as the stages do.
    """
    chosen = config.make(source=_address(source), model=model, **settings)
    with factory.pipeline(chosen) as pipeline:
        if chosen.outputs.stats or any(stream.sinks for stream in pipeline.streams):
            raise ConfigError("stream() yields frames and writes nothing; use convert() for outputs")
        yield from pipeline.frames()


def convert(src: str | int | Path, dst: str | Path, model: str = "nano", **settings: Any) -> Report:
    """Turns `src` into the file `dst`, or sends it to that address, and returns what happened.

    Ctrl-C ends early with a complete file.

    settings: any of `streamdepth.config.Settings`. Raises StreamDepthError as the stages do.
    """
    chosen = config.make(source=_address(src), output=dst, model=model, **settings)
    stats = StatsFile(chosen)
    with factory.pipeline(chosen) as pipeline, stop_on_interrupt(pipeline):
        try:
            return pipeline.run()
        finally:
            stats.write(pipeline.report())


def _address(source: object) -> str:
    if not isinstance(source, (str, int, Path)):
        raise ConfigError(
            f"a source is a path, an address or a camera's number, not a {type(source).__name__}; frames in memory "
            "become a stream by a Source of your own, for Pipeline"
        )
    return str(source)


@contextmanager
def stop_on_interrupt(pipeline: Pipeline) -> Iterator[None]:
    """Ctrl-C and a polite kill end the run with complete files; a second one ends it at once and leaves none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(_number: int, _frame: object) -> None:
        for number in before:
            signal.signal(number, signal.default_int_handler)
        pipeline.stop()

    before = {n: signal.getsignal(n) or signal.SIG_DFL for n in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
