"""Positions of the camera and the ball over time: two hand-held shots, a ball that bounces and rolls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float, float]
FPS = 24
BALL_RADIUS = 0.11
GRAVITY = 9.81
RUG_M = 0.014
"""Thickness of the rug, on which the ball lands."""
STEP_SECONDS = 0.56


@dataclass(frozen=True)
class Throw:
    """A ball that is dropped from `height_m` and keeps the share `bounce` of its speed at each impact."""

    start: tuple[float, float]
    velocity: tuple[float, float]
    height_m: float
    bounce: float
    slowing: float
    """Part of the horizontal speed lost per second."""

    def impacts(self) -> list[tuple[float, float]]:
        """Returns (seconds, speed in m/s) of each impact, until the ball only rolls."""
        speed = math.sqrt(2 * GRAVITY * self.height_m)
        time, found = speed / GRAVITY, []
        while speed > 0.25:
            found.append((time, speed))
            speed *= self.bounce
            time += 2 * speed / GRAVITY
        return found

    def traveled(self, time: float) -> float:
        """Returns the seconds in which the ball would go as far at its first speed."""
        return (1 - math.exp(-self.slowing * time)) / self.slowing

    def height(self, time: float) -> float:
        """Returns the height of its lowest point over the floor, in meters."""
        past = [(when, speed) for when, speed in self.impacts() if when <= time]
        if not past:
            return max(0.0, self.height_m - GRAVITY * time**2 / 2)
        when, speed = past[-1]
        since, rise = time - when, speed * self.bounce
        return max(0.0, rise * since - GRAVITY * since**2 / 2)

    def position(self, time: float) -> Point:
        far = self.traveled(time)
        x, y = (a + v * far for a, v in zip(self.start, self.velocity, strict=True))
        return x, y, BALL_RADIUS + RUG_M + self.height(time)

    def angle(self, time: float) -> float:
        """Returns how far it has rolled about the horizontal axis across its way, in radians."""
        return math.hypot(*self.velocity) * self.traveled(time) / BALL_RADIUS


@dataclass(frozen=True)
class Shot:
    """One shot: the camera moves through `eyes` and looks at `targets`, which are evenly spaced in time."""

    seconds: float
    eyes: Sequence[Point]
    targets: Sequence[Point]
    throw: Throw
    seed: float

    @property
    def frames(self) -> int:
        return round(self.seconds * FPS)

    def camera(self, time: float) -> tuple[Point, Point]:
        """Returns the camera's position and its target, with the sway of a hand and of steps."""
        place = time / self.seconds
        eye, target = along(self.eyes, place), along(self.targets, place)
        step = math.pi * time / STEP_SECONDS
        eye = add(eye, (0.006 * math.sin(step), 0.004 * math.cos(step), 0.011 * abs(math.sin(step)) - 0.005))
        return add(eye, shake(time, self.seed, 0.006)), add(target, shake(time, self.seed + 9, 0.02))

    def steps(self) -> list[float]:
        """Returns the times of the cameraman's steps, in seconds."""
        return [i * STEP_SECONDS for i in range(int(self.seconds / STEP_SECONDS) + 1)]


def add(first: Point, second: Point) -> Point:
    x, y, z = (a + b for a, b in zip(first, second, strict=True))
    return x, y, z


def shake(time: float, seed: float, size_m: float) -> Point:
    """Returns a smooth random movement: three incommensurate sines per axis."""

    def wander(phase: float) -> float:
        return sum(math.sin(2 * math.pi * rate * time + phase * rate * 7) / (1 + rate) for rate in (0.37, 0.93, 2.3))

    return size_m * wander(seed), size_m * wander(seed + 2), size_m * wander(seed + 4)


def along(points: Sequence[Point], place: float) -> Point:
    """Returns a point of the Catmull-Rom spline through `points`, at `place` from 0 to 1 and a little beyond."""
    spans = len(points) - 1
    i = min(max(int(place * spans), 0), spans - 1)
    t = place * spans - i
    ends = [points[max(i - 1, 0)], points[i], points[i + 1], points[min(i + 2, spans)]]
    x, y, z = (spline(a, b, c, d, t) for a, b, c, d in zip(*ends, strict=True))
    return x, y, z


def spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


SHOTS = (
    Shot(
        seconds=3.5,
        eyes=((3.10, 0.50, 1.50), (2.75, 0.60, 1.46), (2.35, 0.85, 1.42)),
        targets=((2.25, 3.6, 0.78), (1.85, 3.6, 0.76), (1.5, 3.6, 0.80)),
        throw=Throw(start=(3.95, 3.38), velocity=(-1.3, -0.02), height_m=0.85, bounce=0.72, slowing=0.28),
        seed=0.3,
    ),
    Shot(
        seconds=2.75,
        eyes=((0.62, 2.75, 1.38), (0.85, 2.55, 1.34), (1.10, 2.30, 1.30)),
        targets=((3.9, 1.9, 0.75), (3.9, 1.6, 0.72), (3.9, 1.35, 0.72)),
        throw=Throw(start=(2.1, 1.9), velocity=(1.3, -0.3), height_m=0.4, bounce=0.6, slowing=0.45),
        seed=4.1,
    ),
)
CUT = SHOTS[0].frames
"""Index of the first frame of the second shot."""
FRAMES = sum(shot.frames for shot in SHOTS)


def shot_of(frame: int) -> tuple[int, float]:
    """Returns the shot of a 0-based frame, counted from 1, and the seconds since the shot began."""
    return (1, frame / FPS) if frame < CUT else (2, (frame - CUT) / FPS)
