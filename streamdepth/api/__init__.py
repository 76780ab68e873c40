"""The Python interface: load a model, estimate pictures, iterate over streams, convert files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from streamdepth import config, factory
from streamdepth.api.depth_model import Depth, DepthModel
from streamdepth.api.depth_stream import DepthStream
from streamdepth.config.keywords import ConvertKeywords, EstimateKeywords, StreamKeywords
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator, Source
from streamdepth.core.sink import Sink
from streamdepth.factory.pictures import shared_estimator
from streamdepth.factory.report_file import ReportFile
from streamdepth.pipeline.report import Report
from streamdepth.sources.arrays import ArraySource, ColorOrder
from streamdepth.utils.interrupts import stop_on_interrupt

if TYPE_CHECKING:
    from streamdepth.api.depth_model import Picture

__all__ = ["Depth", "DepthModel", "DepthStream", "convert", "estimate", "from_frames", "load_model", "stream"]

Input: TypeAlias = str | int | Path | Source
"""A camera's number, a path, a pattern, an address, or a source of one's own."""
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
    """Returns the depth of one picture; the last few models stay loaded for the next call.

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
    """Converts a source to files, or sends it to a server, and returns the report. Ctrl-C ends with complete files.

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
        name: name of the stream.
        is_live: True gives frames the time of their arrival and drops frames when the model is too slow.
    """
    return ArraySource(frames, fps=fps, color=color, name=name, is_live=is_live)


def _settings_of(source: object, model: Model, keywords: Any) -> tuple[config.Settings, Source | None]:
    name = "nano" if isinstance(model, Estimator) else model.info.name if isinstance(model, DepthModel) else str(model)
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
