"""Videos that visitors upload, converted one after the other while the streams go on.

An upload lies in a private folder, under a name of our own, until its conversion ends. Only the finished video comes
into the folder of recordings. What a file may be and do is checked as for every other source: by its content, and with
libav's lists of formats and protocols.
"""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import av

from streamdepth import factory
from streamdepth.apps.web.media_folder import MediaFolder
from streamdepth.apps.web.source_titles import folder_hider
from streamdepth.config import Settings
from streamdepth.core.errors import SinkOpenError, SourceOpenError, StreamDepthError
from streamdepth.core.types import DepthFrame
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.utils.containers import main_video_stream, open_media_file
from streamdepth.utils.redact import redact_text

_log = logging.getLogger(__name__)

ConversionState = Literal["uploading", "waiting", "converting", "done", "failed", "canceled"]
_MAX_UNFINISHED = 4
_MAX_FINISHED = 20
_NAME_LENGTH = 60


@dataclass(slots=True, eq=False)
class Conversion:
    """One uploaded video on its way."""

    id: str
    name: str
    """The video's name for people: letters, digits, `_` and `-`."""
    path: Path
    """The uploaded file."""
    settings: Settings
    """Settings of the conversion without its input and output."""
    state: ConversionState = "uploading"
    duration_seconds: float = 0.0
    """The video's length as its container states it; 0 if it does not."""
    share: float | None = None
    """Part of the video that is converted, 0 to 1; None while it is not known."""
    reason: str = ""
    """Why it failed."""
    result: str = ""
    """Name of the finished video in the folder of recordings."""
    pipeline: Pipeline | None = field(default=None, repr=False)
    """The pipeline while it runs."""

    @property
    def is_canceled(self) -> bool:
        """True once a visitor has canceled it, though its pipeline may still be ending."""
        return self.state == "canceled"

    @property
    def is_finished(self) -> bool:
        """True once nothing more happens to it."""
        return self.state in ("done", "failed", "canceled")


class ConversionQueue:
    """Uploads and their conversions, one at a time on a thread of its own. Thread-safe.

    Args:
        media: the folder that gets the finished videos.
        max_bytes: limit of an upload; 0 allows none.
    """

    def __init__(self, media: MediaFolder, *, max_bytes: float) -> None:
        self._media, self.max_bytes = media, max_bytes
        self._lock = threading.Lock()
        self._conversions: dict[str, Conversion] = {}
        self._folder: Path | None = None
        self._is_closed = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="streamdepth conversion")

    def hide_folders(self, text: str) -> str:
        """Returns a message without the folders of this machine."""
        return folder_hider([str(self._folder or ""), str(self._media.path.parent)])(text)

    def conversions(self) -> list[Conversion]:
        """Returns the conversions, the newest first."""
        with self._lock:
            return list(self._conversions.values())[::-1]

    @contextmanager
    def upload(self, name: str, size_bytes: int, settings: Settings) -> Iterator[Conversion]:
        """Yields a conversion whose file the block must write, and queues it at the block's end.

        If the block raises, the upload is forgotten.

        Raises:
            SinkOpenError: too many are under way ("too-many"), or the upload is too large ("too-large").
            SinkError: the disk is full.
            SourceOpenError: the file is no video ("unknown-format", "no-video").
        """
        conversion = self._add(name, size_bytes, settings)
        try:
            yield conversion
            _check_video(conversion)
            self._start(conversion)
        except BaseException:
            with self._lock:
                self._conversions.pop(conversion.id, None)
            conversion.path.unlink(missing_ok=True)
            raise

    def _add(self, name: str, size_bytes: int, settings: Settings) -> Conversion:
        if size_bytes > self.max_bytes:
            raise SinkOpenError(
                f"an upload has at most {self.max_bytes / 1e6:g} MB; shorten the video, or start the server with a "
                "higher --max-upload-mb",
                code="too-large",
            )
        stem = re.sub(r"[^\w-]+", "_", name.rpartition(".")[0] or name)[:_NAME_LENGTH].strip("_") or "video"
        identifier = secrets.token_urlsafe(12)
        with self._lock:
            if self._is_closed or sum(not c.is_finished for c in self._conversions.values()) >= _MAX_UNFINISHED:
                raise SinkOpenError("too many uploads are under way; try again when one is done", code="too-many")
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="streamdepth_uploads_"))  # for this user alone
            self._media.check_free_space(size_bytes, self._folder)
            conversion = Conversion(identifier, stem, self._folder / f"{identifier}.mp4", settings)
            finished = [c.id for c in self._conversions.values() if c.is_finished]
            for old in finished[: max(0, len(finished) - _MAX_FINISHED + 1)]:
                del self._conversions[old]
            self._conversions[identifier] = conversion
        return conversion

    def _start(self, conversion: Conversion) -> None:
        with self._lock:
            if conversion.state != "uploading":  # it was canceled meanwhile
                conversion.path.unlink(missing_ok=True)
                return
            conversion.state = "waiting"
            self._executor.submit(self._convert, conversion)

    def cancel(self, identifier: str) -> bool:
        """Cancels a conversion, or forgets a finished one; returns False if there is none of that identifier."""
        with self._lock:
            conversion = self._conversions.get(identifier)
            if conversion is None:
                return False
            if conversion.is_finished:
                del self._conversions[identifier]
            else:
                conversion.state = "canceled"
                if conversion.pipeline is not None:
                    conversion.pipeline.stop()
            return True

    def close(self) -> None:
        """Cancels all conversions, waits for the one that runs, and removes the private folder."""
        with self._lock:
            self._is_closed = True
        for conversion in self.conversions():
            if not conversion.is_finished:
                self.cancel(conversion.id)
        self._executor.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _convert(self, conversion: Conversion) -> None:
        try:
            if conversion.state == "waiting":
                self._run(conversion)
        except StreamDepthError as error:
            self._fail(conversion, self.hide_folders(redact_text(str(error))))
        except Exception as error:
            _log.exception("the conversion of %s failed", conversion.name)
            self._fail(conversion, f"internal error: {type(error).__name__}")
        finally:
            conversion.pipeline = None
            conversion.path.unlink(missing_ok=True)

    def _run(self, conversion: Conversion) -> None:
        base = self._media.new_base_path(conversion.name)
        output = base.with_name(f"{base.name}.mp4")
        settings = conversion.settings.replace(source=(str(conversion.path),), output=output)
        with factory.open_pipeline(settings, _progress_callback(conversion)) as pipeline:
            with self._lock:
                if conversion.is_canceled:
                    return
                conversion.state, conversion.pipeline = "converting", pipeline
            report = pipeline.run()
        with self._lock:
            if conversion.is_canceled:
                output.unlink(missing_ok=True)
            elif not report.written:
                raise SourceOpenError("the video gave no picture", code="no-frames")
            else:
                conversion.state, conversion.share, conversion.result = "done", 1.0, output.name

    def _fail(self, conversion: Conversion, reason: str) -> None:
        with self._lock:
            if not conversion.is_canceled:
                conversion.state, conversion.reason = "failed", reason


def _progress_callback(conversion: Conversion) -> Callable[[DepthFrame], None]:
    """Returns a callback for each written frame that keeps the share of the conversion."""

    first: float | None = None

    def on_written(item: DepthFrame) -> None:
        nonlocal first
        first = item.frame.time if first is None else first
        if conversion.duration_seconds > 0:
            conversion.share = min(1.0, max(0.0, item.frame.time - first) / conversion.duration_seconds)

    return on_written


def conversion_settings(settings: Settings) -> Settings:
    """Returns the settings of a page that apply to uploads: the model, the drawing and the encoding."""
    return Settings(
        model=settings.model,
        inference=settings.inference,
        render=settings.render,
        video=settings.video,
        max_side=settings.max_side,
        smooth=settings.smooth,
    )


def _check_video(conversion: Conversion) -> None:
    """Sets the duration of an upload; raises SourceOpenError if it is not a video by its content."""
    try:
        with open_media_file(conversion.path) as container:
            video = main_video_stream(container)
            conversion.duration_seconds = (container.duration or 0) / av.time_base
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceOpenError(
            "this is not a video that can be read; try MP4, MOV, MKV or WebM", code="unknown-format"
        ) from error
    if video is None:
        raise SourceOpenError("there is no picture in this file, only sound or data", code="no-video")
