"""Steadiness on the device where the depth lies: as on the CPU, and nothing of the depth is fetched."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from helpers.depth_frames import depth_frame, push_all
from helpers.moving_scene import FAR, NEAR, scene
from helpers.on_device import OnDevice

from streamdepth.core.device_map import DeviceMap
from streamdepth.core.ranges import robust_range
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.stabilizers import device_maps, make_stabilizer
from streamdepth.stabilizers.optical_flow import SamplingGrid, shrink_map, warp
from streamdepth.testing import SyntheticSource

MEAN_TOLERANCE, TOLERANCE = 0.0005, 0.001
"""Mean and 99th percentile of the difference between CPU and twin, as shares of the depth's range.

At edges that move, single pixels may differ by more: there the weight of the past falls from 1 to 0 within a pixel."""
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def moving_frames(kind: DepthKind) -> list[DepthFrame]:
    """A moving box with the noise and the jitter of a network, and a hole of unknown depth."""
    rng = np.random.default_rng(0)
    items = []
    for i, (picture, inverse) in enumerate(scene(count=12)):
        depth = inverse * rng.normal(1, 0.03) + rng.normal(0, 0.01, inverse.shape)
        depth[10:14, 20:30] = np.nan
        items.append(depth_frame(i / 30, 1 / depth if kind is DepthKind.METRIC else depth, picture, kind))
    return items


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", DepthKind)
@pytest.mark.parametrize("preset", ["light", "default"])
def test_the_twin_gives_what_the_cpu_gives(preset: str, kind: DepthKind, device: str) -> None:
    items = moving_frames(kind)
    span = NEAR - FAR if kind is DepthKind.RELATIVE else 1 / FAR - 1 / NEAR
    twins = push_all(OnDevice(make_stabilizer(preset), device), items)
    for exact, twin in zip(push_all(make_stabilizer(preset), items), twins, strict=True):
        np.testing.assert_array_equal(np.isnan(exact.depth), np.isnan(twin.depth))
        apart = np.abs(exact.depth - twin.depth)[np.isfinite(exact.depth)] / span
        assert apart.mean() <= MEAN_TOLERANCE
        assert np.percentile(apart, 99) <= TOLERANCE
        assert exact.cut == twin.cut
        assert exact.range == pytest.approx(twin.range, abs=0.01 * span)
        assert (exact.alignment or (1, 0)) == pytest.approx(twin.alignment or (1, 0), abs=0.005)


def test_cuts_are_found_at_the_same_frames() -> None:
    source = SyntheticSource(count=12, shot_frames=4)
    source.open()
    items = [DepthFrame(f, source.depth_at(f.index), DepthKind.METRIC) for f in iter(source.read, None)]
    found = [[o.cut for o in push_all(s, items)] for s in (make_stabilizer(), OnDevice(make_stabilizer()))]
    assert found[0] == found[1]
    assert sum(found[0]) == 2


def test_no_map_of_relative_depth_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: DeviceMap) -> None:
        raise AssertionError("depth was copied to the CPU")

    monkeypatch.setattr(DeviceMap, "array", refuse)
    items = moving_frames(DepthKind.RELATIVE)
    assert all(out.device_depth is not None for out in push_all(OnDevice(make_stabilizer()), items))


def test_depth_may_move_between_devices() -> None:
    """A model that is exchanged in mid-stream may run elsewhere."""
    items = moving_frames(DepthKind.RELATIVE)
    stabilizer = make_stabilizer()
    on_device = OnDevice(stabilizer)
    out = [o for i, item in enumerate(items) for o in (on_device if i % 8 < 4 else stabilizer).push(item)]
    assert [o.device_depth is not None for o in out] == [i % 8 < 4 for i in range(len(items))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", [(12, 16), (97, 130), (252, 448)])
def test_maps_are_resampled_as_by_opencv(shape: tuple[int, int], device: str) -> None:
    rng = np.random.default_rng(0)
    values = cv2.GaussianBlur(rng.random(shape, np.float32), (0, 0), 2)
    tensor = torch.tensor(values, device=device)
    flow = cv2.GaussianBlur(rng.normal(0, 3, (24, 40, 2)).astype(np.float32), (0, 0), 3)
    grid = device_maps.sampling_grid(flow, shape, tensor.device)
    exact_grid = SamplingGrid(*grid.cpu().numpy())
    pairs = [
        (device_maps.resize(tensor, (60, 80)), cv2.resize(values, (80, 60), interpolation=cv2.INTER_LINEAR), 1e-5),
        (device_maps.shrink(tensor, (40, 30)), shrink_map(values, (40, 30)), 1e-5),
        # OpenCV knows 32 positions between two pixels.
        (
            device_maps.warp(tensor, grid),
            warp(values, exact_grid),
            1 / 64 * float(np.abs(np.gradient(values)).max()) * 2,
        ),
    ]
    for found, exact, tolerance in pairs:
        np.testing.assert_allclose(found.cpu().numpy(), exact, atol=tolerance)
    assert tuple(device_maps.robust_range(tensor).tolist()) == robust_range(values)


def test_ranges_of_unknown_depth() -> None:
    unknown = torch.full((8, 8), torch.nan)
    assert device_maps.robust_range(unknown).isnan().all()
    unknown[2, 3:5] = torch.tensor([1.0, 3.0])
    assert device_maps.robust_range(unknown, (0.0, 1.0)).tolist() == [1.0, 3.0]
    assert device_maps.finite_range(unknown).tolist() == [1.0, 3.0]
