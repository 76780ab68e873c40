"""Makes objects from settings: the only folder that knows every class by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator, Source
from streamdepth.core.sink import Sink
from streamdepth.core.states import StateChange
from streamdepth.core.types import DepthFrame
from streamdepth.core.wrappers import LazyEstimator
from streamdepth.factory.control_video import with_target
from streamdepth.factory.load_control import make_adaptive_estimator, make_load_controller, update_load
from streamdepth.factory.metric_references import make_metric_reference
from streamdepth.factory.models import make_estimator, make_network, make_network_estimator
from streamdepth.factory.naming import stream_names
from streamdepth.factory.outputs import (
    check_output_names,
    display_range_setting,
    has_outputs,
    make_file_sinks,
    make_folder,
    make_sinks,
)
from streamdepth.factory.render_options import check_stereo_settings, make_render_options
from streamdepth.factory.sensor_depth import make_sensor_estimator, with_sparse_pictures
from streamdepth.factory.sources import is_picture, is_recorded, is_video_file, make_source, with_black_bars, with_clip
from streamdepth.factory.streams import plan_streams
from streamdepth.factory.zones import check_zone_outputs, make_zone_sink
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.stabilizers import FlowPropagator, MotionTracker, make_stabilizer
from streamdepth.utils.redact import redact

__all__ = [
    "has_outputs",
    "is_picture",
    "is_recorded",
    "is_video_file",
    "make_estimator",
    "make_file_sinks",
    "make_folder",
    "make_network",
    "make_network_estimator",
    "make_pipeline",
    "make_sinks",
    "make_source",
    "make_zone_sink",
    "open_pipeline",
    "stream_names",
]


@contextmanager
def open_pipeline(
    settings: Settings,
    on_written: Callable[[DepthFrame], None] | None = None,
    *,
    source: Source | None = None,
    estimator: Estimator | None = None,
    sinks: Sequence[Sink] = (),
) -> Iterator[Pipeline]:
    """Yields a pipeline that is ready to run, and closes its model afterwards.

    Args:
        settings: everything that is not given as an object; files are opened when the pipeline runs.
        on_written: called with every frame that all sinks have got.
        source: read instead of the settings' sources.
        estimator: used instead of the settings' model, and not closed at the end; a sensor's depth wins over it.
        sinks: fed beside those of the settings; for one stream only.

    Raises:
        ConfigError: if settings do not fit together. Codes: "no-source", "several-streams", and those of the parts.
    """
    if source is None and not settings.source:
        raise ConfigError("no source was given; name a camera's number, a file, a folder or a URL", code="no-source")
    if settings.cluster and estimator is None:
        raise ConfigError(
            "only the commands convert and run share their work on a cluster; leave cluster out", code="cluster"
        )
    settings = with_target(settings)
    estimator = make_sensor_estimator(settings) or estimator
    check_output_names(settings)
    check_stereo_settings(settings)
    check_zone_outputs(settings)
    streams = _make_streams(settings, source)
    if sinks:
        if len(streams) > 1:
            raise ConfigError("sinks of one's own belong to one stream; give one source", code="several-streams")
        streams[0].sinks = [*streams[0].sinks, *sinks]

    def load(wanted: Settings) -> Estimator:
        return make_estimator(_with_throughput(wanted, streams))

    controller = make_load_controller(settings, len(streams), can_load=estimator is None)
    model: Estimator = (
        make_adaptive_estimator(controller, settings, load) if controller else LazyEstimator(lambda: load(settings))
    )

    def on_frame_written(item: DepthFrame) -> None:
        if on_written is not None:
            on_written(item)
        if controller:
            update_load(controller, pipeline, item)

    callback = on_frame_written if controller else on_written
    pipeline = make_pipeline(streams, estimator or model, settings, on_written=callback)
    try:
        yield pipeline
    finally:
        if not pipeline.has_left_threads:
            model.close()


def make_pipeline(
    streams: Sequence[Stream],
    estimator: Estimator,
    settings: Settings,
    *,
    on_written: Callable[[DepthFrame], None] | None = None,
    on_state: Callable[[Stream, StateChange], None] | None = None,
) -> Pipeline:
    """Returns a pipeline that runs these streams as the settings say."""
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


def _with_throughput(settings: Settings, streams: Sequence[Stream]) -> Settings:
    """Decides `throughput` once the sources are open: latency matters for live frames, and for one frame at a time."""
    if settings.model.throughput is not None:
        return settings
    is_offline = not settings.inference.fps and not any(stream.needs_low_latency for stream in streams)
    return settings.replace(throughput=is_offline)


def _make_streams(settings: Settings, source: Source | None) -> list[Stream]:
    if source is not None:
        return [_make_stream(with_sparse_pictures(source, settings), type(source).__name__, None, settings)]
    return [
        _make_stream(make_source(address, its), redact(address), name, its, is_file=is_recorded(address))
        for address, name, its in plan_streams(settings)
    ]


def _make_stream(source: Source, title: str, name: str | None, settings: Settings, *, is_file: bool = False) -> Stream:
    from streamdepth.render.overlay import check_render_options

    check_render_options(make_render_options(settings))
    tracker = MotionTracker()
    drawn_range = display_range_setting(settings, is_file=is_file)
    reference, max_scale_error = make_metric_reference(settings), settings.metric.max_scale_error
    is_sensor = settings.metric.depth_from is not None
    stabilizer = make_stabilizer(settings.smooth, drawn_range, reference, tracker, max_scale_error, is_sensor)
    propagator = FlowPropagator(tracker=tracker) if settings.inference.fps else None
    sinks = make_sinks(settings, name)
    if settings.zones.areas:
        sinks.append(make_zone_sink(settings, name))
    for sink in sinks:
        sink.check()
    source = with_black_bars(with_clip(source, settings), settings)
    if settings.realtime or settings.outputs.push:
        from streamdepth.sources.realtime import RealtimeSource

        has_recorder = not all(sink.can_drop_frames for sink in sinks)
        source = RealtimeSource(source, may_drop=settings.realtime or not has_recorder)
    return Stream(source, stabilizer, sinks, propagator, title)
