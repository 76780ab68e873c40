"""A sink of one's own beside the overlay video: python custom_sink.py VIDEO OUTPUT."""

import sys

import numpy as np

import streamdepth as sd


class NearestLog(sd.Sink):
    """Prints when the nearest part of the picture moves from one side to the other."""

    def __init__(self) -> None:
        super().__init__()
        self.side = ""

    def on_write(self, item: sd.DepthFrame) -> None:
        columns = np.nanmean(item.depth, axis=0)  # relative depth: near is large
        side = "left" if columns.argmax() < columns.size / 2 else "right"
        if side != self.side:
            self.side = side
            print(f"{item.frame.time:.2f} s: nearest on the {side}")


def main(video: str, output: str, *, count: int = 20) -> None:
    report = sd.convert(video, output, sinks=[NearestLog()], max_frames=count, overwrite=True)
    print(report.written, "frames written")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
