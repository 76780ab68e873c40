"""The catalog of models by short name: where they live, what their numbers mean, what their license allows.

A model is added by one more table in `catalog.toml`.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from streamdepth.core.types import DepthKind


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """The facts about one model that are known before it is downloaded."""

    name: str
    kind: DepthKind
    size_multiple: int
    """The input's sides are multiples of this, in px."""
    license: str
    """License of the weights."""
    allows_commercial_use: bool = True
    """False also where it is not certain; then the license has to be accepted."""
    size: int | tuple[int, int] | None = None
    """Input size in px: the short side, or (width, height); None for the picture's own size."""
    note: str = ""
    """A few words about the model: its origin, range or conditions."""
    advice: str = ""
    """Use for which this model is the best choice; empty for those that have a better alternative."""
    hub_id: str | None = None
    """The model's name on the Hugging Face hub; None for the built-in model and those published elsewhere."""
    onnx_file: str = ""
    """The ONNX file on the hub, for a model that is run from one."""
    address: str = ""
    """The project that publishes the weights, for a model that is not on the hub."""
    checkpoint: str = ""
    """The file with the weights on the hub, for a model that transformers does not know."""
    takes_prompt: bool = False
    """True if it needs a sensor's depth beside the pictures."""
    million_parameters: float | None = None
    """Number of learned parameters in millions; None where it is not known."""
    bytes_per_parameter: int = 4
    """Size of a parameter in the published weights: 4 for float32, 2 for float16."""

    @property
    def is_built_in(self) -> bool:
        """True if nothing has to be downloaded."""
        return self.hub_id is None and not self.address

    @property
    def unit(self) -> str | None:
        """The unit of the depth: `"m"` if it is metric, None if it is relative."""
        return self.kind.unit

    @property
    def download_mb(self) -> int | None:
        """Size of the weights on the hub in MB; 0 for the built-in model, None where it is not known."""
        if self.is_built_in:
            return 0
        millions = self.million_parameters
        return None if millions is None else round(millions * self.bytes_per_parameter)


def _make_entry(name: str, facts: dict[str, Any]) -> CatalogEntry:
    size = facts.pop("size", None)
    return CatalogEntry(
        name=name,
        kind=DepthKind(facts.pop("kind")),
        size=tuple(size) if isinstance(size, list) else size,
        **facts,
    )


def _read_catalog() -> dict[str, CatalogEntry]:
    tables = tomllib.loads(Path(__file__).with_name("catalog.toml").read_text(encoding="utf-8"))
    return {name: _make_entry(name, facts) for name, facts in tables.items()}


CATALOG: Mapping[str, CatalogEntry] = MappingProxyType(_read_catalog())
"""All entries by short name."""


def find_entry(model: str) -> CatalogEntry | None:
    """Returns the entry with this short name or hub id, in any case; None if there is none.

    >>> find_entry("Depth-Anything-V2-Small").license
    'apache-2.0'
    """
    wanted = model.lower()
    return next((e for e in CATALOG.values() if wanted in (e.name, (e.hub_id or e.name).lower())), None)


def similar_names(model: str) -> list[str]:
    """Returns up to three short names that look like `model`, best first."""
    return difflib.get_close_matches(model.lower(), list(CATALOG), n=3, cutoff=0.5)


def free_alternative(kind: DepthKind) -> str:
    """Returns the short name of a good model of this kind that anyone may use for anything."""
    return "depth-anything-v2-small" if kind is DepthKind.RELATIVE else "depth-anything-v2-metric-indoor-small"


_GIB = 2**30
_BEST: Mapping[DepthKind, tuple[tuple[str, bool, float], ...]] = MappingProxyType(
    {
        DepthKind.METRIC: (
            ("da3-metric", True, 6 * _GIB),
            ("depth-anything-v2-metric-indoor-small", False, 0.0),
        ),
        DepthKind.RELATIVE: (
            ("depth-anything-large", True, 6 * _GIB),
            ("depth-anything-v2-small", False, 2 * _GIB),
            ("zipdepth", False, 1 * _GIB),
            ("nano", False, 0.0),
        ),
    }
)
"""Models that are free for any use, the best first: whether they want a GPU, and bytes of memory on what they run."""
BEST_OF_KIND: Mapping[str, DepthKind] = MappingProxyType({"metric": DepthKind.METRIC, "best": DepthKind.RELATIVE})
"""Names that stand for the best free model of a kind on this machine."""


def describe_choice(kind: DepthKind) -> str:
    """Returns what `best_model` chooses from, in its order, for people."""
    needs = (
        f"{name} ({'a GPU with ' if wants_gpu else ''}{memory_bytes / _GIB:.0f} GiB)" if memory_bytes else name
        for name, wants_gpu, memory_bytes in _BEST[kind]
    )
    return f"the first that this machine can run of {', '.join(needs)}"


def best_model(kind: DepthKind, runs_on_gpu: Callable[[CatalogEntry], bool], memory_bytes: float) -> CatalogEntry:
    """Returns the best model of this kind that is free for any use and runs on a machine.

    The order is that of NYU's delta1 as authors and comparisons report it: 0.981 for Depth Anything Large, about 0.97
    for Depth Anything V2 Small and 0.933 for ZipDepth; of metric models 0.948 for DA3METRIC-LARGE.

    Args:
        kind: of the depth.
        runs_on_gpu: called with models that take seconds for a frame on a CPU; says whether a GPU here would run them.
        memory_bytes: of the GPU, or of the machine where it has none.

    >>> best_model(DepthKind.RELATIVE, lambda entry: False, 1.5 * 2**30).name
    'zipdepth'
    """
    entries = ((CATALOG[name], wants_gpu) for name, wants_gpu, needed in _BEST[kind] if memory_bytes >= needed)
    return next(entry for entry, wants_gpu in entries if not wants_gpu or runs_on_gpu(entry))
