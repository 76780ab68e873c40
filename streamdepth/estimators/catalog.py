"""The catalog of models by short name: where they live, what their numbers mean, what their license allows.

A model is added by one more entry in `_make_entries`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from streamdepth.core.types import DepthKind

_UNCLEAR = "unknown, see the model page"


_MILLION_PARAMETERS = {
    "dpt-large": 343.0,
    "dpt-hybrid-midas": 122.4,
    "midas-beit-large-512": 344.0,
    "midas-beit-large-384": 343.3,
    "midas-beit-base-384": 110.8,
    "midas-swinv2-large-384": 211.9,
    "midas-swinv2-base-384": 101.4,
    "midas-swinv2-tiny-256": 40.9,
    "depth-anything-small": 24.8,
    "depth-anything-base": 97.5,
    "depth-anything-large": 335.3,
    "depth-anything-v2-small": 24.8,
    "depth-anything-v2-metric-indoor-small": 24.8,
    "depth-anything-v2-metric-outdoor-small": 24.8,
    "depth-anything-v2-base": 97.5,
    "depth-anything-v2-metric-indoor-base": 97.5,
    "depth-anything-v2-metric-outdoor-base": 97.5,
    "depth-anything-v2-large": 335.3,
    "depth-anything-v2-metric-indoor-large": 335.3,
    "depth-anything-v2-metric-outdoor-large": 335.3,
    "video-depth-anything-small": 29.0,
    "distill-any-depth-small": 24.8,
    "distill-any-depth-large": 335.3,
    "prompt-depth-anything-small": 25.1,
    "prompt-depth-anything-small-transparent": 25.1,
    "prompt-depth-anything-large": 340.0,
    "zoedepth-nyu": 333.3,
    "zoedepth-kitti": 333.3,
    "zoedepth-nyu-kitti": 333.3,
    "depth-pro": 952.0,
    "zipdepth": 6.8,
    "da3-metric": 334.3,
    "glpn-nyu": 61.2,
    "glpn-kitti": 61.2,
    "dpt-dinov2-small-nyu": 36.6,
    "dpt-dinov2-small-kitti": 36.6,
    "dpt-dinov2-base-nyu": 111.4,
    "dpt-dinov2-base-kitti": 111.4,
    "dpt-dinov2-large-nyu": 339.2,
    "dpt-dinov2-large-kitti": 339.2,
}
"""Learnt parameters in millions, by short name."""
_IN_FLOAT16 = ("depth-pro",)
"""Models whose published weights take two bytes for a parameter, not four."""
_ADVICE = {
    "nano": "fastest, nothing to download",
    "zipdepth": "better, on small CPUs",
    "depth-anything-v2-small": "take this for better depth",
    "depth-anything-v2-metric-indoor-small": "take this for meters, rooms",
    "depth-anything-v2-metric-outdoor-small": "take this for meters, roads",
}
"""Advice on the models to take, by short name; all of them are free for any use."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """The facts about one model that are known before it is downloaded."""

    name: str
    hub_id: str | None
    """The model's name on the Hugging Face hub; None for the built-in model and those published elsewhere."""
    kind: DepthKind
    size: int | tuple[int, int] | None
    """Input size in px: the short side, or (width, height); None for the picture's own size."""
    size_multiple: int
    """The input's sides are multiples of this, in px."""
    license: str
    """License of the weights."""
    allows_commercial_use: bool = True
    """False also where it is not certain; then the license has to be accepted."""
    note: str = ""
    onnx_file: str = ""
    """The ONNX file on the hub, for a model that is run from one."""
    address: str = ""
    """The project that publishes the weights, for a model that is not on the hub."""
    checkpoint: str = ""
    """The file with the weights on the hub, for a model that transformers does not know."""
    takes_prompt: bool = False
    """True if it needs a sensor's depth beside the pictures."""

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
        millions = _MILLION_PARAMETERS.get(self.name)
        return None if millions is None else round(millions * (2 if self.name in _IN_FLOAT16 else 4))

    @property
    def advice(self) -> str:
        """Says what to take this model for; empty for those that have a better alternative."""
        return _ADVICE.get(self.name, "")


def _make_entries() -> tuple[CatalogEntry, ...]:
    relative, metric = DepthKind.RELATIVE, DepthKind.METRIC
    nyu, kitti, pickled = "rooms, up to 10 m", "roads, up to 80 m", "pickled weights: needs --allow-pickle"
    found = [
        CatalogEntry(
            "nano", None, relative, 224, 32, "Apache-2.0", note="built in; weights trained on research datasets"
        ),
        CatalogEntry(
            "zipdepth",
            None,
            relative,
            384,
            32,
            "mit",
            note="learned from depth that Depth Anything V2 Large (cc-by-nc-4.0) gave",
            address="https://github.com/fabiotosi92/ZipDepth",
        ),
        CatalogEntry("dpt-large", "Intel/dpt-large", relative, (384, 384), 32, "apache-2.0", note="MiDaS 3.0"),
        CatalogEntry(
            "dpt-hybrid-midas", "Intel/dpt-hybrid-midas", relative, (384, 384), 32, "apache-2.0", note="MiDaS 3.0"
        ),
    ]
    for variant, side in (
        ("beit-large-512", 512),
        ("beit-large-384", 384),
        ("beit-base-384", 384),
        ("swinv2-large-384", 384),
        ("swinv2-base-384", 384),
        ("swinv2-tiny-256", 256),
    ):
        hub_id = f"Intel/dpt-{variant}"
        found.append(CatalogEntry(f"midas-{variant}", hub_id, relative, (side, side), 32, "mit", note="MiDaS 3.1"))
    for size in ("small", "base", "large"):
        hub_id = f"LiheYoung/depth-anything-{size}-hf"
        found.append(CatalogEntry(f"depth-anything-{size}", hub_id, relative, 518, 14, "apache-2.0"))
    for size in ("Small", "Base", "Large"):
        free = size == "Small"
        terms = "apache-2.0" if free else "cc-by-nc-4.0"
        hub_id = f"depth-anything/Depth-Anything-V2-{size}-hf"
        found.append(CatalogEntry(f"depth-anything-v2-{size.lower()}", hub_id, relative, 518, 14, terms, free))
        # The pages of the larger metric models contradict the authors' terms for the weights they were made from.
        terms = "apache-2.0" if free else f"{_UNCLEAR}; made from cc-by-nc-4.0 weights"
        for place, note in (("Indoor", "rooms, up to 20 m"), ("Outdoor", "roads, up to 80 m")):
            name = f"depth-anything-v2-metric-{place.lower()}-{size.lower()}"
            hub_id = f"depth-anything/Depth-Anything-V2-Metric-{place}-{size}-hf"
            found.append(CatalogEntry(name, hub_id, metric, 518, 14, terms, free, note))
    found.append(
        CatalogEntry(
            "video-depth-anything-small",
            "depth-anything/Video-Depth-Anything-Small",
            relative,
            518,
            14,
            "apache-2.0",
            note=f"remembers earlier frames; {pickled}",
            checkpoint="video_depth_anything_vits.pth",
        )
    )
    for size in ("small", "large"):
        hub_id = f"xingyang1/Distill-Any-Depth-{size.capitalize()}-hf"
        found.append(
            CatalogEntry(f"distill-any-depth-{size}", hub_id, relative, 518, 14, _UNCLEAR, allows_commercial_use=False)
        )
    for data, note in (("nyu", nyu), ("kitti", kitti), ("nyu-kitti", "rooms and roads")):
        found.append(
            CatalogEntry(f"zoedepth-{data}", f"Intel/zoedepth-{data}", metric, (512, 384), 32, "mit", note=note)
        )
    found.append(
        CatalogEntry(
            "da3-metric",
            "TillBeemelmanns/Depth-Anything-V3-ONNX",
            metric,
            (504, 280),
            14,
            "apache-2.0",
            note="Depth Anything 3; meters grow with the focal length: --fov or --camera-info",
            onnx_file="DA3METRIC-LARGE.onnx",
        )
    )
    for name, hub_name, note in (
        ("small", "vits", ""),
        ("small-transparent", "vits-transparent", ", also for glass"),
        ("large", "vitl", ""),
    ):
        hub_id = f"depth-anything/prompt-depth-anything-{hub_name}-hf"
        note = f"needs a sensor's depth: --sparse{note}"
        found.append(
            CatalogEntry(
                f"prompt-depth-anything-{name}", hub_id, metric, 756, 14, "apache-2.0", note=note, takes_prompt=True
            )
        )
    terms = "apple-amlr, research only"
    found.append(
        CatalogEntry("depth-pro", "apple/DepthPro-hf", metric, (1536, 1536), 1536, terms, False, "focal length too")
    )
    for data, note in (("nyu", nyu), ("kitti", kitti)):
        found.append(CatalogEntry(f"glpn-{data}", f"vinvino02/glpn-{data}", metric, None, 32, "apache-2.0", note=note))
    for size in ("small", "base", "large"):
        for data, note in (("nyu", nyu), ("kitti", kitti)):
            name = f"dpt-dinov2-{size}-{data}"
            note = f"{note}; {pickled}"
            found.append(CatalogEntry(name, f"facebook/{name}", metric, None, 14, "apache-2.0", note=note))
    found.append(CatalogEntry("tipsv2-base", "google/tipsv2-b14-dpt", metric, (448, 448), 14, "apache-2.0", note=nyu))
    return tuple(found)


CATALOG: Mapping[str, CatalogEntry] = MappingProxyType({entry.name: entry for entry in _make_entries()})
"""All entries by short name."""


def find_entry(model: str) -> CatalogEntry | None:
    """Returns the entry with this short name or hub id, in any case; None if there is none."""
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


def best_model(kind: DepthKind, runs_on_gpu: Callable[[CatalogEntry], bool], memory_bytes: float) -> CatalogEntry:
    """Returns the best model of this kind that is free for any use and runs on a machine.

    The order is that of NYU's delta1 as authors and comparisons report it: 0.981 for Depth Anything Large, about 0.97
    for Depth Anything V2 Small and 0.933 for ZipDepth; of metric models 0.948 for DA3METRIC-LARGE.

    Args:
        kind: of the depth.
        runs_on_gpu: called with models that take seconds for a frame on a CPU; says whether a GPU here would run them.
        memory_bytes: of the GPU, or of the machine where it has none.
    """
    entries = ((CATALOG[name], wants_gpu) for name, wants_gpu, needed in _BEST[kind] if memory_bytes >= needed)
    return next(entry for entry, wants_gpu in entries if not wants_gpu or runs_on_gpu(entry))
