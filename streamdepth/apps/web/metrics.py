"""The same facts for Prometheus, by its own client library."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from streamdepth.apps.web.schemas import StatusOut, StreamOut
from streamdepth.apps.web.served import Served
from streamdepth.core.states import StreamState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(status: StatusOut, served: Served) -> bytes:
    """All metrics of now, as text."""
    registry = CollectorRegistry()
    registry.register(_Facts(status, served))
    ProcessCollector(namespace="streamdepth", registry=registry)
    return generate_latest(registry)


_MODEL_FACTS = ("name", "engine", "device", "precision", "size")
_BY_STREAM = (
    (CounterMetricFamily, "frames_read", "Frames that the source had.", attrgetter("read")),
    (CounterMetricFamily, "frames_written", "Frames that came out with depth.", attrgetter("written")),
    (CounterMetricFamily, "reconnects", "How often a lost stream came back.", attrgetter("reconnects")),
    (GaugeMetricFamily, "fps", "Frames a second that came out lately.", attrgetter("fps")),
    (GaugeMetricFamily, "viewers", "Pages and players that look on.", attrgetter("viewers")),
    (GaugeMetricFamily, "recording", "Whether it is being recorded.", attrgetter("recording.active")),
    (GaugeMetricFamily, "paused", "Whether it is paused.", attrgetter("controls.paused")),
)


class _Facts:
    """Hands over one status, once."""

    def __init__(self, status: StatusOut, served: Served) -> None:
        self._status, self._served = status, served

    def collect(self) -> Iterator[Metric]:
        model = self._status.model
        info = InfoMetricFamily("streamdepth_model", "The model at work.")
        info.add_metric([], {k: str(v) for k, v in model if k in _MODEL_FACTS and v is not None})
        yield info
        yield GaugeMetricFamily("streamdepth_uptime_seconds", "Since the start.", value=self._status.seconds)
        yield from _of_streams(self._status.streams)
        yield self._latency()

    def _latency(self) -> Metric:
        """Quantiles since the start, from the pipeline's own histograms."""
        family = GaugeMetricFamily(
            "streamdepth_latency_seconds", "By stage, of all streams; total is from decoder to sinks.",
            labels=["stage", "quantile"],
        )  # fmt: skip
        for stage, percentiles in self._served.pipeline.stats.latency_ms().items():
            for name, value in percentiles.items():
                family.add_metric([stage, f"0.{name[1:]}"], value / 1e3)
        return family


def _of_streams(streams: list[StreamOut]) -> Iterator[Metric]:
    for kind, name, text, of in _BY_STREAM:
        family = kind(f"streamdepth_{name}", text, labels=["stream"])
        for stream in streams:
            family.add_metric([stream.name], of(stream))
        yield family
    yield _dropped(streams)
    yield _states(streams)


def _dropped(streams: list[StreamOut]) -> Metric:
    family = CounterMetricFamily("streamdepth_frames_dropped", "By cause.", labels=["stream", "cause"])
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
