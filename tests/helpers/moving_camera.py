"""Clips of a moving camera among textured cards, with exact poses and exact depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.intrinsics import Intrinsics

CAMERA = Intrinsics.from_fov(60, 192, 144)
Floats = np.ndarray


@dataclass(frozen=True)
class Card:
    """A textured parallelogram: `corner`, and the two sides that start there, meters."""

    corner: tuple[float, float, float]
    side: tuple[float, float, float]
    up: tuple[float, float, float]
    seed: int


ROOM = (
    Card((-7, -4, 6), (14, 0, 1), (0, 8, 0), 1),
    Card((-7, 1.3, 1), (14, 0, 0), (0, 0, 7), 2),
    Card((-1.6, -0.9, 3), (1.2, 0, 0.2), (0, 1.6, 0), 3),
    Card((0.5, -0.2, 2.2), (0.8, 0, -0.1), (0, 1.1, 0), 4),
)
"""A wall, a floor and two boards, x to the right, y down, z ahead of the first camera."""


def pose(x: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> Floats:
    """Returns the (4, 4) transformation from camera to world; `yaw` in degrees to the right."""
    angle, matrix = np.radians(yaw), np.eye(4)
    matrix[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    matrix[:3, 3] = x, 0, z
    return matrix


def sideways(count: int = 14) -> list[Floats]:
    """Returns the poses of a camera that moves to the side, and turns a little."""
    return [pose(x=0.2 * i - 1.3, z=0.02 * i, yaw=np.sin(i / 2)) for i in range(count)]


def turning(count: int = 14) -> list[Floats]:
    """Returns the poses of a camera that stays at its place."""
    return [pose(yaw=2.5 * i - 15) for i in range(count)]


def rendered(world: Floats, cards: Sequence[Card] = ROOM, camera: Intrinsics = CAMERA) -> tuple[Image, DepthMap]:
    """Returns the (H, W, 3) picture of a camera with a pose, and its depth, (H, W) meters along z, inf for nothing."""
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    ray = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1)
    directions = ray @ world[:3, :3].T
    image = np.full((camera.height, camera.width, 3), 128, np.uint8)
    depth = np.full(u.shape, np.inf, np.float32)
    for card in cards:
        z, places = _hits(card, world[:3, 3], directions)
        seen = (z > 0.05) & (z < depth) & ((places >= 0) & (places <= 1)).all(-1)
        image[seen] = _texture(card, places)[seen]
        depth[seen] = z[seen]
    return image, depth


def clip(poses: Sequence[Floats], cards: Sequence[Card] = ROOM) -> list[Image]:
    """Returns the pictures of a moving camera."""
    return [rendered(world, cards)[0] for world in poses]


def _hits(card: Card, origin: Floats, directions: Floats) -> tuple[Floats, Floats]:
    """Returns (H, W) depth along each pixel's ray, and (H, W, 2) places on the card, 0 to 1 within it."""
    corner, side, up = (np.array(part, float) for part in (card.corner, card.side, card.up))
    normal = np.cross(side, up)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = ((corner - origin) @ normal) / (directions @ normal)
        points = origin + directions * depth[..., None] - corner
    places = np.stack([points @ side / (side @ side), points @ up / (up @ up)], axis=-1)
    return depth, np.nan_to_num(places, nan=-1)


def _texture(card: Card, places: Floats) -> Image:
    """Returns (H, W, 3) colors: noise of several sizes, with as many spots a meter on every card."""
    rng = np.random.default_rng(card.seed)
    width, height = (max(2, int(60 * np.linalg.norm(part))) for part in (card.side, card.up))
    value = np.zeros((height, width, 3), np.float32)
    for spots in (1, 3, 9):
        noise = rng.random((max(2, height // spots), max(2, width // spots), 3), np.float32)
        value += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    pixels = (np.clip(value / 3, 0, 1) * 255).astype(np.uint8)
    x, y = (np.float32(places[..., i] * (side - 1)) for i, side in ((0, width), (1, height)))
    return np.asarray(cv2.remap(pixels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
