"""The last lines of a run: its course, and the place, duration and size of its result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from streamdepth.config import Settings
from streamdepth.core.types import DepthKind
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.pipeline.report import Report, stream_notices
from streamdepth.utils.redact import redact, redact_text


def summary_lines(
    settings: Settings,
    pipeline: Pipeline,
    report: Report,
    seconds: float = 0.0,
    *,
    notes: Sequence[str] = (),
    is_verbose: bool = False,
) -> list[str]:
    """Returns the lines about a run that has ended, the last one about its result.

    Args:
        settings: the settings of the run.
        pipeline: the pipeline that has run.
        report: its report.
        seconds: duration of what was written, on the source's clock; 0 where it is not known.
        notes: lines to put before the last one.
        is_verbose: adds a line about the engine and latencies.
    """
    lines = [engine_line(report, pipeline.estimator.info.reason)] if is_verbose else []
    lines += stream_lines(report)
    if report.model == "nano":
        lines.append(_better_model())
    return [*lines, *notes, _result_line(settings, pipeline, report, seconds)]


def note_lines(pipeline: Pipeline) -> list[str]:
    """Returns a line for each notice of a run: what was left out, changed or repaired."""
    return [f"note: {redact_text(text)}" for text in dict.fromkeys(stream_notices(pipeline.streams))]


def engine_line(report: Report, reason: str = "") -> str:
    """Returns one line: the model, its engine and device, the reason for these, and latencies."""
    total = report.latency_ms.get("total", {})
    return (
        f"{report.model} on {report.engine} {report.device} {report.precision}{f' ({reason})' if reason else ''}, "
        f"latency p50 {total.get('p50', 0):.0f} ms p95 {total.get('p95', 0):.0f} ms"
        + (f"; {report.inferred} inferred, {report.propagated} propagated" if report.propagated else "")
    )


def frames_line(report: Report) -> str:
    """Returns the number of written frames, their rate, and the numbers of frames left out by cause."""
    drops = ", ".join(f"{n} {cause.replace('_', ' ')}" for cause, n in report.dropped.items())
    return (
        f"{report.written} of {report.read} frames in {report.seconds:.1f} s ({report.fps:.1f} fps)"
        + (f"; left out: {drops}" if drops else "")
        + (f"; came back {report.reconnects} times" if report.reconnects else "")
    )


def stream_lines(report: Report) -> list[str]:
    """Returns a line about each of several streams; nothing for a single one."""
    lines = []
    for stream in report.streams if len(report.streams) > 1 else ():
        back = f", came back {stream.reconnects} times" if stream.reconnects else ""
        why = f": {stream.reason}" if stream.reason else ""
        lines.append(f"{stream.name}: {stream.written} of {stream.read} frames{back}, {stream.state}{why}")
    return lines


def _better_model() -> str:
    from streamdepth.estimators.catalog import free_alternative

    return f"for better depth, download a larger model: --model {free_alternative(DepthKind.RELATIVE)}"


def _result_line(settings: Settings, pipeline: Pipeline, report: Report, seconds: float) -> str:
    outputs = ", ".join(_outputs(settings))
    facts = [f"{seconds:.1f} s"] if seconds else []
    if is_partial(pipeline, report):
        facts.insert(0, "partial, because it was stopped" if pipeline.is_stopped else "partial")
    told = f" ({', '.join(facts)})" if facts else ""
    return f"{outputs}{told}: {frames_line(report)}" if outputs else f"{frames_line(report)}{told}"


def is_partial(pipeline: Pipeline, report: Report) -> bool:
    """True if less was written than the sources announced, because the run was stopped or a source was lost."""
    expected = pipeline.expected_frames
    if expected is None or not (pipeline.is_stopped or report.notices):
        return False
    is_live = any(stream.is_live for stream in pipeline.streams)
    return not is_live and report.read + sum(report.dropped.values()) < expected


def _outputs(settings: Settings) -> Iterator[str]:
    """Yields each output, files with their size."""
    outputs = settings.outputs
    for path in (outputs.video, outputs.depth, outputs.points, outputs.mesh):
        if path is not None:
            yield "standard output" if path == Path("-") else f"{path}{_size(path)}"
    yield from (redact(address) for address in (*outputs.push, *outputs.publish))


def _size(path: Path) -> str:
    try:
        size: float = path.stat().st_size if path.is_file() else 0
    except (OSError, ValueError):
        return ""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            break
        size, unit = size / 1000, {"B": "kB", "kB": "MB", "MB": "GB"}[unit]
    return f", {size:.3g} {unit}" if size else ""
