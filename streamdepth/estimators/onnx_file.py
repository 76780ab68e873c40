"""Models that streamdepth itself wrote: ONNX files by `export`, folders with INT8 by `quantize`."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import torch

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.estimators.engines import Engine, EngineOptions
from streamdepth.estimators.engines.check import LIMIT, difference
from streamdepth.estimators.engines.onnx_engine import OnnxFile, import_onnx, save_onnx
from streamdepth.estimators.engines.openvino_engine import OpenVinoFile
from streamdepth.estimators.network import Card, Network
from streamdepth.estimators.network_estimator import NetworkEstimator

_log = logging.getLogger(__name__)

DESCRIPTION = "streamdepth.json"
"""Of a folder's model, beside `model.xml`."""
_KEY = "streamdepth"
_LARGEST_BYTES = 2_000_000_000


def is_exported(model: str) -> bool:
    """Whether `model` names a file or folder that was written here."""
    path = Path(model).expanduser()
    try:
        return path.suffix.lower() == ".onnx" or (path / DESCRIPTION).is_file()
    except OSError:  # a name that no file can have; whoever loads it says so
        return False


class ExportedEstimator(NetworkEstimator):
    """Runs what `export` or `quantize` wrote to `path`. The input's size is fixed: pictures are brought to it.

    options: as `make_engine` takes them, as far as they go with the file. Raises ModelLoadError, ConfigError and
    MissingDependencyError.
    """

    def __init__(self, path: Path, *, size: int | None = None, **options: Unpack[EngineOptions]) -> None:
        if size is not None:
            raise ConfigError(f"'{path}' was made for one size of input; leave --size out, or make it anew")
        _refuse(path, options)
        super().__init__(
            *(_open_onnx(path, options) if path.suffix.lower() == ".onnx" else _open_folder(path, options))
        )


def _refuse(path: Path, options: EngineOptions) -> None:
    """Settings that would go unheeded."""
    runs_on = "onnx" if path.suffix.lower() == ".onnx" else "openvino"
    if options.get("engine", "auto") not in ("auto", runs_on):
        raise ConfigError(
            f"'{path}' runs on the engine {runs_on} only, not on {options['engine']!r}; leave --engine out"
        )
    if options.get("precision", "auto") != "auto" or options.get("compile"):
        raise ConfigError(f"the precision of '{path}' is fixed; leave --precision and --compile out")
    if runs_on == "openvino" and options.get("device", "auto") not in ("auto", "cpu"):
        raise ConfigError(f"'{path}' runs on the CPU, not on {options['device']!r}; leave --device out")


def _open_onnx(path: Path, options: EngineOptions) -> tuple[Card, Engine]:
    if not path.is_file():
        raise ModelLoadError(f"there is no file '{path}'; streamdepth export writes such files")
    engine = OnnxFile(path, device=options.get("device", "auto"), threads=options.get("threads"))
    notes = engine.notes.get(_KEY)
    if notes is None:
        raise ModelLoadError(f"'{path}' does not say how pictures go in and what comes out; use streamdepth export")
    return replace(_card(notes, path), name=str(path)), engine


def _open_folder(folder: Path, options: EngineOptions) -> tuple[Card, Engine]:
    description = folder / DESCRIPTION
    try:
        text = description.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelLoadError(f"cannot read '{description}': {error}") from error
    engine = OpenVinoFile(
        folder / "model.xml",
        "int8",
        threads=options.get("threads"),
        for_throughput=options.get("for_throughput", False),
    )
    engine.reason = "INT8 was made for it"
    return replace(_card(text, description), name=str(folder)), engine


def _card(text: str, path: Path) -> Card:
    try:
        facts: Any = json.loads(text)["card"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelLoadError(f"the description in '{path}' is damaged; make the model anew") from error
    return Card.from_json(facts)


def export_onnx(network: Network, path: Path, *, frame_size: tuple[int, int], batch: int = 1) -> float:
    """Writes the network to `path` as ONNX, with its card inside, and returns how far ONNX Runtime is from torch.

    frame_size: (width, height) in px of the pictures whose aspect the input keeps. The result is `check.difference` on
    noise; more than its limit raises ModelLoadError, as does a network over 2 GB, or one that cannot be exported.
    """
    if 4 * network.card.parameters > _LARGEST_BYTES:
        raise ModelLoadError(
            f"{network.card.name!r} is larger than 2 GB, more than one ONNX file can hold; try --engine onnx"
        )
    card = network.card.fixed(frame_size[1], frame_size[0])
    height, width = card.input_size()
    save_onnx(network.module, path, batch, height, width)
    onnx = import_onnx("onnx")
    model = onnx.load(str(path))
    notes = model.metadata_props.add()
    notes.key, notes.value = _KEY, json.dumps({"card": card.as_json()})
    onnx.save(model, str(path))
    pixels = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact = network.module(pixels)
    found = difference(
        OnnxFile(path, device="cpu").run(pixels)[0], exact if isinstance(exact, torch.Tensor) else exact[0]
    )
    if found > LIMIT:
        raise ModelLoadError(f"the exported network differs from torch's by {found:.1%}; use --engine torch")
    return found
