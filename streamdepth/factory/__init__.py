"""From settings to objects: the only folder that knows every class by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator, Sink, Source
from streamdepth.core.states import StateChange
from streamdepth.core.types import DepthFrame
from streamdepth.core.wrappers import LazyEstimator
from streamdepth.factory.describe import describe
from streamdepth.factory.load_control import keep_pace, make_pace, make_paced
from streamdepth.factory.models import make_estimator, make_network, make_network_estimator
from streamdepth.factory.naming import named, stems
from streamdepth.factory.outputs import check_names, has_outputs, make_folder, make_recorders, make_sinks
from streamdepth.factory.references import make_reference
from streamdepth.factory.sources import is_file, is_picture, make_source
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.stabilizers import FlowPropagator, MotionTracker, make_stabilizer
from streamdepth.utils.redact import redact

__all__ = [
    "describe",
    "has_outputs",
    "is_file",
    "is_picture",
    "make_estimator",
    "make_folder",
    "make_network",
    "make_network_estimator",
    "make_pipeline",
    "make_recorders",
    "make_sinks",
    "make_source",
    "pipeline",
    "stems",
]


@contextmanager
def pipeline(
    settings: Settings,
    on_written: Callable[[DepthFrame], None] = lambda _: None,
    *,
    source: Source | None = None,
    estimator: Estimator | None = None,
    sinks: Sequence[Sink] = (),
) -> Iterator[Pipeline]:
    """Makes a pipeline that is ready to run. Raises ConfigError for settings that do not fit.

    Args:
        settings: everything that is not given as an object.
        on_written: called with each finished item.
        source: read instead of the settings' sources.
        estimator: used instead of the settings' model, and not closed at the end as that is.
        sinks: fed beside those of the settings; for one stream only.
    """
    if source is None and not settings.source:
        raise ConfigError("no source was given; name a camera's number, a file, a folder or a URL")
    if settings.cluster and estimator is None:
        raise ConfigError("only the commands convert and run share their work on a cluster; leave cluster out")
    check_names(settings)
    if source is not None:
        streams = [_make_stream(source, type(source).__name__, None, settings)]
    else:
        streams = [
            _make_stream(make_source(address, settings), redact(address), name, settings)
            for address, name in named(settings)
        ]
    if sinks:
        if len(streams) > 1:
            raise ConfigError("sinks of one's own belong to one stream; give one source", code="several-streams")
        streams[0].sinks = [*streams[0].sinks, *sinks]

    def load(wanted: Settings) -> Estimator:
        return make_estimator(_suiting(streams, wanted))

    pace = make_pace(settings, len(streams), loads_model=estimator is None)
    own = make_paced(pace, settings, load) if pace else LazyEstimator(lambda: load(settings))

    def written(item: DepthFrame) -> None:
        on_written(item)
        if pace:
            keep_pace(pace, made, item)

    try:
        made = make_pipeline(streams, estimator or own, settings, on_written=written)
        yield made
    finally:
        own.close()


def make_pipeline(
    streams: Sequence[Stream],
    estimator: Estimator,
    settings: Settings,
    *,
    on_written: Callable[[DepthFrame], None] = lambda _: None,
    on_state: Callable[[Stream, StateChange], None] = lambda _stream, _change: None,
) -> Pipeline:
    """What runs these streams as the settings say."""
    return Pipeline(
        streams,
        estimator,
        batch=settings.inference.batch,
        max_frames=settings.max_frames,
        max_seconds=settings.max_seconds,
        allow_partial=settings.allow_partial,
        inference_fps=None if settings.inference.fps == "auto" else settings.inference.fps,
        wait_for_sources=settings.wait_for_sources,
        on_written=on_written,
        on_state=on_state,
    )


def _suiting(streams: Sequence[Stream], settings: Settings) -> Settings:
    """With `throughput` decided, once the sources are open: for live frames, and for one at a time, latency matters."""
    if settings.model.throughput is not None:
        return settings
    is_free = not settings.inference.fps and not any(stream.is_timely for stream in streams)
    return settings.replace(throughput=is_free)


def _make_stream(source: Source, title: str, name: str | None, settings: Settings) -> Stream:
    from streamdepth.factory.render_options import make_render_options
    from streamdepth.render.overlay import check_render_options

    check_render_options(make_render_options(settings))
    tracker = MotionTracker()
    stabilizer = make_stabilizer(settings.smooth, settings.render.range, make_reference(settings), tracker)
    propagator = FlowPropagator(tracker=tracker) if settings.inference.fps else None
    sinks = make_sinks(settings, name)
    if settings.realtime or settings.outputs.push:
        from streamdepth.sources.realtime import RealtimeSource

        has_recorder = not all(sink.can_drop_frames for sink in sinks)
        source = RealtimeSource(source, may_drop=settings.realtime or not has_recorder)
    return Stream(source, stabilizer, sinks, propagator, title)
