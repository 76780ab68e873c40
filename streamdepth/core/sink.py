"""The contract of sinks, which store or show depth, and what all of them have in common."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from streamdepth.core.errors import SinkWriteError
from streamdepth.core.notices import warn_once
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo

_log = logging.getLogger(__name__)


class Sink(ABC):
    """Stores or shows the results of one stream.

    The pipeline calls `open`, `write` for each item, then `close` or `discard`, never two at once. This class
    implements these four: they keep track of whether the sink is open, and discard the output when something fails. A
    new sink implements those that it needs of the hooks `on_open`, `on_write`, `on_close` and `on_discard`, which are
    called only in that order and only while the sink is open:

    >>> class DepthLog(Sink):
    ...     def on_write(self, item):
    ...         print(item.frame.time, item.depth.shape)

    A sink is a context manager: it closes itself, or discards its output when the block raises.
    """

    can_drop_frames = False
    """True for previews and servers: frames may be left out when it is slow, so that it never slows another sink."""

    needs_calling_thread = False
    """True for windows, which must be called on the thread that runs the pipeline; such a sink can drop frames, too."""

    _is_open = _is_complete = False

    def __init__(self) -> None:
        self.notices: list[str] = []
        """Sentences that a user should read about the output, for example a track that could not be copied."""

    def add_notice(self, text: str) -> None:
        """Adds `text` to `notices` and logs it as a warning, once."""
        warn_once(text, self.notices)

    @property
    def is_open(self) -> bool:
        """True from `open` until `close`, `discard` or a failure."""
        return self._is_open

    @property
    def is_complete(self) -> bool:
        """True once `close` has completed the output."""
        return self._is_complete

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        """Begins the output. Raises SinkOpenError; then nothing is left behind."""
        try:
            self.on_open(info, model)
        except BaseException:
            self._remove_what_was_begun()
            raise
        self._is_open, self._is_complete = True, False

    def write(self, item: DepthFrame) -> None:
        """Adds one item. Raises SinkWriteError; then the output is discarded."""
        if not self._is_open:
            raise SinkWriteError(f"{type(self).__name__} is not open; call open first", code="not-open")
        try:
            self.on_write(item)
        except Exception:
            self._is_open = False
            self._remove_what_was_begun()
            raise

    def close(self) -> None:
        """Completes the output and puts it in place; the output is discarded where that fails.

        Idempotent, and allowed before `open`. Raises SinkWriteError.
        """
        if not self._is_open:
            return
        self._is_open = False
        try:
            self.on_close()
        except BaseException:
            self._remove_what_was_begun()
            raise
        self._is_complete = True

    def discard(self) -> None:
        """Removes what was begun and leaves an older output untouched. Idempotent, and allowed before `open`."""
        if self._is_open:
            self._is_open = False
            self.on_discard()

    def _remove_what_was_begun(self) -> None:
        """Discards the output after a failure; further errors are logged, since the failure is the one to report."""
        if type(self).on_discard is Sink.on_discard:
            return
        try:
            self.on_discard()
        except Exception as error:
            _log.warning("what a failed output had begun could not be removed: %s", error)

    def check(self) -> None:
        """Raises the errors that `open` can foresee, so that they are known before a model is loaded.

        The default looks for the packages of `required_packages`. An override calls it, too. Raises
        MissingDependencyError.
        """
        for package in self.required_packages:
            package.check()

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        """Optional packages that the sink cannot do without."""
        return ()

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        """Begins the output. Raises SinkOpenError; `on_discard` is called then."""

    @abstractmethod
    def on_write(self, item: DepthFrame) -> None:
        """Adds one item to the output. Raises SinkWriteError; `on_discard` is called then."""

    def on_close(self) -> None:
        """Completes the output. Raises SinkWriteError; `on_discard` is called then."""

    def on_discard(self) -> None:
        """Removes an output that was begun, perhaps only in part.

        The default calls `on_close`. An override is also called after another hook has failed; the default is not.
        """
        self.on_close()

    def on_stream_changed(self, info: StreamInfo) -> None:
        """Takes the new facts of a stream that came back with another size or rate; they hold from the next `write` on.

        A writer whose file holds one size ends its segment here and begins the next; one without segments scales the
        following frames to the first size. The default does nothing. Raises SinkOpenError and SinkWriteError.
        """

    def on_stalled(self, last: DepthFrame, seconds: float) -> None:
        """Shows people that no frame newer than `last` came for `seconds`; called about twice a second meanwhile.

        This is no frame to store or to pass on. Raises SinkWriteError.
        """

    def on_idle(self) -> None:
        """Called now and then while no frame comes, on the thread of `write`; it keeps a window responsive."""

    @property
    def bytes_to_finish(self) -> int:
        """Additional bytes of disk space that `close` needs, for example for a copy, to about a megabyte."""
        return 0

    @property
    def wants_stop(self) -> bool:
        """True when the user asked to end the run, for example by a key in a window."""
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self.discard()
