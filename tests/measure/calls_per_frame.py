"""Counts the Python calls that one frame of a file costs inside the package, from the decoder to the written video.

Run by hand: python tests/measure/calls_per_frame.py [CLIP]

Converts a clip with the built-in model and default settings, once with few and once with more frames, and divides the
difference by the number of frames, so that start and end do not count. A call is a Python function, method, property or
generator step whose code lies in the package. Works with any version of the package that PYTHONPATH names.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import Counter
from fractions import Fraction
from pathlib import Path
from types import CodeType, FrameType

import av
import numpy as np

import streamdepth

PACKAGE = str(Path(streamdepth.__file__).parent)
FEW_FRAMES, MORE_FRAMES = 60, 180


class CallCounter:
    """Counts calls of the package's functions on all threads, and how deeply they are nested."""

    def __init__(self) -> None:
        self.calls: Counter[CodeType] = Counter()
        self.stacks: dict[CodeType, list[CodeType]] = {}
        """The deepest stack of the package's functions in which each was called, the outermost first."""

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(PACKAGE):
            return
        self.calls[frame.f_code] += 1
        stack = []
        above: FrameType | None = frame
        while above is not None:
            if above.f_code.co_filename.startswith(PACKAGE):
                stack.append(above.f_code)
            above = above.f_back
        if len(stack) > len(self.stacks.get(frame.f_code, ())):
            self.stacks[frame.f_code] = stack[::-1]


def describe(code: CodeType) -> str:
    """Returns the place of a function, such as `pipeline/capture.py Capture.run`."""
    return f"{code.co_filename.removeprefix(PACKAGE).lstrip('/')} {code.co_qualname}"


def write_clip(path: Path, count: int = MORE_FRAMES, size: tuple[int, int] = (640, 360)) -> None:
    """Writes a video of a moving box without sound."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height = size
        for i in range(count):
            picture = np.full((size[1], size[0], 3), 60, np.uint8)
            picture[100:200, 2 * i : 2 * i + 100] = 220
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))


def count_calls(clip: Path, frames: int, folder: Path) -> CallCounter:
    """Converts `frames` frames of the clip and returns the counted calls."""
    counter = CallCounter()
    threading.setprofile(counter)
    sys.setprofile(counter)
    try:
        streamdepth.convert(clip, folder / "out.mp4", max_frames=frames, overwrite=True)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # ends it
    return counter


def write(line: str) -> None:
    """Writes one line of the result."""
    sys.stdout.write(line + "\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = Path(sys.argv[1]) if len(sys.argv) > 1 else folder / "clip.mp4"
        if not clip.exists():
            write_clip(clip)
        count_calls(clip, FEW_FRAMES, folder)  # compiles and caches the model
        few, more = count_calls(clip, FEW_FRAMES, folder), count_calls(clip, MORE_FRAMES, folder)
    frames = MORE_FRAMES - FEW_FRAMES
    per_frame = {code: (more.calls[code] - few.calls[code]) / frames for code in more.calls}
    steady = {code: share for code, share in per_frame.items() if share > 0.3}
    for code, share in sorted(steady.items(), key=lambda pair: -pair[1]):
        write(f"{share:6.2f}  {describe(code)}")
    deepest = max((more.stacks[code] for code in steady), key=len)
    write(f"{sum(steady.values()):.0f} calls per frame in {len(steady)} functions, {len(deepest)} deep:")
    for depth, code in enumerate(deepest):
        write("  " * depth + describe(code))


if __name__ == "__main__":
    main()
