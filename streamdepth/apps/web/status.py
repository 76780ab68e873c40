"""The facts of now, for the page, the API and the metrics."""

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
)
from streamdepth.apps.web.served import Served, ServedStream
from streamdepth.core.version import __version__
from streamdepth.pipeline.report import Report, StreamReport


def status_of(served: Served, viewers: dict[str, int], number: int) -> StatusOut:
    """viewers: how many look at each stream. number: see `StatusOut`."""
    report = served.pipeline.report()
    pairs = zip(served.streams.values(), report.streams, strict=True)
    choices = served.choices
    return StatusOut(
        number=number,
        version=__version__,
        seconds=round(report.seconds, 1),
        model=_model(served, report),
        streams=[_stream(stream, facts, viewers.get(stream.name, 0)) for stream, facts in pairs],
        choices=ChoicesOut(
            style=list(choices.style),
            smooth=list(choices.smooth),
            colormap=list(choices.colormap),
            size=list(choices.size),
        ),
        hold_last=served.hold_last,
    )


def _model(served: Served, report: Report) -> ModelOut:
    return ModelOut(
        name=report.model,
        engine=report.engine,
        device=report.device,
        precision=report.precision,
        size=served.estimator.current,
        switching=served.estimator.is_switching,
        failure=served.model_failures[-1] if served.model_failures else "",
    )


def _stream(stream: ServedStream, facts: StreamReport, viewers: int) -> StreamOut:
    live, recorder = stream.live, stream.recorder
    info, shot = live.info, live.newest
    kind = shot.item.kind if shot else None
    return StreamOut(
        name=stream.name,
        title=stream.title,
        state=facts.state.value,
        reason=stream.discreet(facts.reason),
        width=info.width if info else None,
        height=info.height if info else None,
        kind=kind.value if kind else None,
        unit=kind.unit if kind else None,
        fps=round(live.history.fps, 1),
        read=facts.read,
        written=facts.written,
        dropped=facts.dropped,
        reconnects=facts.reconnects,
        viewers=viewers,
        camera=stream.browser is not None,
        controls=ControlsOut(**asdict(stream.control.value)),
        recording=RecordingOut(active=recorder.is_recording, failure=stream.discreet(recorder.failure)),
        history=[SecondOut(frames=s.frames, latency_ms=s.latency_ms) for s in live.history.seconds()],
    )
