"""The Python interface: load a model, estimate pictures, iterate over streams, convert files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, Unpack, overload

import numpy as np

from streamdepth import config, factory
from streamdepth.config.keywords import ConvertKeywords, EstimateKeywords, StreamKeywords
from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.core.interfaces import Estimator, Source
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.factory.pictures import estimate_depth_frame, read_photo, shared_estimator
from streamdepth.factory.report_file import ReportFile
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.pipeline.report import Report
from streamdepth.sources.arrays import ArraySource, ColorOrder
from streamdepth.utils.interrupts import stop_on_interrupt

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.Image import Image as PillowImage

    Picture: TypeAlias = str | Path | PillowImage | npt.NDArray[np.uint8]
    """A path, an http(s) address, a PIL image, or an array (H, W, 3) or gray (H, W), uint8."""

Input: TypeAlias = str | int | Path | Source
"""A camera's number, a path, a pattern, an address, or a source of one's own."""


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """The depth of one picture.

    >>> depth = sd.estimate("samples/room.jpg")
    >>> depth.predicted_depth.shape, depth.kind.value, depth.unit
    ((360, 640), 'relative', None)
    """

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
    def depth(self) -> PillowImage:
        """A gray PIL picture to look at: 0 at the least depth, 255 at the greatest, 0 where depth is unknown.

        This is what the depth-estimation pipeline of transformers returns; a flat map gives a black picture.
        """
        from PIL.Image import fromarray

        known = np.isfinite(self.predicted_depth)
        values = np.where(known, self.predicted_depth, 0.0)
        low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
        scale = 255.0 / (high - low) if high > low else 0.0
        return fromarray(np.where(known, (values - low) * scale, 0.0).round().astype(np.uint8))


class DepthModel:
    """A loaded model, which `load_model` returns: call it with pictures, or give it to `stream` and `convert`.

    >>> model = sd.load_model("nano", size=96)
    >>> first, second = model([np.zeros((48, 64, 3), np.uint8)] * 2)
    >>> first.predicted_depth.shape, model.info.name
    ((48, 64), 'nano')
    """

    def __init__(self, estimator: Estimator, settings: config.Settings) -> None:
        self.estimator, self._settings = estimator, settings

    @property
    def info(self) -> ModelInfo:
        """Name, kind, license, engine, device and precision."""
        return self.estimator.info

    @overload
    def __call__(self, image: Picture, *, color: ColorOrder = "rgb") -> Depth: ...
    @overload
    def __call__(self, image: list[Any] | tuple[Any, ...], *, color: ColorOrder = "rgb") -> list[Depth]: ...
    def __call__(
        self, image: Picture | list[Any] | tuple[Any, ...], *, color: ColorOrder = "rgb"
    ) -> Depth | list[Depth]:
        """Returns the depth of a picture, or of each picture of a list.

        Args:
            image: a path, an http(s) address, a PIL image or an array (H, W, 3) or (H, W), uint8; or a list of these.
            color: order of the channels of arrays; "bgr" for those of OpenCV.

        Raises:
            SourceError: a picture cannot be read.
            InferenceError: the model failed.
            ConfigError: the argument is no picture, or the metric reference cannot be seen in it.
        """
        if isinstance(image, (list, tuple)):
            return [self._estimate(one, color) for one in image]
        return self._estimate(image, color)

    def _estimate(self, image: Any, color: ColorOrder) -> Depth:
        pixels, camera = read_photo(image, self._settings, color)
        item = estimate_depth_frame(pixels, self.estimator, self._settings, camera)
        return Depth(item.at_frame_size(), item.kind, item.intrinsics)

    def close(self) -> None:
        """Frees the model. Idempotent."""
        self.estimator.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Model: TypeAlias = str | Path | DepthModel | Estimator
"""A model's name, hub id, folder or file, or one that is loaded already."""


def load_model(model: str | Path | Estimator = "nano", **keywords: Unpack[EstimateKeywords]) -> DepthModel:
    """Returns a loaded model, to be used many times.

    >>> with sd.load_model("nano", size=96) as model:
    ...     model("samples/room.jpg").predicted_depth.dtype
    dtype('float32')

    Args:
        model: nano, a short name of `streamdepth models`, a hub id, a folder, a file, or an estimator of one's own.
        keywords: size, engine, device, precision, and what is known of the camera and of distances.

    Raises:
        ModelLoadError: the name is unknown, or the weights are missing or not allowed.
        ConfigError, MissingDependencyError: the keywords do not fit, or a package is missing.
    """
    if isinstance(model, Estimator):
        return DepthModel(model, config.make(**keywords))
    settings = config.make(model=str(model), **keywords)
    return DepthModel(factory.make_estimator(settings), settings)


def estimate(
    image: Picture, model: Model = "nano", *, color: ColorOrder = "rgb", **keywords: Unpack[EstimateKeywords]
) -> Depth:
    """Returns the depth of one picture; models that were named last stay loaded for the next call.

    >>> sd.estimate("samples/room.jpg", size=96).depth.mode
    'L'

    Args and errors are those of `load_model` and of calling a `DepthModel`.
    """
    if isinstance(model, DepthModel):
        return model(image, color=color)
    if isinstance(model, Estimator):
        return load_model(model, **keywords)(image, color=color)
    settings = config.make(model=str(model), **keywords)
    return DepthModel(shared_estimator(settings.model), settings)(image, color=color)


class DepthStream:
    """Frames of one source with their depth, which `stream` returns: iterate over it, with `for` or `async for`.

    As a context manager it closes the source at the end of the block; an iteration that ends closes it, too. A live
    source drops frames while the caller is slow.

    >>> with sd.stream("samples/room.mp4", max_frames=3) as frames:
    ...     size = frames.info.width, frames.info.height
    ...     times = [round(item.frame.time, 3) for item in frames]
    >>> size, times, frames.report().written
    ((640, 360), [0.0, 0.042, 0.083], 3)
    """

    def __init__(
        self, settings: config.Settings, source: Source | None, estimator: Estimator | None, sinks: Sequence[Sink]
    ) -> None:
        self._resources = ExitStack()
        self._pipeline: Pipeline = self._resources.enter_context(
            factory.open_pipeline(settings, source=source, estimator=estimator, sinks=sinks)
        )
        self._items: Iterator[DepthFrame] = self._pipeline.frames()
        self._first: DepthFrame | None = None
        self._is_closed = False

    @property
    def info(self) -> StreamInfo:
        """Facts of the stream: size, frame rate, length. Opens the source and waits for the first frame if need be.

        Raises as opening the source and loading the model do.
        """
        stream = self._pipeline.streams[0]
        if stream.info is None and not self._is_closed:
            self._first = next(self, None)
        if stream.info is None:
            raise SourceOpenError(f"'{stream.title}' was closed before it was open", code="closed")
        return stream.info

    def report(self) -> Report:
        """Returns what has happened so far: frames read, written and dropped by cause, latencies, the model."""
        return self._pipeline.report()

    def stop(self) -> None:
        """Ends the stream early; frames that were read are still given. Thread-safe, idempotent."""
        self._pipeline.stop()

    def close(self) -> None:
        """Ends the stream at once and closes the source. Idempotent."""
        self._is_closed = True
        close = getattr(self._items, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self._resources.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DepthFrame:
        if self._first is not None:
            item, self._first = self._first, None
            return item
        try:
            return next(self._items)
        except BaseException:
            self.close()
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DepthFrame:
        item = await asyncio.to_thread(next, self, None)
        if item is None:
            raise StopAsyncIteration
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stream(
    source: Input, model: Model = "nano", *, sinks: Sequence[Sink] = (), **keywords: Unpack[StreamKeywords]
) -> DepthStream:
    """Returns the frames of a source with steady depth, to be iterated over.

    >>> for item in sd.stream("samples/room.mp4", smooth="strong", max_frames=2):
    ...     item.depth.dtype, item.frame.index
    (dtype('float32'), 0)
    (dtype('float32'), 1)

    Args:
        source: a camera's number, a path, a pattern, an address, or a Source, such as `from_frames` returns.
        model: a name, or a loaded model or an estimator, which is then used and not closed.
        sinks: sinks of one's own, each of which gets every item before it is yielded.
        keywords: any setting but outputs.

    Raises:
        ConfigError: a keyword does not fit. Errors of source and model come with `info` or the first item.
    """
    settings, source_object = _settings_of(source, model, keywords)
    if factory.has_outputs(settings) or settings.outputs.stats:
        raise ConfigError("stream() yields frames and writes nothing; use convert() for outputs", code="has-outputs")
    return DepthStream(settings, source_object, _estimator_of(model), sinks)


def convert(
    source: Input,
    output: str | Path | None = None,
    model: Model = "nano",
    *,
    sinks: Sequence[Sink] = (),
    **keywords: Unpack[ConvertKeywords],
) -> Report:
    """Converts a source to files, or sends it to a server, and returns what happened. Ctrl-C ends with complete files.

    >>> report = sd.convert("samples/room.mp4", "out.mp4", depth_out="depth.mkv", max_frames=3)
    >>> report.read, report.written, report.model
    (3, 3, 'nano')

    Args:
        source: a camera's number, a path, a pattern, an address, or a Source, such as `from_frames` returns.
        output: a video to watch or an address to send it to; None where `sinks` or keywords name outputs.
        model: a name, or a loaded model or an estimator, which is then used and not closed.
        sinks: sinks of one's own beside it.
        keywords: any setting.

    Raises:
        ConfigError: a keyword does not fit, or there is no output. SourceError, EstimatorError and SinkError come from
            the stages.
    """
    settings, source_object = _settings_of(source, model, {"output": output, **keywords})
    if not (sinks or factory.has_outputs(settings)):
        raise ConfigError("convert() needs an output: a path, depth_out=..., or sinks=[...]", code="no-output")
    stats = ReportFile(settings)
    with (
        factory.open_pipeline(settings, source=source_object, estimator=_estimator_of(model), sinks=sinks) as pipeline,
        stop_on_interrupt(pipeline.stop),
    ):
        try:
            return pipeline.run()
        finally:
            stats.write(pipeline.report())


def from_frames(
    frames: Iterable[Any],
    *,
    fps: float | Fraction = 30,
    color: ColorOrder = "rgb",
    name: str = "frames",
    is_live: bool = False,
) -> Source:
    """Returns a source of pictures that a program makes or holds, for `stream` and `convert`.

    >>> pictures = (np.full((48, 64, 3), 10 * i, np.uint8) for i in range(3))
    >>> [item.frame.time for item in sd.stream(sd.from_frames(pictures, fps=10))]
    [0.0, 0.1, 0.2]

    Args:
        frames: arrays (H, W, 3) or gray (H, W), uint8.
        fps: frames per second.
        color: order of the channels; "bgr" for pictures of OpenCV.
        name: what to call the stream.
        is_live: True gives frames the time of their arrival and drops those that the model is too slow for.
    """
    return ArraySource(frames, fps=fps, color=color, name=name, is_live=is_live)


def _settings_of(source: object, model: Model, keywords: Any) -> tuple[config.Settings, Source | None]:
    name = "nano" if isinstance(model, (DepthModel, Estimator)) else str(model)
    if isinstance(source, Source):
        return config.make(model=name, **keywords), source
    if not isinstance(source, (str, int, Path)):
        raise ConfigError(
            f"a source is a path, an address, a camera's number or a Source, not a {type(source).__name__}; "
            "from_frames() makes one of arrays",
            code="bad-source",
        )
    return config.make(source=str(source), model=name, **keywords), None


def _estimator_of(model: Model) -> Estimator | None:
    return model.estimator if isinstance(model, DepthModel) else model if isinstance(model, Estimator) else None
