"""The camera's poses, written to a file in TUM's layout."""

from __future__ import annotations

from pathlib import Path

from streamdepth.core.errors import ConfigError
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, Frame, ModelInfo, StreamInfo
from streamdepth.geometry.trajectories import Pose, Poses
from streamdepth.geometry.transforms import quaternion_from_rotation
from streamdepth.sinks.pending_files import PendingFile
from streamdepth.sinks.write_errors import map_write_errors


class TrajectorySink(Sink):
    """Writes a line for each frame that has a pose: seconds, x, y, z in meters, and the quaternion x, y, z, w.

    That is the layout of the TUM RGB-D benchmark (Sturm et al., IROS 2012). The seconds are those of the frame's stamp
    where it has one, else those on the source's clock. The file appears at `close`.

    Raises:
        ConfigError: no frame has a pose ("bad-poses"), and as `Poses.locate` does.
        SinkOpenError, SinkWriteError.
    """

    def __init__(self, path: Path, poses: Poses, *, overwrite: bool = False) -> None:
        super().__init__()
        self.path, self.poses, self.overwrite = path, poses, overwrite
        self.count = 0
        """Number of lines."""
        self._file: PendingFile | None = None
        self._lines: list[str] = []
        self._epoch_ns: int | None = None

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self._file = PendingFile(self.path, overwrite=self.overwrite, input_path=info.file_path)
        self._lines, self.count, self._epoch_ns = [], 0, info.epoch_ns
        if notice := self.poses.begin(info):
            self.add_notice(notice)

    def on_write(self, item: DepthFrame) -> None:
        if (pose := self.poses.locate(item)) is not None:
            self._lines.append(tum_line(_stamp_ns(item.frame, self._epoch_ns), pose))
            self.count += 1

    def on_close(self) -> None:
        assert self._file is not None
        if not self.count:
            raise ConfigError("no frame has a pose, so there is no trajectory to write", code="bad-poses")
        if summary := self.poses.summary():
            self.add_notice(summary)
        with map_write_errors(self.path):
            text = "".join(f"{line}\n" for line in ("# seconds x y z qx qy qz qw, camera to world", *self._lines))
            self._file.temporary.write_text(text, encoding="utf-8")
        self._file.commit()

    def on_discard(self) -> None:
        if self._file is not None:
            self._file.discard()
        self._file = None


def tum_line(stamp_ns: int, pose: Pose) -> str:
    """Returns a pose, (4, 4) camera to world in meters, as a line of TUM's layout.

    >>> tum_line(1_500_000_000, np.eye(4))
    '1.500000000 0.000000000 0.000000000 0.000000000 0.000000000 0.000000000 0.000000000 1.000000000'
    """
    numbers = [*pose[:3, 3], *quaternion_from_rotation(pose[:3, :3])]
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    return f"{seconds}.{nanoseconds:09d} " + " ".join(f"{number:.9f}" for number in numbers)


def _stamp_ns(frame: Frame, epoch_ns: int | None) -> int:
    if frame.stamp_ns is not None:
        return frame.stamp_ns
    return (epoch_ns or 0) + round(frame.pts * frame.time_base * 10**9)
