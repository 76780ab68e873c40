"""Makes the sample: `room.mp4` and, as a lossless depth video beside it, the exact depth of every pixel.

With --sideways it makes `room_right.mp4`, the view of the right eye.

    python samples/make_room.py --out samples --work /tmp/room

Rendering needs Blender's Python module (`pip install bpy==5.0.1`, Python 3.11) and takes about 20 minutes on two cores;
it goes on where it was interrupted. Encoding needs streamdepth. The two steps may run in different environments.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from make_room_motion import FRAMES


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = parse(arguments)
    if options.step in ("render", "all"):
        from make_room_render import render

        render(options.work, options.frames, options.samples, options.sideways)
    if options.step in ("encode", "all"):
        from make_room_encode import encode, encode_second_eye

        if options.sideways:
            encode_second_eye(options.work, options.out)
        else:
            encode(options.work, options.out, options.frames)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of room.mp4 and room_truth.mkv")
    parser.add_argument("--work", type=Path, required=True, help="folder of the rendered frames")
    parser.add_argument("--frames", type=frame_range, default=range(FRAMES), metavar="A:B", help=f"default 0:{FRAMES}")
    parser.add_argument("--step", choices=("render", "encode", "all"), default="all")
    parser.add_argument("--samples", type=int, default=4, help="rays per pixel (default 4)")
    parser.add_argument(
        "--sideways", type=float, default=0.0, metavar="METERS", help="move the camera to its right: the second eye"
    )
    return parser.parse_args(arguments)


def frame_range(text: str) -> range:
    first, _, last = text.partition(":")
    try:
        frames = range(int(first or 0), int(last or FRAMES))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not A:B") from error
    if not 0 <= frames.start < frames.stop <= FRAMES:
        raise argparse.ArgumentTypeError(f"{text!r} lies outside of 0:{FRAMES}")
    return frames


if __name__ == "__main__":
    main()
