"""The status as Prometheus metrics, written by Prometheus' own client library."""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import attrgetter, itemgetter

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from streamdepth.apps.web.schemas import StatusOut, StreamOut
from streamdepth.apps.web.session import WebSession
from streamdepth.core.states import StreamState
from streamdepth.utils.gpu_load import read_gpu_loads

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(status: StatusOut, session: WebSession) -> bytes:
    """Returns the current values of all metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_StatusCollector(status, session))
    ProcessCollector(namespace="streamdepth", registry=registry)
    return generate_latest(registry)


_MODEL_LABELS = ("name", "engine", "device", "precision", "size")
_STREAM_METRICS = (
    (CounterMetricFamily, "frames_read", "Frames that the source had.", attrgetter("read")),
    (CounterMetricFamily, "frames_written", "Frames that came out with depth.", attrgetter("written")),
    (CounterMetricFamily, "reconnects", "How often a lost stream came back.", attrgetter("reconnects")),
    (GaugeMetricFamily, "fps", "Frames a second that came out lately.", attrgetter("fps")),
    (GaugeMetricFamily, "viewers", "Pages and players that watch the stream.", attrgetter("viewers")),
    (GaugeMetricFamily, "recording", "1 while the stream is recorded.", attrgetter("recording.active")),
    (GaugeMetricFamily, "paused", "1 while the stream is paused.", attrgetter("controls.paused")),
)
"""Kind of metric, its name, its help text, and how to get it from a stream's status."""
_GPU_METRICS = (
    ("gpu_memory_used_bytes", "Memory of a GPU that is in use.", attrgetter("memory_used_bytes")),
    ("gpu_memory_total_bytes", "Memory of a GPU.", attrgetter("memory_total_bytes")),
    ("gpu_compute_share", "Share of time in which a GPU computes, 0 to 1.", attrgetter("compute_share")),
    ("gpu_decoder_share", "Share of time in which a GPU decodes video, 0 to 1.", attrgetter("decoder_share")),
    ("gpu_encoder_share", "Share of time in which a GPU encodes video, 0 to 1.", attrgetter("encoder_share")),
)
"""The name of a gauge, its help text, and how to get it from a GPU's load."""
_ZONE_METRICS = (
    (
        GaugeMetricFamily,
        "nearest",
        "Nearest depth in a zone, in the unit; NaN where it is unknown or too far.",
        itemgetter("nearest"),
    ),
    (
        GaugeMetricFamily,
        "median",
        "Median depth in a zone, in the unit; NaN where it is unknown or too far.",
        itemgetter("median"),
    ),
    (GaugeMetricFamily, "trend", "Change of the nearest depth in a zone per second, in the unit.", itemgetter("trend")),
    (GaugeMetricFamily, "known", "Share of a zone's pixels whose depth is known.", itemgetter("known")),
    (GaugeMetricFamily, "occupied", "1 while something is in the zone.", itemgetter("occupied")),
    (CounterMetricFamily, "entered", "How often something entered the zone.", itemgetter("entered")),
)
"""Kind of metric, its name, its help text, and how to get it from a zone's status."""


class _StatusCollector:
    """A collector of one status."""

    def __init__(self, status: StatusOut, session: WebSession) -> None:
        self._status, self._session = status, session

    def collect(self) -> Iterator[Metric]:
        model = self._status.model
        info = InfoMetricFamily("streamdepth_model", "The model in use.")
        info.add_metric([], {k: str(v) for k, v in model if k in _MODEL_LABELS and v is not None})
        yield info
        uptime = self._status.uptime_seconds
        yield GaugeMetricFamily("streamdepth_uptime_seconds", "Seconds since the start.", value=uptime)
        yield from _stream_metrics(self._status.streams)
        yield from _gpu_metrics()
        yield self._latency()

    def _latency(self) -> Metric:
        """Returns quantiles since the start, from the pipeline's own histograms."""
        family = GaugeMetricFamily(
            "streamdepth_latency_seconds",
            "Latency by stage, of all streams; total is from the decoder to the sinks.",
            labels=["stage", "quantile"],
        )
        for stage, percentiles in self._session.pipeline.stats.latency_ms().items():
            for name, value in percentiles.items():
                family.add_metric([stage, f"0.{name[1:]}"], value / 1e3)
        return family


def _stream_metrics(streams: list[StreamOut]) -> Iterator[Metric]:
    for kind, name, text, value_of in _STREAM_METRICS:
        family = kind(f"streamdepth_{name}", text, labels=["stream"])
        for stream in streams:
            family.add_metric([stream.name], value_of(stream))
        yield family
    yield from _zone_metrics(streams)
    yield _dropped_frames(streams)
    yield _states(streams)


def _gpu_metrics() -> Iterator[Metric]:
    """Yields the known load figures of this machine's GPUs."""
    loads = read_gpu_loads()
    for name, text, value_of in _GPU_METRICS if loads else ():
        family = GaugeMetricFamily(f"streamdepth_{name}", text, labels=["gpu"])
        for load in loads:
            if (value := value_of(load)) is not None:
                family.add_metric([load.name], value)
        yield family


def _zone_metrics(streams: list[StreamOut]) -> Iterator[Metric]:
    for kind, name, text, value_of in _ZONE_METRICS:
        family = kind(f"streamdepth_zone_{name}", text, labels=["stream", "zone", "unit"])
        for stream in streams:
            for zone in stream.zones:
                value = value_of(zone)
                family.add_metric([stream.name, zone["name"], zone["unit"]], math.nan if value is None else value)
        yield family


def _dropped_frames(streams: list[StreamOut]) -> Metric:
    family = CounterMetricFamily("streamdepth_frames_dropped", "Frames dropped, by cause.", labels=["stream", "cause"])
    for stream in streams:
        for cause, count in stream.dropped.items():
            family.add_metric([stream.name, cause], count)
    return family


def _states(streams: list[StreamOut]) -> Metric:
    family = GaugeMetricFamily("streamdepth_state", "1 for the state a stream is in.", labels=["stream", "state"])
    for stream in streams:
        for state in StreamState:
            family.add_metric([stream.name, state.value], float(stream.state == state.value))
    return family
