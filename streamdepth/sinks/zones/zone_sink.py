"""The sink that watches the zones of a stream and passes on what happens in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from streamdepth.core.closing import run_all
from streamdepth.core.errors import SinkOpenError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.core.zones import Zone, is_outside, unit_of
from streamdepth.geometry.zone_monitor import HOLD_SECONDS, MARGIN, ZoneMonitor, ZoneState
from streamdepth.sinks.zones.output import ZoneOutput
from streamdepth.sinks.zones.records import epoch_of, make_records


class ZoneSink(Sink):
    """Watches zones of one stream, and passes their depth and events to outputs and callbacks.

    >>> events = []
    >>> sink = ZoneSink([sd.Zone.parse("middle=240,120,160,120@1%")], on_event=events.append, hold_seconds=0)
    >>> _ = sd.convert("samples/room.mp4", sinks=[sink], max_frames=3)
    >>> [(state.zone.name, state.event.kind, state.event.time) for state in events]
    [('middle', 'entered', 0.0)]

    Args:
        zones: the zones to watch at first; `watch` changes them.
        outputs: the outputs of all records.
        on_event: called with each state that has an event, on the thread that writes; it must be quick.
        on_states: called with the states of each frame, on the thread that writes; it must be quick.
        stream: name of the stream in the records; by default the name that the source gives it.
        hold_seconds: as for ZoneMonitor.
        margin: as for ZoneMonitor.

    Raises:
        SinkOpenError: from `open`, for a zone outside of the picture ("zone-outside"), for a depth in another unit than
            the model has ("zone-unit"), and from the outputs.
        SinkWriteError: from `write` and `close`, from the outputs.
    """

    def __init__(
        self,
        zones: Iterable[Zone],
        outputs: Sequence[ZoneOutput] = (),
        *,
        on_event: Callable[[ZoneState], object] = lambda _: None,
        on_states: Callable[[Sequence[ZoneState]], object] = lambda _: None,
        stream: str | None = None,
        hold_seconds: float = HOLD_SECONDS,
        margin: float = MARGIN,
    ) -> None:
        super().__init__()
        self.zones = tuple(zones)
        """The zones that are watched from the next frame on."""
        self.outputs, self.stream = outputs, stream
        self._on_event, self._on_states = on_event, on_states
        self._hold_seconds, self._margin = hold_seconds, margin
        self._monitors: list[ZoneMonitor] = []
        self._open_outputs: list[ZoneOutput] = []
        self._info: StreamInfo | None = None

    def watch(self, zones: Iterable[Zone]) -> None:
        """Replaces the zones from the next frame on; unchanged zones keep their state. Thread-safe."""
        self.zones = tuple(zones)

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [package for output in self.outputs for package in output.required_packages]

    def check(self) -> None:
        super().check()
        for output in self.outputs:
            output.check()

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        for zone in self.zones:
            check_zone(zone, info, model.kind)
        self._info, self._monitors = info, []
        for output in self.outputs:
            output.open(self.stream or info.name, self.add_notice)
            self._open_outputs.append(output)

    def on_stream_changed(self, info: StreamInfo) -> None:
        self._info = info
        for zone in self.zones:
            if is_outside(zone, info.width, info.height):
                self.add_notice(
                    f"the zone {zone.name} lies outside of the pictures, which are {info.width}x{info.height} px now"
                )

    def on_write(self, item: DepthFrame) -> None:
        assert self._info is not None
        zones = self.zones
        if [monitor.zone for monitor in self._monitors] != list(zones):
            known = {monitor.zone: monitor for monitor in self._monitors}
            self._monitors = [known.get(zone) or self._make_monitor(zone) for zone in zones]
        states = [monitor.update(item) for monitor in self._monitors]
        self._on_states(states)
        for state in states:
            if state.event is not None:
                self._on_event(state)
        if self._open_outputs:
            self._send(states, epoch_of(self._info, item.frame))

    def _make_monitor(self, zone: Zone) -> ZoneMonitor:
        return ZoneMonitor(zone, hold_seconds=self._hold_seconds, margin=self._margin)

    def _send(self, states: Sequence[ZoneState], epoch: float | None) -> None:
        assert self._info is not None
        for state in states:
            records = make_records(state, self.stream or self._info.name, epoch)
            for output in self._open_outputs:
                output.write(records)

    def on_close(self) -> None:
        outputs, self._open_outputs = self._open_outputs, []
        run_all([output.close for output in outputs])

    def on_discard(self) -> None:
        self.on_close()


def check_zone(zone: Zone, info: StreamInfo, kind: DepthKind) -> None:
    """Raises SinkOpenError for a zone outside of the picture ("zone-outside") or in a wrong unit ("zone-unit")."""
    if is_outside(zone, info.width, info.height):
        raise SinkOpenError(
            f"the zone {zone} lies outside of the picture of {info.width}x{info.height} px; give its corners in px of "
            "the picture after crop and rotation",
            code="zone-outside",
        )
    if zone.unit is not None and zone.unit != unit_of(kind):
        known = "meters, such as @1.5m" if kind is DepthKind.METRIC else "percent of its range, such as @60%"
        raise SinkOpenError(
            f"the depth here is {kind.value}, and the zone {zone} does not give its depth in {known}", code="zone-unit"
        )
