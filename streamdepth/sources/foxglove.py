"""Recordings in Foxglove's schemas: one topic with pictures of an MCAP file, such as streamdepth's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from streamdepth.core.errors import SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import StreamInfo
from streamdepth.sources.foxglove_messages import (
    CALIBRATION_KIND,
    PICTURE_KINDS,
    FoxglovePicture,
    MessageDecoder,
    PictureDecoder,
    foxglove_kind,
    intrinsics_from_calibration,
)
from streamdepth.sources.limits import MAX_SIDE_PX, plausible_fps
from streamdepth.sources.rosbag import RosbagSource

if TYPE_CHECKING:
    from mcap.reader import McapReader
    from mcap.records import Channel, Schema

_TIME_BASE = Fraction(1, 10**9)
_MAX_TRIED = 300
"""Number of messages in which the first picture is searched for."""
_MAX_SCANNED = 5000
"""Number of messages in which the topics of a file without a summary are searched for."""


class _Topic(NamedTuple):
    """A topic of an MCAP file."""

    channel: Channel
    schema: Schema
    message_count: int | None
    """Number of messages; None where the file has no summary."""

    @property
    def kind(self) -> str | None:
        return foxglove_kind(self.schema.name)


def has_foxglove_pictures(path: Path, topic: str | None) -> bool:
    """True for an MCAP file whose `topic` (None: any topic) holds pictures in Foxglove's schemas.

    False for any other file, and for one that cannot be read.
    """
    try:
        with path.open("rb") as file:
            return any(topic in (None, t.channel.topic) for t in _picture_topics(_make_reader(file)))
    except Exception:  # a damaged file makes the reader raise anything; whoever opens it says so
        return False


def _make_reader(file: Any) -> McapReader:
    from mcap.reader import make_reader

    return make_reader(file)


def _topics(reader: McapReader) -> list[_Topic]:
    """Returns the topics of a file. If it has no summary, as a file that was cut off, its first messages are read."""
    summary = reader.get_summary()
    if summary is None:
        found = {c.id: _Topic(c, s, None) for s, c, _ in itertools.islice(reader.iter_messages(), _MAX_SCANNED) if s}
        return list(found.values())
    counts = summary.statistics.channel_message_counts if summary.statistics else {}
    schemas = summary.schemas
    return [
        _Topic(channel, schemas[channel.schema_id], counts.get(channel.id, 0) if summary.statistics else None)
        for channel in summary.channels.values()
        if channel.schema_id in schemas
    ]


def _picture_topics(reader: McapReader) -> list[_Topic]:
    return [topic for topic in _topics(reader) if topic.kind in PICTURE_KINDS and topic.message_count != 0]


class FoxgloveSource(RosbagSource):
    """The pictures of one topic of an MCAP file: foxglove.CompressedVideo, CompressedImage or RawImage.

    Messages may be protobuf, JSON, or ROS 2's (`foxglove_msgs`). Times count from the stamp of the first picture; the
    intrinsics come from the CameraCalibration of the same folder. Messages that hold no picture are counted as
    `RosbagSource` does, except those of a video before its first keyframe.

    Args:
        topic: the topic to read; None: the only one with pictures; depth does not count as pictures.
        camera_info_topic: the topic with the CameraCalibration; None looks for it.
        max_side_px: the longest side of a picture that is accepted.
    """

    def __init__(
        self,
        path: str | Path,
        topic: str | None = None,
        *,
        camera_info_topic: str | None = None,
        max_side_px: int = MAX_SIDE_PX,
    ) -> None:
        super().__init__(path, topic, camera_info_topic=camera_info_topic, max_side_px=max_side_px)
        self._resources = ExitStack()
        self._pictures: Iterator[FoxglovePicture | None] = iter(())

    def _start(self) -> StreamInfo:
        reader = _make_reader(self._resources.enter_context(self.path.open("rb")))
        self._reader = cast(Any, reader)
        decoder = MessageDecoder()
        topic = self._choose(reader, decoder)
        self._name, self._index = f"{self.path}#{topic.channel.topic}", 0
        fps = _mean_fps(reader, topic)
        calibration = self._find_calibration(reader, decoder, topic)
        self._pictures = self._decode_all(_messages(reader, topic), decoder, topic)
        first = self._next_picture(_MAX_TRIED)
        if first is None:
            raise SourceOpenError(f"no message of {self._name} holds a picture", code="no-video")
        return self._begin(first, fps, topic.message_count, partial(self._intrinsics_of, calibration, topic))

    def _choose(self, reader: McapReader, decoder: MessageDecoder) -> _Topic:
        """Returns the topic to read. Raises SourceOpenError ("no-topic", "ambiguous", or "holds-depth")."""
        topics = _picture_topics(reader)
        listed = ", ".join(f"{t.channel.topic} ({t.kind})" for t in topics)
        if self.topic is not None:
            for topic in topics:
                if topic.channel.topic == self.topic:
                    return topic
            raise SourceOpenError(f"'{self.path}' has no topic '{self.topic}'; it has {listed}", code="no-topic")
        shown = [t for t in topics if t.kind != "RawImage" or not _holds_depth(reader, decoder, t)]
        if len(shown) == 1:
            return shown[0]
        if not shown:
            raise SourceOpenError(f"'{self.path}' holds depth and no pictures: {listed}", code="holds-depth")
        raise SourceOpenError(
            f"'{self.path}' has several topics with pictures: {listed}; name one as "
            f"'{self.path}#{shown[0].channel.topic}'",
            code="ambiguous",
        )

    def _find_calibration(self, reader: McapReader, decoder: MessageDecoder, topic: _Topic) -> Any:
        """Returns the first CameraCalibration of the user's topic, else of that beside the pictures or the only one."""
        found = [t for t in _topics(reader) if t.kind == CALIBRATION_KIND]
        if self.camera_info_topic:
            found = [t for t in found if t.channel.topic == self.camera_info_topic]
            if not found:
                raise SourceOpenError(
                    f"'{self.path}' has no topic '{self.camera_info_topic}' with a CameraCalibration", code="no-topic"
                )
        folder = topic.channel.topic.rpartition("/")[0]
        beside = [t for t in found if t.channel.topic.rpartition("/")[0] == folder]
        chosen = beside[0] if beside else found[0] if len(found) == 1 else None
        return None if chosen is None else _first_message(reader, decoder, chosen)

    def _intrinsics_of(self, calibration: Any, topic: _Topic, width: int, height: int) -> Intrinsics | None:
        if calibration is None:
            return None
        is_rectified = "rect" in topic.channel.topic
        try:
            camera = intrinsics_from_calibration(calibration, is_rectified=is_rectified)
        except ValueError as error:
            self.add_notice(f"the camera of {self._name} was left out: {error}")
            return None
        return self._fit_to_pictures(camera, width, height)

    def _decode_all(
        self, messages: Iterable[Any], decoder: MessageDecoder, topic: _Topic
    ) -> Iterator[FoxglovePicture | None]:
        """Yields each picture, and None for a message that completes none."""
        decode = decoder.function(topic.channel.message_encoding, topic.schema)
        if decode is None:
            raise SourceOpenError(
                f"the messages of {self._name} are encoded as '{topic.channel.message_encoding}', which is unknown; "
                "known are protobuf, json and cdr",
                code="unknown-format",
            )
        pictures, has_begun = PictureDecoder(topic.kind or "", self._name, self.add_notice), False
        for message in messages:
            try:
                found = pictures.decode(decode(message.data), message.log_time)
            except Exception as error:  # damaged data makes a deserializer raise anything
                if has_begun or topic.kind != "CompressedVideo":
                    self._skipped.add(f"a message of {self._name}: {error}")
                yield None
                continue
            has_begun |= bool(found)
            yield from found or (None,)
        yield from pictures.flush()

    def _next_picture(self, max_messages: int | None = None) -> Any:
        return next(filter(None, itertools.islice(self._pictures, max_messages)), None)

    def _release(self) -> int:
        self._pictures, self._reader, self._first = iter(()), None, None
        self._resources.close()
        return self._skipped.finish()


def _messages(reader: McapReader, topic: _Topic, *, backwards: bool = False) -> Iterator[Any]:
    for _, channel, message in reader.iter_messages(topics=topic.channel.topic, reverse=backwards):
        if channel.id == topic.channel.id:
            yield message


def _first_message(reader: McapReader, decoder: MessageDecoder, topic: _Topic) -> Any:
    decode = decoder.function(topic.channel.message_encoding, topic.schema)
    for message in _messages(reader, topic) if decode else ():
        return decode(message.data) if decode else None
    return None


def _holds_depth(reader: McapReader, decoder: MessageDecoder, topic: _Topic) -> bool:
    try:
        return _first_message(reader, decoder, topic).encoding in ("32FC1", "16UC1", "64FC1")
    except Exception:  # damaged data makes a deserializer raise anything
        return True


def _mean_fps(reader: McapReader, topic: _Topic) -> Fraction | None:
    """Returns the mean frame rate by the recorder's clock; None where that is unknown or implausible."""
    if not topic.message_count:
        return None
    first, last = next(_messages(reader, topic)), next(_messages(reader, topic, backwards=True))
    passed_ns = last.log_time - first.log_time
    fps = plausible_fps(Fraction((topic.message_count - 1) * 10**9, passed_ns)) if passed_ns > 0 else None
    return fps and fps.limit_denominator(1001)
