"""Prints how near the middle of the picture is, frame by frame: python live_loop.py [SOURCE] [FRAMES]."""

import sys

import streamdepth as sd


def main(source: str = "0", *, count: int = 100) -> None:
    with sd.stream(source, max_frames=count) as frames:
        for item in frames:
            width, height = item.frame.size
            print(f"{item.frame.time:7.3f} s: {item.depth_at(width // 2, height // 2):.3f}")
    print(f"{frames.report().written} frames at {frames.report().fps:.1f} a second")


if __name__ == "__main__":
    main(*sys.argv[1:2], count=int((sys.argv[2:3] or ["100"])[0]))
