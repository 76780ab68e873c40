"""The running pipeline behind the page, with its streams, controls and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from streamdepth.apps.web.controls import ModelControls, SharedControls, StreamControls
from streamdepth.apps.web.conversions import ConversionQueue
from streamdepth.apps.web.live_sink import LiveSink
from streamdepth.apps.web.media_folder import MediaFolder
from streamdepth.apps.web.recorder import RecorderSink
from streamdepth.apps.web.zone_history import ZoneHistories
from streamdepth.config import Settings
from streamdepth.core.render_options import RenderOptions, Style
from streamdepth.estimators.hot_swap import HotSwapEstimator
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.sinks.zones.zone_sink import ZoneSink
from streamdepth.sources.browser import BrowserSource


@dataclass(frozen=True, slots=True)
class WebStream:
    """One stream of the page."""

    name: str
    """Identifier in addresses and file names: letters, digits and `_`."""
    title: str
    """The source in words, without credentials and without folders of this machine."""
    controls: SharedControls[StreamControls]
    live: LiveSink
    recorder: RecorderSink
    zones: ZoneSink
    """The sink that watches the zones, and in which they are changed."""
    zone_histories: ZoneHistories
    browser_source: BrowserSource | None = None
    """The source, if the pictures come from a browser's camera."""
    hide_folders: Callable[[str], str] = str
    """A function that replaces folders of this machine in a message by an ellipsis."""
    initial_options: RenderOptions = RenderOptions()
    """The options of drawing at the start; the controls change some of them."""

    @property
    def render_options(self) -> RenderOptions:
        """The current options for drawing recordings and pictures of the stream."""
        drawn = self.controls.value
        return replace(
            self.initial_options,
            style=cast(Style, drawn.style),  # checked when it was set
            colormap=drawn.colormap,
            alpha=drawn.alpha,
            invert=False,  # the color map is the one that is shown
            zones=self.zones.zones,
        )


@dataclass(frozen=True, slots=True)
class ControlChoices:
    """The values that the page offers for each control."""

    smooth: Sequence[str]
    style: Sequence[str]
    colormap: Sequence[str]
    size: Sequence[int]
    """Sizes of the model in px; empty if it has only one."""


@dataclass(slots=True)
class WebSession:
    """A running pipeline with its streams, controls and files; the rest of this folder works on it."""

    streams: Mapping[str, WebStream]
    """Name -> stream, in the order of the pipeline's streams."""
    model_controls: SharedControls[ModelControls]
    estimator: HotSwapEstimator[int | None]
    pipeline: Pipeline
    media: MediaFolder
    choices: ControlChoices
    conversions: ConversionQueue
    conversion_settings: Settings
    """Settings for the conversion of uploads; the options of drawing are those of a stream."""
    hold_last: bool = False
    """True if the last picture of a lost stream stays visible, marked as stale."""
    model_failures: list[str] = field(default_factory=list)
    """Why the size chosen last is not in use; empty if it is in use."""
