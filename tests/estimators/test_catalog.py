from __future__ import annotations

import re
import subprocess
import sys

import pytest

from streamdepth.core.types import DepthKind
from streamdepth.estimators import catalog


def test_importing_it_loads_neither_torch_nor_transformers() -> None:
    code = "import sys, streamdepth.estimators.catalog; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("entry", catalog.CATALOG.values(), ids=lambda e: e.name)
def test_every_entry_is_complete(entry: catalog.Entry) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", entry.name)
    assert entry.hub_id is None or re.fullmatch(r"[\w.-]+/[\w.-]+", entry.hub_id)
    assert entry.unit == ("m" if entry.kind is DepthKind.METRIC else None)
    sides = (entry.size,) if isinstance(entry.size, int) else entry.size or ()
    assert all(side % entry.size_multiple == 0 for side in sides)
    assert catalog.find_entry(entry.hub_id or entry.name) is entry


def test_every_family_that_was_promised_is_there() -> None:
    wanted = {"nano", "dpt-large", "dpt-hybrid-midas", "midas-swinv2-tiny-256", "depth-pro", "glpn-nyu", "glpn-kitti"}
    wanted |= {"zipdepth", "da3-metric"}
    wanted |= {f"depth-anything-{v}{s}" for v in ("", "v2-") for s in ("small", "base", "large")}
    wanted |= {f"depth-anything-v2-metric-{p}-{s}" for p in ("indoor", "outdoor") for s in ("small", "base", "large")}
    wanted |= {f"zoedepth-{data}" for data in ("nyu", "kitti", "nyu-kitti")}
    assert wanted <= set(catalog.CATALOG)
    assert len({e.hub_id or e.name for e in catalog.CATALOG.values()}) == len(catalog.CATALOG)
    assert [e.name for e in catalog.CATALOG.values() if e.is_built_in] == ["nano"]


def test_a_license_that_is_not_certain_or_not_free_has_to_be_accepted() -> None:
    free = {"Apache-2.0", "apache-2.0", "mit"}
    assert all((e.license in free) == e.allows_commercial_use for e in catalog.CATALOG.values())
    assert not catalog.CATALOG["depth-pro"].allows_commercial_use
    assert not catalog.CATALOG["depth-anything-v2-large"].allows_commercial_use
    assert catalog.CATALOG["depth-anything-v2-small"].allows_commercial_use


@pytest.mark.parametrize("kind", DepthKind)
def test_the_free_alternative_is_free_and_of_that_kind(kind: DepthKind) -> None:
    entry = catalog.CATALOG[catalog.free_alternative(kind)]
    assert entry.allows_commercial_use
    assert entry.kind is kind


def test_the_nearest_names_of_a_typo() -> None:
    assert catalog.similar_names("depth-anthing-v2-smal")[0] == "depth-anything-v2-small"
    assert catalog.similar_names("nanno") == ["nano"]
    assert catalog.similar_names("zzz") == []
