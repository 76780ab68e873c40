"""What a page shows and changes: the streams of one running pipeline, as the rest of this folder sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from streamdepth.apps.web.controls import Control, ModelControls, StreamControls
from streamdepth.apps.web.live_sink import LiveSink
from streamdepth.apps.web.recorder import Folder, RecorderSink
from streamdepth.estimators.hot_swap import HotSwapEstimator
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.sources.browser import BrowserSource


@dataclass(frozen=True, slots=True)
class ServedStream:
    """One stream of the page."""

    name: str
    """In addresses and file names: letters, digits and `_`."""
    title: str
    """The source in words: without secrets, and without this machine's folders."""
    control: Control[StreamControls]
    live: LiveSink
    recorder: RecorderSink
    browser: BrowserSource | None = None
    """Where its pictures come from a page."""
    discreet: Callable[[str], str] = str
    """Takes this machine's folders out of a message."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the page offers."""

    smooth: Sequence[str]
    style: Sequence[str]
    colormap: Sequence[str]
    size: Sequence[int]
    """Of the model, px; empty where it has one only."""


@dataclass(slots=True)
class Served:
    """Everything behind the page; the pipeline's lanes are the streams, in this order."""

    streams: Mapping[str, ServedStream]
    model: Control[ModelControls]
    estimator: HotSwapEstimator[int | None]
    pipeline: Pipeline
    folder: Folder
    choices: Choices
    hold_last: bool = False
    """While a stream is lost, its last picture stays in sight, marked as stale."""
    model_failures: list[str] = field(default_factory=list)
    """Why the last size that was asked for is not used; empty when it is."""
