"""Models in files that streamdepth wrote: ONNX files by `export`, folders with INT8 by `quantize`."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.estimators.catalog import find_entry
from streamdepth.estimators.engines import Engine, EngineOptions, as_array
from streamdepth.estimators.engines.onnx_engine import OnnxFileEngine
from streamdepth.estimators.engines.onnx_export import save_onnx
from streamdepth.estimators.engines.onnx_providers import import_onnx
from streamdepth.estimators.engines.openvino_engine import OpenVinoFileEngine
from streamdepth.estimators.engines.precision_check import DEFAULT_LIMIT, relative_difference
from streamdepth.estimators.foreign.onnx_file import read_metadata
from streamdepth.estimators.network import ModelCard, Network
from streamdepth.estimators.network_estimator import NetworkEstimator

_log = logging.getLogger(__name__)

CARD_FILE = "streamdepth.json"
"""Name of the file with the model card in an INT8 folder, beside `model.xml`."""
_METADATA_KEY = "streamdepth"
_MAX_ONNX_BYTES = 2_000_000_000


def is_exported_model(model: str) -> bool:
    """Returns True if `model` names an ONNX file, a model that is run from one, or a folder that `quantize` wrote.

    >>> is_exported_model("depth.onnx"), is_exported_model("da3-metric"), is_exported_model("nano")
    (True, True, False)
    """
    entry = find_entry(model)
    if entry is not None and entry.onnx_file:
        return True
    path = Path(os.path.expanduser(model))
    try:
        return path.suffix.lower() == ".onnx" or (path / CARD_FILE).is_file()
    except OSError:  # a name that no file can have; whoever loads it says so
        return False


def is_foreign_model(path: Path) -> bool:
    """Returns True for an ONNX file without the model card that `export` writes into it, also if it is not there."""
    return path.suffix.lower() == ".onnx" and _METADATA_KEY not in read_metadata(path)


class ExportedModelEstimator(NetworkEstimator):
    """Runs a model that `export` or `quantize` wrote. Its input size is fixed: pictures are brought to it.

    Args:
        path: the ONNX file or the INT8 folder.
        size: has to be None; it is here to be refused with a helpful message.
        options: as `make_engine` takes them, as far as they go with the file.

    Raises:
        ModelLoadError: with the code "not-found", "foreign" (written by another program) or "damaged".
        ConfigError: for options that do not go with the file.
        MissingDependencyError: the runtime of the file is not installed.
    """

    def __init__(self, path: Path, *, size: int | None = None, **options: Unpack[EngineOptions]) -> None:
        if size is not None:
            raise ConfigError(
                f"'{path}' was made for one size of input; leave --size out, or make it anew", code="fixed-size"
            )
        is_onnx = path.suffix.lower() == ".onnx"
        _check_options(path, "onnx" if is_onnx else "openvino", options)
        super().__init__(*(_open_onnx(path, options) if is_onnx else _open_int8_folder(path, options)))


def _check_options(path: Path, engine: str, options: EngineOptions) -> None:
    """Raises ConfigError for options that would have no effect."""
    if options.get("engine", "auto") not in ("auto", engine):
        raise ConfigError(
            f"'{path}' runs on the engine {engine} only, not on {options['engine']!r}; leave --engine out",
            code="option-conflict",
        )
    if options.get("precision", "auto") != "auto" or options.get("compile"):
        raise ConfigError(
            f"the precision of '{path}' is fixed; leave --precision and --compile out", code="option-conflict"
        )


def _open_onnx(path: Path, options: EngineOptions) -> tuple[ModelCard, Engine]:
    if not path.is_file():
        raise ModelLoadError(f"there is no file '{path}'; streamdepth export writes such files", code="not-found")
    engine = OnnxFileEngine(path, device=options.get("device", "auto"), threads=options.get("threads"))
    text = engine.metadata.get(_METADATA_KEY)
    if text is None:
        raise ModelLoadError(
            f"'{path}' does not say how pictures go in and what comes out; use streamdepth export", code="foreign"
        )
    return replace(_parse_card(text, path), name=str(path)), engine


def _open_int8_folder(folder: Path, options: EngineOptions) -> tuple[ModelCard, Engine]:
    path = folder / CARD_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelLoadError(f"cannot read '{path}': {error}", code="damaged") from error
    engine = OpenVinoFileEngine(
        folder / "model.xml",
        "int8",
        threads=options.get("threads"),
        device=options.get("device", "auto"),
        for_throughput=options.get("for_throughput", False),
    )
    engine.reason = "INT8 was made for it"
    return replace(_parse_card(text, path), name=str(folder)), engine


def _parse_card(text: str, path: Path) -> ModelCard:
    try:
        facts: Any = json.loads(text)["card"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelLoadError(f"the description in '{path}' is damaged; make the model anew", code="damaged") from error
    return ModelCard.from_json(facts)


def export_onnx(network: Network, path: Path, *, frame_size: tuple[int, int], batch: int = 1) -> float:
    """Writes a network with its card as an ONNX file, and returns how far ONNX Runtime is from torch.

    Args:
        network: the network to write.
        path: the file to write.
        frame_size: (width, height) in px of the pictures whose aspect the input keeps.
        batch: number of pictures that the file computes at a time.

    Returns:
        The `relative_difference` on noise.

    Raises:
        ModelLoadError: with the code "too-large" (over 2 GB), "not-convertible" or "inexact" (too large a difference).
    """
    if 4 * network.card.parameters > _MAX_ONNX_BYTES:
        raise ModelLoadError(
            f"{network.card.name!r} is larger than 2 GB, more than one ONNX file can hold; try --engine onnx",
            code="too-large",
        )
    card = network.card.with_fixed_size(frame_size[1], frame_size[0])
    height, width = card.input_size()
    save_onnx(network.module.get(), path, batch, height, width)
    _write_card(path, card)
    difference = difference_from_torch(network, path, height, width)
    if difference > DEFAULT_LIMIT:
        raise ModelLoadError(
            f"the exported network differs from torch's by {difference:.1%}; use --engine torch", code="inexact"
        )
    return difference


def _write_card(path: Path, card: ModelCard) -> None:
    onnx = import_onnx("onnx")
    model = onnx.load(str(path))
    metadata = model.metadata_props.add()
    metadata.key, metadata.value = _METADATA_KEY, json.dumps({"card": card.to_json()})
    onnx.save(model, str(path))


def difference_from_torch(network: Network, path: Path, height: int, width: int) -> float:
    """Returns the `relative_difference` of an ONNX file from its network in torch, on noise of this size in px."""
    import torch

    from streamdepth.estimators.engines.torch_engine import as_outputs

    pixels = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact = as_outputs(network.module.get()(pixels))[0]
    return relative_difference(as_array(OnnxFileEngine(path, device="cpu").run(pixels)[0]), as_array(exact))
