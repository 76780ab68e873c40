"""The contracts of a pipeline's stages; that of sinks is in `streamdepth.core.sink`.

A `Source` reads frames, an `Estimator` computes depth, a `Stabilizer` steadies it, a `DepthPropagator` brings it to the
frames between keyframes, and a `Sink` stores or shows it. All are synchronous, because the threads belong to the
pipeline. There are two exceptions: a source whose library may hang reads on a thread of its own, to be able to leave it
behind, and a recording in segments completes one segment while it writes the next. Stages take plain keyword arguments
in `__init__` and do no work there.

A live source that comes back after a loss may have another size or rate. `Source.take_changed_info` returns the new
facts then, and every sink of the stream gets `Sink.on_stream_changed` before the first `write` with them. When the size
has changed, the pipeline flushes and resets the stabilizer and resets the model, and a propagator starts anew; another
rate changes nothing, because all stages calculate in seconds. Timestamps go on by the time that has passed; frames are
never made up.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from streamdepth.core.arrays import DepthMap
from streamdepth.core.futures import CompletedFuture, Future
from streamdepth.core.notices import warn_once
from streamdepth.core.states import StateHistory, StreamState
from streamdepth.core.types import DepthFrame, DepthKind, Estimate, Frame, ModelInfo, StreamInfo


class Source(ABC):
    """Reads the frames of one stream, in order.

    A new source implements `open`, `read` and `close`, in one file of the folder `sources`. `open` and
    `wait_until_open` start from the beginning, whatever was read before. `read` never blocks past the source's timeout.
    A source is a context manager that closes itself.

    >>> class Black(sd.Source):
    ...     def open(self):
    ...         self.index = -1
    ...         return sd.StreamInfo("black", 64, 48, fps=Fraction(10))
    ...     def read(self):
    ...         self.index += 1
    ...         pixels = np.zeros((48, 64, 3), np.uint8)
    ...         return sd.Frame(pixels, self.index, self.index, Fraction(1, 10), time.monotonic(), "black")
    ...     def close(self):
    ...         super().close()
    >>> [item.frame.time for item in sd.stream(Black(), max_frames=3)]
    [0.0, 0.1, 0.2]
    """

    def __init__(self) -> None:
        self.undelivered: Counter[str] = Counter()
        """Number of frames that the source had and could not deliver, by cause, for example `undecodable`."""
        self.states = StateHistory()
        """The stream's state and its changes. The pipeline enters how the stream ended."""
        self.notices: list[str] = []
        """Sentences that a user should read: HDR was tone-mapped, the size changed in mid-stream..."""
        self.interrupted = threading.Event()
        """Set from `interrupt` to `close`."""

    @property
    def state(self) -> StreamState:
        """The current state of the stream."""
        return self.states.current.state

    @property
    def can_begin_anew(self) -> bool:
        """True if `open` gives the same frames again; False where they come only once, as from a pipe."""
        return True

    @property
    def reconnects(self) -> int:
        """The number of times that the stream was lost and came back."""
        return self.states.reconnects

    @property
    def drops_unread_frames(self) -> bool:
        """True if frames are lost when they are not read in time, as a camera's are. Valid while the source is open."""
        return False

    def add_notice(self, text: str) -> None:
        """Adds `text` to `notices` and logs it as a warning, once."""
        warn_once(text, self.notices)

    @abstractmethod
    def open(self) -> StreamInfo:
        """Opens the stream from its beginning and returns its facts.

        Raises SourceOpenError, also where it was interrupted while it had to wait, and SourceTimeoutError.
        """

    def wait_until_open(self) -> StreamInfo | None:
        """Opens the stream as `open` does, but waits for a camera that is not there yet; None when interrupted."""
        return None if self.interrupted.is_set() else self.open()

    @abstractmethod
    def read(self) -> Frame | None:
        """Returns the next frame; None at the end and ever after. Raises SourceLostError and SourceTimeoutError."""

    def take_changed_info(self) -> StreamInfo | None:
        """Returns the stream's new facts, once, if the frame read last is the first of another size or rate."""
        return None

    def interrupt(self) -> None:
        """Ends every wait for a frame or a camera soon: those on other threads now, and later ones until `close`.

        Allowed before `open`. Thread-safe.
        """
        self.interrupted.set()

    @abstractmethod
    def close(self) -> None:
        """Releases everything. Idempotent, and allowed before `open`. An override calls this one last."""
        self.interrupted.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


class Estimator(ABC):
    """Computes depth from frames; loaded and ready once it is constructed.

    A new model implements `info` and `estimate`. One that can work on several batches at once implements `submit` and
    `max_in_flight` too. An estimator is a context manager that closes itself.

    >>> class Brightness(sd.Estimator):
    ...     info = sd.ModelInfo("brightness", sd.DepthKind.RELATIVE)
    ...     def estimate(self, frames):
    ...         return [sd.Estimate(frame.image.mean(axis=2, dtype=np.float32)) for frame in frames]
    >>> (item,) = sd.stream("samples/room.mp4", model=Brightness(), max_frames=1)
    >>> item.depth.shape
    (360, 640)
    """

    @property
    def max_in_flight(self) -> int:
        """The number of batches that keep it busy; more than 1 where `submit` returns before the work is done.

        A pipeline then submits a batch before it has seen the results of those before. A model with memory must say 1:
        at a cut, `reset` would come too late for batches that were submitted already.
        """
        return 1

    @property
    def has_memory(self) -> bool:
        """True if depth depends on earlier frames of the stream too.

        A pipeline then gives the model one frame of a stream at a time, and calls `reset` before the first frame of a
        new shot. Frames with an empty `Frame.stream` are single pictures, of which nothing is to be remembered.
        """
        return False

    @property
    @abstractmethod
    def info(self) -> ModelInfo:
        """The facts of the model; engine and precision may become known only with the first results."""

    @abstractmethod
    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        """Returns one result per frame, in order; frames may differ in size and stream. Raises InferenceError."""

    def submit(self, frames: Sequence[Frame]) -> Future[list[Estimate]]:
        """Starts `estimate` and returns without waiting for the results where the model can.

        At most `max_in_flight` batches are in flight, and their results are asked for in the order they were submitted.
        Raises InferenceError here or from the future's `result`.
        """
        return CompletedFuture(self.estimate(frames))

    def warm_up(self, width: int, height: int) -> None:
        """Prepares for frames of this size in px, so that the first takes no longer than the others.

        Changes no later result. Raises InferenceError.
        """

    def reset(self, stream: str) -> None:
        """Forgets what was remembered of `stream`; called at cuts and at its end. Most models remember nothing.

        A pipeline gives each of its streams a name of its own here and in `Frame.stream`, also where two sources have
        the same name.
        """

    def close(self) -> None:
        """Releases everything. Idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


class Stabilizer(ABC):
    """Steadies the depth of one stream: one object per stream, fed in order.

    Every item that is pushed comes out exactly once, in order, perhaps later and with another depth, `cut` or `range`.

    >>> class Frozen(sd.Stabilizer):
    ...     depth = None
    ...     def push(self, item):
    ...         self.depth = item.depth if self.depth is None or item.cut else self.depth
    ...         return [replace(item, depth=self.depth)]
    >>> stabilizer = Frozen()
    >>> first, second = [stabilizer.push(item)[0] for item in sd.stream("samples/room.mp4", max_frames=2)]
    >>> first.depth is second.depth
    True
    """

    is_offline = False
    """True if items come out seconds later, which suits files and no live streams."""

    @property
    def notices(self) -> Sequence[str]:
        """Sentences that a user should read about what was done to the depth."""
        return ()

    @property
    def facts(self) -> Mapping[str, float | int | None]:
        """Figures on what was done to the depth, for the report of a run: name -> number, None for what is unknown."""
        return {}

    def output_kind(self, kind: DepthKind) -> DepthKind:
        """Returns the kind of the depth that comes out when depth of `kind` goes in."""
        return kind

    def begins_shot(self, frame: Frame) -> bool:
        """Returns True if `frame`, which is pushed next, looks like the first of a new shot.

        Asked once for each frame where the model has memory, before there is depth of it.
        """
        return False

    @abstractmethod
    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        """Takes one item and returns those that are ready, which may be computed while they are iterated over.

        The caller iterates over all of them before the next call.
        """

    def flush(self) -> Iterable[DepthFrame]:
        """Returns the items that are still inside; called at the end of the stream and before `reset`."""
        return ()

    def reset(self) -> None:
        """Forgets everything, as if new."""


class DepthPropagator(ABC):
    """Warps the depth of keyframes, which the model has seen, to the later frames of one stream.

    One object per stream, fed in order: `track` for each frame, `begin_keyframe` when the newest frame goes to the
    model, and `complete_keyframe` when its depth has come, perhaps many frames later.
    """

    @abstractmethod
    def track(self, frame: Frame) -> bool:
        """Follows the motion to `frame`. Returns True if `propagated_depth` has depth for it.

        False at the start, at cuts and gaps, and where the size changes; all keyframes are forgotten there.
        """

    @abstractmethod
    def begin_keyframe(self) -> None:
        """Makes the newest frame the keyframe whose depth is being computed."""

    @abstractmethod
    def complete_keyframe(self, depth: DepthMap) -> None:
        """Takes the depth of the keyframe begun last and warps from it from now on; ignored if there is none."""

    @abstractmethod
    def propagated_depth(self) -> tuple[DepthMap, float] | None:
        """Returns the newest frame's depth and its age, the seconds since its keyframe; None if there is no depth."""

    def reset(self) -> None:
        """Forgets everything, as if new."""
