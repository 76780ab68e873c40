"""Renders views of a scene by casting rays: direct light with shadows, ambient light, a sky, and no path tracing.

Several hundred pictures a minute come from one core, where Cycles makes a few; the light is simpler.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from streamdepth.training.scenes.scene import CameraView, Lamp, Scene
from streamdepth.training.scenes.shapes import rotation
from streamdepth.training.scenes.soup import Hits, Soup, unit
from streamdepth.training.scenes.surfaces import Surfaces
from streamdepth.training.scenes.tiles import Floats, Numbers, Tiles, fractal

SHADOWS = 3
"""Number of the strongest lamps, which cast shadows; the others do not."""
AMBIENT_RAYS = 4
BOUNCED = 0.25
"""Share of ambient light that is reflected by other objects where none arrives directly."""
OFF = 2e-3
"""Distance in m from the surface at which secondary rays start."""
CORNERS = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25))
"""Additional samples of pixels on edges, in px from their center."""


@dataclass(frozen=True, slots=True)
class _Rays:
    origins: Floats
    directions: Floats
    """One meter along the optical axis long."""


class Caster:
    """A renderer of one scene. `photos` are textures; `rng` chooses the materials that get one."""

    def __init__(self, scene: Scene, photos: Tiles | None, rng: np.random.Generator, threads: int = 1) -> None:
        self.scene, self.soup = scene, Soup(scene, threads)
        self.surfaces = Surfaces(self.soup.materials, photos, rng)
        self.tints = np.array([item.tint for item in scene.items], np.float32)
        self.clouds = Tiles([fractal(rng, 1.5)[..., None]])
        self.rng = rng

    def depth(self, view: CameraView) -> Floats:
        """Returns (height, width) meters along the optical axis through each pixel's center, +inf in the sky."""
        rays = _rays(view, _centers(view))
        return self.soup.cast(rays.origins, rays.directions).distance.reshape(view.height, view.width)

    def color(self, view: CameraView) -> Floats:
        """Returns (height, width, 3) linear RGB; pixels on edges are means of several samples."""
        places = _centers(view)
        rays = _rays(view, places)
        hits = self.soup.cast(rays.origins, rays.directions)
        shape = (view.height, view.width)
        open_sky = self._openness(rays, hits, shape)
        light = self._radiance(rays, hits, open_sky, view)
        edges = _edges(hits, shape)
        for corner in CORNERS:
            more = _rays(view, places[edges] + np.array(corner, np.float32))
            found = self.soup.cast(more.origins, more.directions)
            light[edges] += self._radiance(more, found, open_sky[edges], view)
        light[edges] /= 1 + len(CORNERS)
        return light.reshape(*shape, 3)

    def _radiance(self, rays: _Rays, hits: Hits, open_sky: Floats, view: CameraView) -> Floats:
        seen = np.isfinite(hits.distance)
        light = self._sky(unit(rays.directions))
        if not seen.any():
            return light
        directions, distance = rays.directions[seen], hits.distance[seen]
        points = rays.origins[seen] + directions * distance[:, None]
        pixel = distance * (2 * np.tan(np.radians(view.fov) / 2) / view.width)
        material, normal = hits.material[seen], hits.normal[seen]
        tint = self.tints[hits.item[seen]]
        albedo = self.surfaces.albedo(material, hits.own[seen], hits.own_normal[seen], pixel, tint)
        scattered = albedo * (self._ambient(normal) * open_sky[seen, None] + self._direct(points, normal))
        mirrored = self._sky(_reflected(unit(directions), normal)) * (0.3 + 0.7 * albedo)
        gloss = self.surfaces.gloss[material][:, None]
        light[seen] = scattered * (1 - gloss) + mirrored * gloss + albedo * self.surfaces.glow[material][:, None]
        return light

    def _direct(self, points: Floats, normal: Floats) -> Floats:
        """Returns the (N, 3) irradiance of surfaces by lamps, over pi."""
        total = np.zeros_like(points)
        starts = points + OFF * normal
        reaching = [(lamp, *_incoming(lamp, points)) for lamp in self.scene.lamps]
        reaching.sort(key=lambda found: -float(found[2].mean()))
        for i, (lamp, towards, strength) in enumerate(reaching):
            cosine = np.maximum((unit(towards) * normal).sum(1), 0) * strength
            if i < SHADOWS:
                lit = cosine > 1e-4
                reach = np.inf if lamp.kind == "SUN" else 0.98
                cosine[lit] *= ~self.soup.is_shaded(starts[lit], towards[lit], reach)
            total += cosine[:, None] * np.array(lamp.color, np.float32)
        return total

    def _ambient(self, normal: Floats) -> Floats:
        if self.scene.ambient is not None:
            return np.broadcast_to(np.array(self.scene.ambient, np.float32), normal.shape)
        sky = self.scene.sky
        up = 0.5 + 0.5 * normal[:, 2:]
        above = (np.array(sky.zenith) + np.array(sky.horizon)) / 2
        return np.asarray(sky.strength * (above * up + 0.25 * np.array(sky.horizon) * (1 - up)), np.float32)

    def _openness(self, rays: _Rays, hits: Hits, shape: tuple[int, int]) -> Floats:
        """Returns the (N,) shares of ambient light that nearby objects do not block, smoothed within surfaces."""
        seen = np.isfinite(hits.distance)
        points = rays.origins[seen] + rays.directions[seen] * hits.distance[seen, None]
        normal = hits.normal[seen]
        blocked = np.zeros(len(points), np.float32)
        for _ in range(AMBIENT_RAYS):
            towards = unit(normal + unit(self.rng.normal(size=normal.shape).astype(np.float32)))
            blocked += self.soup.is_shaded(points + OFF * normal, towards, self.scene.ambient_reach)
        share = np.ones(len(seen), np.float32)
        share[seen] = 1 - blocked / AMBIENT_RAYS
        near = np.where(seen, 1 / np.maximum(hits.distance, 1e-3), 0).reshape(shape).astype(np.float32)
        guide = near / max(float(np.quantile(near, 0.95)), 1e-6)
        smooth = np.clip(_guided(guide, share.reshape(shape)), 0, 1).reshape(-1)
        return np.asarray(BOUNCED + (1 - BOUNCED) * smooth, np.float32)

    def _sky(self, directions: Floats) -> Floats:
        """Returns the (N, 3) light of rays that hit nothing; indoors the ambient light's color."""
        sky = self.scene.sky
        up = np.maximum(directions[:, 2], 0)
        color = _blend(np.array(sky.horizon), np.array(sky.zenith), up**0.55)
        if sky.clouds > 0:
            places = directions[:, :2] / (up + 0.12)[:, None] / 12 + sky.seed
            value = self.clouds.look_up(np.zeros(len(up), np.int64), places.astype(np.float32), up * 0)[:, 0]
            cover = np.clip((value - (0.75 - 0.6 * sky.clouds)) / 0.15, 0, 1)
            shaded = np.array(sky.cloud_color) * (0.6 + 0.4 * value)[:, None]
            color = color + cover[:, None] * (shaded - color)
        return np.asarray(color * sky.strength, np.float32)


def _guided(guide: Floats, values: Floats, radius: int = 4, epsilon: float = 1e-3) -> Floats:
    """Returns values that are smooth where the guide is (He et al., "Guided Image Filtering", ECCV 2010)."""
    size = (2 * radius + 1,) * 2
    mean_g, mean_v = cv2.blur(guide, size), cv2.blur(values, size)
    slope = (cv2.blur(guide * values, size) - mean_g * mean_v) / (cv2.blur(guide**2, size) - mean_g**2 + epsilon)
    return np.asarray(cv2.blur(slope, size) * guide + cv2.blur(mean_v - slope * mean_g, size), np.float32)


def _centers(view: CameraView) -> Floats:
    """Returns (N, 2): x, y of pixel centers; a pixel's upper left corner at whole numbers."""
    x, y = np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5)
    return np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)


def _rays(view: CameraView, places: Floats) -> _Rays:
    focal = view.width / 2 / np.tan(np.radians(view.fov) / 2)
    x, y = (places[:, 0] - view.width / 2) / focal, (view.height / 2 - places[:, 1]) / focal
    directions = np.stack([x, y, -np.ones_like(x)], 1) @ view.axes().T
    return _Rays(np.broadcast_to(np.array(view.eye, np.float32), directions.shape), directions.astype(np.float32))


def _edges(hits: Hits, shape: tuple[int, int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Returns (N,): True for pixels beside another material or a jump of depth."""
    material = np.where(np.isfinite(hits.distance), hits.material, -1).reshape(shape).astype(np.float32)
    inverse = np.where(np.isfinite(hits.distance), 1 / np.maximum(hits.distance, 1e-3), 0).reshape(shape)
    kernel = np.ones((3, 3), np.uint8)
    changes = cv2.morphologyEx(material, cv2.MORPH_GRADIENT, kernel) > 0
    steps = cv2.morphologyEx(inverse.astype(np.float32), cv2.MORPH_GRADIENT, kernel) > 0.08 * inverse
    return np.asarray((changes | steps).ravel())


def _incoming(lamp: Lamp, points: Floats) -> tuple[Floats, Floats]:
    """Returns (N, 3) from points to a lamp, and (N,) the light that falls on a surface facing it, over pi."""
    axis = (rotation(lamp.euler_degrees) @ np.array([0, 0, -1.0])).astype(np.float32)
    if lamp.kind == "SUN":
        return np.broadcast_to(-axis, points.shape), np.full(len(points), lamp.power / np.pi, np.float32)
    towards = np.array(lamp.position, np.float32) - points
    squared = np.maximum((towards**2).sum(1), lamp.size**2 / 4 + 1e-3)
    strength = lamp.power / (4 * np.pi**2 * squared)
    if lamp.kind in ("AREA", "SPOT"):
        facing = -(unit(towards) @ axis)
        strength = 4 * strength * np.maximum(facing, 0) if lamp.kind == "AREA" else strength * (facing > 0.42)
    return towards, strength.astype(np.float32)


def _reflected(directions: Floats, normal: Floats) -> Floats:
    return np.asarray(directions - 2 * (directions * normal).sum(1, keepdims=True) * normal, np.float32)


def _blend(first: Numbers, second: Numbers, share: Numbers) -> Floats:
    return np.asarray(first + share[:, None] * (second - first), np.float32)
