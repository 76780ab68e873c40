"""Frames from a generator, an overlay of one's own, a video file: python own_overlay.py OUTPUT."""

import sys
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

import streamdepth as sd


def bouncing_square(count: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yields (240, 320, 3) RGB pictures of a white square on gray."""
    for i in range(count):
        picture = np.full((240, 320, 3), 90, np.uint8)
        picture[80:160, 4 * i : 4 * i + 80] = 255
        yield picture


def main(output: str, *, count: int = 30) -> None:
    source = sd.from_frames(bouncing_square(count), fps=30)
    with sd.stream(source) as frames, sd.VideoWriter(output, frames.info) as writer:
        for item in frames:
            depth = item.at_frame_size()
            picture = item.frame.image.copy()
            picture[depth > np.nanpercentile(depth, 95)] = (255, 0, 0)  # the nearest twentieth in red
            writer.write(picture, like=item)
    print(frames.report().written, "frames")


if __name__ == "__main__":
    main(sys.argv[1])
