"""Meters at a pixel, from relative depth and three measured points: python meters_at_pixel.py [VIDEO]."""

import sys

import streamdepth as sd

MEASURED = ("565,315=1.2m", "320,330=2.5m", "60,300=3.3m", "200,60=4.4m")


def main(video: str = "samples/room.mp4", *, count: int = 5) -> None:
    with sd.stream(video, anchor=MEASURED, fov=66, max_frames=count) as frames:
        for item in frames:
            x, y, z = item.point_at(320, 180)
            print(f"{item.depth_at(320, 180):.2f} m away: {x:+.2f} m right, {y:+.2f} m down, {z:.2f} m ahead")


if __name__ == "__main__":
    main(*sys.argv[1:2])
