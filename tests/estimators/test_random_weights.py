"""Architectures of the catalog, built without their files."""

from __future__ import annotations

import pytest
import torch

from streamdepth.core.errors import ModelLoadError
from streamdepth.estimators import catalog
from streamdepth.estimators.random_weights import published_config

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("depth-anything-v2-small", 24.8),
        ("depth-anything-v2-base", 97.5),
        ("depth-anything-v2-large", 335.3),
        ("dpt-large", 343),
        ("dpt-hybrid-midas", 123),
        ("midas-beit-large-512", 345),
        ("midas-swinv2-tiny-256", 42),
        ("glpn-nyu", 61.2),
        ("depth-pro", 952),
    ],
)
def test_published_architectures(name: str, millions: float) -> None:
    """They have about as many parameters as their pages say; on the meta device they need no memory."""
    from transformers import AutoModelForDepthEstimation

    config, _ = published_config(catalog.CATALOG[name])
    with torch.device("meta"):
        network = AutoModelForDepthEstimation.from_config(config)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.03)


def test_every_model_but_one_is_known_without_its_files() -> None:
    unknown = []
    for entry in catalog.CATALOG.values():
        try:
            if entry.hub_id and not (entry.onnx_file or entry.checkpoint or entry.takes_prompt):
                published_config(entry)
        except ModelLoadError as error:
            unknown.append(str(error))
    assert len(unknown) == 1
    assert "'tipsv2-base' is not known here; give a folder with its config.json" in unknown[0]
