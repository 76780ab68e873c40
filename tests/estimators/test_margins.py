from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from helpers.on_device import OnDeviceSource

import streamdepth as sd
from streamdepth.core.types import DepthKind
from streamdepth.estimators.engines.torch_engine import TorchEngine
from streamdepth.estimators.margins import Margins, crop_margins
from streamdepth.estimators.network import ModelCard
from streamdepth.estimators.preprocess import InputSpec
from streamdepth.sources.file import FileSource


def test_margins_on_whole_pixels_are_cut_off_exactly() -> None:
    depth = torch.rand(2, 48, 64, generator=torch.Generator().manual_seed(0))
    inner = crop_margins(depth, Margins(3, 5, 4, 6, 48, 64))
    torch.testing.assert_close(inner, depth[:, 5:-6, 3:-4], atol=1e-4, rtol=0)


def test_margins_between_pixels_are_cut_off_where_they_are() -> None:
    """A plane stays the same plane at the same places, for every size of the output."""
    ys, xs = torch.meshgrid((torch.arange(40) + 0.5) / 40, (torch.arange(56) + 0.5) / 56, indexing="ij")
    inner = crop_margins((2 * xs + 3 * ys)[None], Margins(10, 7, 12, 9, 116, 222))[0]
    height, width = inner.shape
    assert (height, width) == (round(40 * 100 / 116), round(56 * 200 / 222))
    y = (7 + (torch.arange(height) + 0.5) * 100 / height) / 116
    x = (10 + (torch.arange(width) + 0.5) * 200 / width) / 222
    torch.testing.assert_close(inner, 2 * x[None] + 3 * y[:, None], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((10, 20), None),
        ((10, 11), Margins(4, 0, 5, 0, 10, 20)),
        ((4, 20), Margins(0, 3, 0, 3, 10, 20)),
    ],
)
def test_a_picture_lies_in_the_middle_of_its_margins(size: tuple[int, int], wanted: Margins | None) -> None:
    assert Margins.around(size, (10, 20)) == wanted


def test_maps_of_points_lose_their_margins_as_depth_does() -> None:
    points = torch.rand(2, 40, 56, 3, generator=torch.Generator().manual_seed(0))
    for margins in (Margins(7, 5, 14, 10, 40, 56), Margins(10, 7, 12, 9, 116, 222)):
        by_channel = [crop_margins(points[..., i], margins) for i in range(3)]
        torch.testing.assert_close(crop_margins(points, margins), torch.stack(list(by_channel), -1))


@pytest.mark.parametrize("resizes_before_upload", [False, True])
def test_a_letterbox_repeats_the_edges_of_the_picture(resizes_before_upload: bool) -> None:
    spec = InputSpec((64, 64), letterbox=True, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    card = ModelCard("m", DepthKind.RELATIVE, "mit", 0, spec, resizes_before_upload=resizes_before_upload)
    engine = TorchEngine(torch.nn.Identity(), device="cpu")
    with OnDeviceSource(FileSource("samples/room.mp4")) as source:
        source.open()
        on_gpu = source.read()
    assert on_gpu is not None
    on_cpu = sd.Frame(on_gpu.image, 0, 0, on_gpu.time_base, 0.0)
    for frame in (on_gpu, on_cpu):
        pixels, margins = card.prepare([frame], engine)
        assert margins == Margins(0, 14, 0, 14, 64, 64)
        picture = frame.image_at_size(64, 36) / np.float32(255)
        wanted = cv2.copyMakeBorder((picture - spec.mean) / spec.std, 14, 14, 0, 0, cv2.BORDER_REPLICATE)
        found = torch.as_tensor(pixels)[0].permute(1, 2, 0).numpy()
        assert np.abs(found - wanted).mean() < 0.1  # they are resampled in different ways
        np.testing.assert_array_equal(found[:14], np.broadcast_to(found[14], (14, 64, 3)))
        np.testing.assert_array_equal(found[-14:], np.broadcast_to(found[-15], (14, 64, 3)))
