"""Builds the status of a session, which the page, the API and the metrics show."""

from __future__ import annotations

from dataclasses import asdict

from streamdepth.apps.web.schemas import (
    ChoicesOut,
    ControlsOut,
    ModelOut,
    RecordingOut,
    SecondOut,
    StatusOut,
    StreamOut,
    ZoneOut,
)
from streamdepth.apps.web.session import WebSession, WebStream
from streamdepth.apps.web.zone_history import WatchedZone
from streamdepth.core.version import __version__
from streamdepth.pipeline.report import Report, StreamReport
from streamdepth.sinks.zones.records import depth_figure, finite, zone_depth


def build_status(session: WebSession, viewers: dict[str, int], sequence: int) -> StatusOut:
    """Builds the current status.

    Args:
        session: the session to describe.
        viewers: name of a stream -> number of its viewers.
        sequence: number of this status, see `StatusOut.sequence`.
    """
    report = session.pipeline.report()
    pairs = zip(session.streams.values(), report.streams, strict=True)
    choices = session.choices
    return StatusOut(
        sequence=sequence,
        version=__version__,
        uptime_seconds=round(report.seconds, 1),
        model=_model_status(session, report),
        streams=[_stream_status(stream, facts, viewers.get(stream.name, 0)) for stream, facts in pairs],
        choices=ChoicesOut(
            style=list(choices.style),
            smooth=list(choices.smooth),
            colormap=list(choices.colormap),
            size=list(choices.size),
        ),
        hold_last=session.hold_last,
    )


def _model_status(session: WebSession, report: Report) -> ModelOut:
    return ModelOut(
        name=report.model,
        engine=report.engine,
        device=report.device,
        precision=report.precision,
        size=session.estimator.current,
        switching=session.estimator.is_switching,
        failure=session.model_failures[-1] if session.model_failures else "",
    )


def _stream_status(stream: WebStream, facts: StreamReport, viewers: int) -> StreamOut:
    live, recorder = stream.live, stream.recorder
    info, newest = live.info, live.newest
    item = newest.item if newest else None
    kind = item.kind if item else None
    return StreamOut(
        name=stream.name,
        title=stream.title,
        state=facts.state.value,
        reason=stream.hide_folders(facts.reason),
        width=info.width if info else None,
        height=info.height if info else None,
        kind=kind.value if kind else None,
        unit=kind.unit if kind else None,
        scale_sigma=finite(item.scale_sigma if item else None),
        metric_residual=finite(item.metric_residual if item else None),
        evidence_age_seconds=finite(item.evidence_age_seconds if item else None),
        is_withheld=item is not None and item.is_withheld,
        fps=round(live.history.fps, 1),
        read=facts.read,
        written=facts.written,
        dropped=facts.dropped,
        reconnects=facts.reconnects,
        viewers=viewers,
        is_browser_camera=stream.browser_source is not None,
        controls=ControlsOut(**asdict(stream.controls.value)),
        recording=RecordingOut(
            active=recorder.is_recording,
            seconds=round(recorder.recorded_seconds, 1),
            failure=stream.hide_folders(recorder.failure),
        ),
        zones=[_zone_status(watched) for watched in stream.zone_histories.zones(z.name for z in stream.zones.zones)],
        history=[SecondOut(frames=s.frames, latency_ms=s.latency_ms) for s in live.history.seconds()],
    )


def _zone_status(watched: WatchedZone) -> ZoneOut:
    state, zone = watched.state, watched.state.zone
    return ZoneOut(
        name=zone.name,
        text=str(zone),
        corners=list(zone.corners),
        near=zone.near,
        **zone_depth(state),
        entered=watched.entered,
        history=[(second, depth_figure(value, state.unit)) for second, value in watched.nearest],
    )
