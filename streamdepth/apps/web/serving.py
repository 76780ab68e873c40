"""From settings to what `streamdepth serve` shows: a pipeline whose streams end in a page."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from streamdepth import factory
from streamdepth.apps.web.controls import Control, ModelControls, StreamControls
from streamdepth.apps.web.live_sink import LiveSink
from streamdepth.apps.web.recorder import Folder, RecorderSink
from streamdepth.apps.web.served import Choices, Served, ServedStream
from streamdepth.apps.web.server import Bind
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator, Sink, Source
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.states import StateChange, StreamState
from streamdepth.estimators.hot_swap import HotSwapEstimator
from streamdepth.factory.metric_references import make_camera_spec, make_metric_reference
from streamdepth.factory.naming import output_names
from streamdepth.factory.outputs import check_output_names
from streamdepth.factory.sources import DEVICE_PREFIXES, with_camera
from streamdepth.pipeline.stream import Stream
from streamdepth.render.overlay import STYLES, check_render_options
from streamdepth.sources.browser import BrowserSource
from streamdepth.sources.looped import LoopedSource
from streamdepth.sources.pausable import PausableSource
from streamdepth.sources.realtime import RealtimeSource
from streamdepth.stabilizers import (
    PRESETS,
    FlowPropagator,
    MotionTracker,
    check_live_settings,
    make_hot_swap_stabilizer,
)
from streamdepth.utils.redact import redact, redact_text

_log = logging.getLogger(__name__)

_COLORMAPS = ("inferno", "magma", "viridis", "turbo", "spectral", "gray")
_SHARES = (0.5, 0.75, 1, 1.5, 2)
"""Of the model's own size."""
_SEGMENT_SECONDS = 600.0
"""A recording begins a new file after so long: a killed process loses no more."""


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    """Everything behind the page, ready to run. Raises ConfigError.

    Files repeat and play at their own pace; a camera that is not there is waited for, and the page says so.
    """
    if not settings.source and not settings.web.browser_camera:
        raise ConfigError("no source was given; name a camera's number, a file or a URL, or use --browser-camera")
    check_output_names(settings)
    settings = patient(settings).replace(wait_for_sources=True)
    model = Control(ModelControls(settings.model.size))
    failures: list[str] = []
    estimator = _estimator(settings, model, failures)
    folder = Folder(settings.web.folder, min_free_bytes=settings.outputs.min_free_mb * 1e6)
    sources = _sources(settings)
    outputs = output_names(settings, list(sources))
    pairs = [
        _stream(name, address, settings, folder, factory.make_sinks(settings, output))
        for (name, address), output in zip(sources.items(), outputs, strict=True)
    ]
    pipeline = factory.make_pipeline([stream for _, stream in pairs], estimator, settings, on_state=_tell_waiting)
    try:
        streams = {served.name: served for served, _ in pairs}
        hold_last = settings.outputs.hold_last
        yield Served(streams, model, estimator, pipeline, folder, _choices(settings), hold_last, failures)
    finally:
        estimator.close()


def _tell_waiting(stream: Stream, change: StateChange) -> None:
    if change.state is StreamState.CONNECTING and change.reason:
        _log.warning("waiting for %s: %s", stream.title, change.reason)


def patient(settings: Settings) -> Settings:
    """A page outlives its cameras: those that are lost are tried for ever, unless the user has set a limit."""
    sections = {"network": settings.network, "camera": settings.camera}
    return settings.model_copy(
        update={
            name: section.model_copy(update={"reconnect_seconds": math.inf})
            for name, section in sections.items()
            if "reconnect_seconds" not in section.model_fields_set
        }
    )


def bind_of(settings: Settings) -> Bind:
    """Where to listen."""
    web = settings.web
    return Bind(
        host=web.host,
        port=web.port,
        token=web.token,
        names=web.allow_host,
        certificate=web.certificate,
        key=web.key,
        most_viewers=web.max_viewers,
    )


def _sources(settings: Settings) -> dict[str, str | None]:
    """Name -> address; None is a browser's camera."""
    addresses = [*settings.source, *[None] * settings.web.browser_camera]
    return dict(zip(factory.stream_names([address or "browser" for address in addresses]), addresses, strict=True))


def _stream(
    name: str, address: str | None, settings: Settings, folder: Folder, outputs: Sequence[Sink]
) -> tuple[ServedStream, Stream]:
    first = StreamControls(settings.render.style, settings.render.colormap, settings.smooth, settings.render.range)
    control, tracker = Control(first, _check), MotionTracker()
    live, recorder = LiveSink(), RecorderSink(folder, name, partial(_recording, settings))
    browser = _browser(settings) if address is None else None
    stabilizer = make_hot_swap_stabilizer(
        lambda: control.value.smooth, lambda: control.value.range, make_metric_reference(settings), tracker
    )
    source = with_camera(browser, settings) if browser else _played(address or "", settings)
    stream = Stream(
        PausableSource(source, lambda: control.value.paused),
        stabilizer,
        [*outputs, recorder, live],
        FlowPropagator(tracker=tracker) if settings.inference.fps else None,
        redact(address) if address else "browser camera",
    )
    discreet = _without([_folder_of(address), str(folder.path.parent), str(Path.cwd())])
    return ServedStream(name, _title(address), control, live, recorder, browser, discreet), stream


def _browser(settings: Settings) -> BrowserSource:
    """As large as the settings' camera, where they name one, until its first picture comes."""
    size = make_camera_spec(settings).size
    return BrowserSource(size=size) if size else BrowserSource()


def _played(address: str, settings: Settings) -> Source:
    return RealtimeSource(LoopedSource(factory.make_source(address, settings)))


def _recording(settings: Settings, base: Path, options: RenderOptions) -> list[Sink]:
    """A video to look at, and the depth, as `convert` would write them."""
    recording = settings.replace(
        output=base.with_name(f"{base.name}.mp4"),
        depth_out=base.with_name(f"{base.name}_depth.mkv"),
        style=options.style,
        colormap=options.colormap,
        segment=settings.outputs.segment or _SEGMENT_SECONDS,
        overwrite=False,
        resume=False,
    )
    return factory.make_file_sinks(recording)


def _title(address: str | None) -> str:
    if address is None:
        return "browser camera"
    if address.isdecimal():
        return f"camera {address}"
    folder = _folder_of(address)
    return redact(address[len(folder) :].lstrip("/") if folder else address)


def _folder_of(address: str | None) -> str:
    """The folder in the address of a file; empty where there is none."""
    if address is None or "://" in address or address.startswith(DEVICE_PREFIXES):
        return ""
    return os.path.dirname(address.partition("#/")[0].rstrip("/"))


def _without(folders: Sequence[str]) -> Callable[[str], str]:
    """What takes these folders out of a message."""
    known = sorted({folder for folder in folders if folder.strip("/.")}, key=len, reverse=True)
    quoted = re.compile(rf"(?<![\w/])(?:{'|'.join(map(re.escape, known))})(?=[/\\)'\"]|$)")
    return (lambda message: quoted.sub("…", message)) if known else str


def _check(wanted: StreamControls) -> None:
    check_render_options(RenderOptions(wanted.style, wanted.colormap))  # type: ignore[arg-type]  # checked here
    check_live_settings(wanted.smooth, wanted.range)


def _estimator(settings: Settings, model: Control[ModelControls], failures: list[str]) -> HotSwapEstimator[int | None]:
    def load(size: int | None) -> Estimator:
        return factory.make_estimator(settings.replace(size=size))

    def failed(size: int | None, error: BaseException) -> None:
        text = f"{size} px cannot be used: {redact_text(str(error))}"
        _log.warning("%s", text)
        if model.take_back(ModelControls(size), ModelControls(estimator.current)):
            failures.append(text)

    estimator = HotSwapEstimator(lambda: model.value.size, load, failed)
    return estimator


def _choices(settings: Settings) -> Choices:
    smooth = [name for name in PRESETS if name != "offline"]
    colormaps = list(dict.fromkeys([*_COLORMAPS, settings.render.colormap]))
    return Choices(smooth, STYLES, colormaps, model_sizes(settings.model.name, settings.model.size))


def model_sizes(model: str, own: int | None) -> Sequence[int]:
    """px of the short side that a model of the catalogue, or nano with other weights, can be switched to."""
    from streamdepth.estimators.catalog import CATALOG, find_entry

    entry = CATALOG["nano"] if Path(model).suffix == ".safetensors" else find_entry(model)
    if entry is None or entry.size is None:
        return []
    short = entry.size if isinstance(entry.size, int) else min(entry.size)
    sizes = {max(1, round(short * share / entry.size_multiple)) * entry.size_multiple for share in _SHARES}
    return sorted(sizes | ({own} if own else set()))
