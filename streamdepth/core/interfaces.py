"""The four contracts: a source gives frames, an estimator gives depth, a stabilizer steadies it, sinks keep it.

All four are synchronous, and threads are the pipeline's; only a source whose library may hang reads on one of its own,
to be able to leave it behind, and a recording in segments completes one on its own while it writes the next. Stages
take plain keyword arguments in `__init__` and do no work there.

A live source that comes back after a loss may have another size or rate. `Source.take_changed_info` returns the new
facts, and every sink of the stream gets `Sink.on_stream_changed` before the first `write` of the new kind. Where the
size is another, the pipeline flushes and resets the stabilizer and resets the model, and a propagator forgets by
itself; another rate changes nothing, as all of them go by seconds. Timestamps go on by the time that passed; frames are
never made up.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from streamdepth.core.states import StateLog, StreamState
from streamdepth.core.types import DepthFrame, DepthKind, DepthMap, Estimate, Frame, ModelInfo, StreamInfo

_log = logging.getLogger(__name__)


def announce(text: str, notices: list[str]) -> None:
    """Logs `text` as a warning and notes it, once."""
    if text not in notices:
        notices.append(text)
        _log.warning("%s", text)


class Source(ABC):
    """Gives the frames of one stream, in order.

    `open` and `wait_until_open` begin anew, whatever came before. `read` never blocks past the source's timeout.
    """

    def __init__(self) -> None:
        self.lost: Counter[str] = Counter()
        """Frames that could not be delivered, by cause, for example `undecodable`."""
        self.states = StateLog()
        """What became of the stream: every change of state is an event there. A pipeline notes how it ended."""
        self.notices: list[str] = []
        """What a user should know: HDR tone-mapped, interlaced, size changed in mid-stream."""
        self.interrupted = threading.Event()
        """Set from `interrupt` to `close`."""

    @property
    def state(self) -> StreamState:
        """Where the stream stands now."""
        return self.states.current.state

    @property
    def reconnects(self) -> int:
        """How often the stream was lost and came back."""
        return self.states.reconnects

    @property
    def drops_unread_frames(self) -> bool:
        """Whether its frames come and go unread, as a camera's do. Asked once it is open."""
        return False

    def notice(self, text: str) -> None:
        """Announces `text` once."""
        announce(text, self.notices)

    @abstractmethod
    def open(self) -> StreamInfo:
        """Raises SourceOpenError, also where it had to wait when interrupted, or SourceTimeoutError."""

    def wait_until_open(self) -> StreamInfo | None:
        """`open`, but for a camera that may come later: waits for it as after a loss. None when interrupted."""
        return None if self.interrupted.is_set() else self.open()

    @abstractmethod
    def read(self) -> Frame | None:
        """The next frame; None at the end and ever after. Raises SourceLostError or SourceTimeoutError."""

    def take_changed_info(self) -> StreamInfo | None:
        """After a `read`: the stream's new facts, once, when that frame is the first of another size or rate."""
        return None

    def interrupt(self) -> None:
        """Ends every wait for a frame or a camera soon: those on other threads and, until `close`, those to come.

        Allowed before `open`. Thread-safe.
        """
        self.interrupted.set()

    @abstractmethod
    def close(self) -> None:
        """Lets go of everything. Idempotent, allowed before `open`. Those who override it call this one last."""
        self.interrupted.clear()


class Estimator(ABC):
    """Turns frames into depth. Loaded and ready once constructed."""

    @property
    def max_in_flight(self) -> int:
        """How many batches keep it busy: more than one where `start` returns before the work is done.

        A pipeline then begins a batch before it has seen the results of those before. A model that remembers must say
        1: after a cut, `reset` would come too late for what has begun.
        """
        return 1

    @property
    @abstractmethod
    def info(self) -> ModelInfo: ...

    @abstractmethod
    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        """One result per frame, in order; frames may differ in size and stream. Raises InferenceError."""

    def start(self, frames: Sequence[Frame]) -> Callable[[], list[Estimate]]:
        """Begins `estimate` and returns at once where the model can; what it returns waits for the results, once.

        `max_in_flight` may be under way, waited for in the order they were begun. Raises InferenceError, here or there.
        """
        results = self.estimate(frames)
        return lambda: results

    def warm_up(self, width: int, height: int) -> None:
        """Makes ready for pictures of this size in px, so that the first is computed as fast as the others.

        Nothing is remembered of it. Raises InferenceError.
        """

    def reset(self, stream: str) -> None:
        """Forgets what was remembered of `stream`; called at scene cuts. Most models remember nothing."""

    def close(self) -> None:
        """Lets go of everything. Idempotent."""


class Stabilizer(ABC):
    """Steadies the depth of one stream: one object per stream, fed in order.

    Every item pushed comes out exactly once, in order, perhaps later and with another depth, `cut` or `range`.
    """

    is_late = False
    """True where items come out seconds later: for files, not for live streams."""

    @property
    def notices(self) -> Sequence[str]:
        """What a user should know of what was done to the depth."""
        return ()

    def kind_of(self, kind: DepthKind) -> DepthKind:
        """The kind of what comes out when depth of `kind` goes in."""
        return kind

    @abstractmethod
    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        """What comes out, perhaps one by one as it is asked for: take all of it before the next call."""

    def flush(self) -> Iterable[DepthFrame]:
        """What was held back; called at the end, and before `reset`."""
        return ()

    def reset(self) -> None:
        """Forgets everything, as if new."""


class DepthPropagator(ABC):
    """Brings depth along the motion of one stream's pictures, from a frame that the model has seen to later ones.

    One object per stream, frames in order: `advance` for each, `mark` when the newest goes to the model, `settle` when
    its depth has come, perhaps many frames later.
    """

    @abstractmethod
    def advance(self, frame: Frame) -> bool:
        """Follows the motion to `frame`. False when there is no depth that can be carried to it.

        So it is at the start, and at cuts, at gaps and where the size changes: all that was marked is forgotten there.
        """

    @abstractmethod
    def mark(self) -> None:
        """The newest frame goes to the model."""

    @abstractmethod
    def settle(self, depth: DepthMap) -> None:
        """The depth of the marked frame: it is carried from now on. Without a marked frame nothing happens."""

    @abstractmethod
    def carried(self) -> tuple[DepthMap, float] | None:
        """The newest frame's depth, and the age in seconds of what it was made from; None: there is none."""

    def reset(self) -> None:
        """Forgets everything, as if new."""


class Sink(ABC):
    """Stores or shows results: `open`, `write`..., then `close` or `discard`, never two calls at once."""

    may_skip = False
    """True for previews and servers: frames may be left out when it is slow, so that it never slows another sink."""

    on_caller = False
    """True for windows: of those that may skip frames, it must be called on the thread that runs the pipeline."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        """What a user should know of the output, for example a track that could not be copied."""

    def notice(self, text: str) -> None:
        """Announces `text` once."""
        announce(text, self.notices)

    @abstractmethod
    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        """Raises SinkOpenError; then nothing is left behind."""

    @abstractmethod
    def write(self, item: DepthFrame) -> None:
        """Raises SinkWriteError."""

    def on_stream_changed(self, info: StreamInfo) -> None:
        """The stream came back with another size or rate: `info` holds from the next `write` on.

        A writer whose file holds one size ends its segment here and begins the next; one without segments scales what
        comes to the first size. The default does nothing. Raises SinkOpenError and SinkWriteError.
        """

    @abstractmethod
    def close(self) -> None:
        """Completes the output and puts it in place. Idempotent, allowed before `open`. Raises SinkWriteError."""

    def discard(self) -> None:
        """Gives up: removes what was begun and leaves an older output untouched. Idempotent."""
        self.close()

    @property
    def bytes_to_finish(self) -> int:
        """How much room `close` needs besides what is written, for example to copy it; a few megabytes do not count."""
        return 0

    def on_stalled(self, last: DepthFrame, seconds: float) -> None:
        """The stream is stalled or lost: nothing newer than `last` for so long. Told about twice a second.

        For what shows pictures to people; it is no frame to store or pass on. Raises SinkWriteError.
        """

    def on_idle(self) -> None:
        """Called now and then while no frame comes, on the thread of `write`; a window stays alive by it."""

    @property
    def wants_stop(self) -> bool:
        """True when the user asked to end, for example by a key in a window."""
        return False
