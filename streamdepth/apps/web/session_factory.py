"""Makes a web session from settings: a pipeline whose streams end in the page's sinks."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from streamdepth import factory
from streamdepth.apps.web.controls import ModelControls, SharedControls, StreamControls
from streamdepth.apps.web.conversions import ConversionQueue, conversion_settings
from streamdepth.apps.web.live_sink import LiveSink
from streamdepth.apps.web.media_folder import MediaFolder
from streamdepth.apps.web.recorder import RecorderSink
from streamdepth.apps.web.server import ServerOptions
from streamdepth.apps.web.session import ControlChoices, WebSession, WebStream
from streamdepth.apps.web.source_titles import folder_hider, folder_of_source, source_title
from streamdepth.apps.web.zone_history import ZoneHistories
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.sink import Sink
from streamdepth.core.states import StateChange, StreamState
from streamdepth.estimators.hot_swap import HotSwapEstimator
from streamdepth.factory.metric_references import make_camera_spec, make_metric_reference
from streamdepth.factory.naming import output_names
from streamdepth.factory.outputs import check_output_names
from streamdepth.factory.render_options import make_render_options
from streamdepth.factory.sensor_depth import make_sensor_estimator
from streamdepth.factory.sources import with_black_bars, with_camera
from streamdepth.factory.streams import given_names, stream_settings
from streamdepth.pipeline.stream import Stream
from streamdepth.render.colors import COMMON_COLORMAPS
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
from streamdepth.utils.numbering import unused_name
from streamdepth.utils.redact import redact, redact_text

_log = logging.getLogger(__name__)

_SIZE_FACTORS = (0.5, 0.75, 1, 1.5, 2)
"""Sizes of the model that the page offers, as multiples of the model's own size."""
_DEFAULT_SEGMENT_SECONDS = 600.0
"""Length of the files of a recording: a killed process loses no more than that."""


@contextmanager
def open_session(settings: Settings) -> Iterator[WebSession]:
    """Yields the session of a pipeline that is ready to run. Raises ConfigError ("no-source").

    Files are looped and play in real time. Missing cameras are waited for, which the page shows.
    """
    if not settings.source and not settings.web.browser_camera:
        raise ConfigError(
            "no source was given; name a camera's number, a file or a URL, or use --browser-camera", code="no-source"
        )
    check_output_names(settings)
    settings = with_endless_reconnects(settings).replace(wait_for_sources=True)
    model_controls = SharedControls(ModelControls(settings.model.size))
    model_failures: list[str] = []
    estimator = _make_estimator(settings, model_controls, model_failures)
    media = MediaFolder(settings.web.folder, min_free_bytes=settings.outputs.min_free_mb * 1e6)
    conversions = ConversionQueue(media, max_bytes=settings.web.max_upload_mb * 1e6)
    named = _named_addresses(settings)
    outputs = output_names(settings, [name for name, *_ in named])
    pairs = [
        _make_stream(name, address, its, media, output)
        for (name, address, its), output in zip(named, outputs, strict=True)
    ]
    pipeline = factory.make_pipeline([stream for _, stream in pairs], estimator, settings, on_state=_warn_if_waiting)
    try:
        yield WebSession(
            streams={web_stream.name: web_stream for web_stream, _ in pairs},
            model_controls=model_controls,
            estimator=estimator,
            pipeline=pipeline,
            media=media,
            choices=_control_choices(settings),
            conversions=conversions,
            conversion_settings=conversion_settings(settings),
            hold_last=settings.outputs.hold_last,
            model_failures=model_failures,
        )
    finally:
        conversions.close()
        estimator.close()


def server_options(settings: Settings) -> ServerOptions:
    """Returns the options of the page's server."""
    web = settings.web
    return ServerOptions(
        host=web.host,
        port=web.port,
        token=web.token,
        host_names=web.allow_host,
        certificate=web.certificate,
        key=web.key,
        max_viewers=web.max_viewers,
    )


def with_endless_reconnects(settings: Settings) -> Settings:
    """Returns settings that never give up a lost camera, unless the user has set a limit."""
    sections = {"network": settings.network, "camera": settings.camera}
    return settings.model_copy(
        update={
            name: section.model_copy(update={"reconnect_seconds": math.inf})
            for name, section in sections.items()
            if "reconnect_seconds" not in section.model_fields_set
        }
    )


def _warn_if_waiting(stream: Stream, change: StateChange) -> None:
    if change.state is StreamState.CONNECTING and change.reason:
        _log.warning("waiting for %s: %s", stream.title, change.reason)


def _named_addresses(settings: Settings) -> list[tuple[str, str | None, Settings]]:
    """Returns the name, the address and the settings of each stream; None stands for a browser's camera."""
    names = given_names(settings)
    found: list[tuple[str, str | None, Settings]] = [
        (name, address, stream_settings(settings, i, name))
        for i, (name, address) in enumerate(zip(names, settings.source, strict=True))
    ]
    if settings.web.browser_camera:
        found.append((unused_name("browser", names), None, settings))
    return found


def _make_stream(
    name: str, address: str | None, settings: Settings, media: MediaFolder, output_name: str | None
) -> tuple[WebStream, Stream]:
    """Makes a stream of the page and its pipeline's stream. `output_name` is the name for `factory.make_sinks`."""
    drawn = make_render_options(settings)
    controls = SharedControls(
        StreamControls(drawn.style, drawn.effective_colormap, drawn.alpha, settings.smooth, settings.render.range),
        _check_stream_controls,
    )
    tracker = MotionTracker()
    live, recorder = LiveSink(), RecorderSink(media, name, partial(_make_recording_sinks, settings))
    histories = ZoneHistories()
    zones = factory.make_zone_sink(settings, output_name, on_states=histories.add_states)
    zones.check()
    browser_source = _make_browser_source(settings) if address is None else None
    stabilizer = make_hot_swap_stabilizer(
        lambda: controls.value.smooth,
        lambda: controls.value.range,
        make_metric_reference(settings),
        tracker,
        settings.metric.max_scale_error,
        is_sensor=settings.metric.depth_from is not None,
    )
    if browser_source:
        source = with_camera(browser_source, settings)
    else:
        source = RealtimeSource(LoopedSource(factory.make_source(address or "", settings)))
    stream = Stream(
        PausableSource(with_black_bars(source, settings), lambda: controls.value.paused),
        stabilizer,
        [*factory.make_sinks(settings, output_name), zones, recorder, live],
        FlowPropagator(tracker=tracker) if settings.inference.fps else None,
        redact(address) if address else "browser camera",
    )
    hide_folders = folder_hider([folder_of_source(address), str(media.path.parent), str(Path.cwd())])
    web_stream = WebStream(
        name,
        source_title(address),
        controls,
        live,
        recorder,
        zones,
        histories,
        browser_source,
        hide_folders,
        drawn,
    )
    return web_stream, stream


def _make_browser_source(settings: Settings) -> BrowserSource:
    """Makes a browser's source, with the size of the settings' camera, if any, until the first picture."""
    size = make_camera_spec(settings).size
    return BrowserSource(size=size) if size else BrowserSource()


def _make_recording_sinks(settings: Settings, base: Path, options: RenderOptions) -> list[Sink]:
    """Makes the sinks of a recording, a drawn video and a depth video, as `convert` does."""
    recording = settings.replace(
        output=base.with_name(f"{base.name}.mp4"),
        depth_out=base.with_name(f"{base.name}_depth.mkv"),
        style=options.style,
        colormap=options.colormap,
        alpha=options.alpha,
        invert=False,  # the colormap is the one that is shown
        zone=tuple(map(str, options.zones)),
        segment=settings.outputs.segment or _DEFAULT_SEGMENT_SECONDS,
        overwrite=False,
        resume=False,
    )
    return factory.make_file_sinks(recording)


def _check_stream_controls(controls: StreamControls) -> None:
    """Raises ConfigError for values that are not allowed while a stream runs."""
    check_render_options(RenderOptions(controls.style, controls.colormap, controls.alpha))  # type: ignore[arg-type]
    check_live_settings(controls.smooth, controls.range)


def _make_estimator(
    settings: Settings, controls: SharedControls[ModelControls], failures: list[str]
) -> HotSwapEstimator[int | None]:
    """Makes the estimator whose size follows the controls; a size that cannot be loaded is added to `failures`."""

    def load(size: int | None) -> Estimator:
        return make_sensor_estimator(settings) or factory.make_estimator(settings.replace(size=size))

    def on_load_failed(size: int | None, error: BaseException) -> None:
        text = f"{size} px cannot be used: {redact_text(str(error))}"
        _log.warning("%s", text)
        if controls.compare_and_set(ModelControls(size), ModelControls(estimator.current)):
            failures.append(text)

    estimator = HotSwapEstimator(lambda: controls.value.size, load, on_load_failed)
    return estimator


def _control_choices(settings: Settings) -> ControlChoices:
    smooth = [name for name in PRESETS if name != "offline"]
    colormaps = list(dict.fromkeys([*COMMON_COLORMAPS, make_render_options(settings).effective_colormap]))
    return ControlChoices(smooth, STYLES, colormaps, model_sizes(settings.model.name, settings.model.size))


def model_sizes(model: str, chosen_size: int | None) -> Sequence[int]:
    """Returns the sizes that a model can be switched to, in px of the short side of its input.

    They are known for models of the catalog and for nano with other weights; for any other the result is empty.
    """
    from streamdepth.estimators.catalog import CATALOG, find_entry

    entry = CATALOG["nano"] if Path(model).suffix == ".safetensors" else find_entry(model)
    if entry is None or entry.size is None or entry.onnx_file:
        return []
    short_side = entry.size if isinstance(entry.size, int) else min(entry.size)
    sizes = {max(1, round(short_side * factor / entry.size_multiple)) * entry.size_multiple for factor in _SIZE_FACTORS}
    return sorted(sizes | ({chosen_size} if chosen_size else set()))
