"""The clip that a benchmark generates if it is given none."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av

from streamdepth.sources.file import FileSource


def make_clip(path: Path, frames: int, size: tuple[int, int] = (1280, 720)) -> None:
    """Writes `frames` of ffmpeg's moving test pattern, with film grain, as H.264; size: (width, height) in px."""
    pattern = f"testsrc2=size={size[0]}x{size[1]}:rate=30,noise=alls=6:allf=t"
    with av.open(pattern, format="lavfi") as source, av.open(str(path), "w") as target:
        track = target.add_stream("libx264", rate=Fraction(30), options={"preset": "veryfast", "crf": "20"})
        track.width, track.height, track.pix_fmt = *size, "yuv420p"
        for index, frame in enumerate(source.decode(video=0)):
            if index == frames:
                break
            target.mux(track.encode(frame.reformat(format="yuv420p")))
        target.mux(track.encode(None))


def frame_size(path: Path) -> tuple[int, int]:
    """Returns (width, height) in px of a video file's frames after rotation is applied. Raises SourceOpenError."""
    with closing(FileSource(path)) as source:
        info = source.open()
        return info.width, info.height
