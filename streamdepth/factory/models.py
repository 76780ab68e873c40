"""Makes models: networks, and estimators that run them on an engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.config import Settings
from streamdepth.config.sections import ModelSettings
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.threads import call_interruptibly
from streamdepth.estimators.catalog import find_entry
from streamdepth.factory.chosen_model import with_chosen_model

if TYPE_CHECKING:
    from streamdepth.estimators.engines import EngineOptions
    from streamdepth.estimators.network import Network
    from streamdepth.estimators.network_estimator import NetworkEstimator


def make_estimator(settings: Settings) -> Estimator:
    """Returns the loaded model of the settings; Ctrl-C interrupts the loading.

    Raises ModelLoadError or ConfigError.
    """
    return call_interruptibly(lambda: _load_estimator(settings))


def _load_estimator(settings: Settings) -> Estimator:
    devices = settings.model.device.split(",")
    if len(devices) < 2 or devices[0].startswith("auto:"):  # OpenVINO's own choice among several
        return _load_on_one_device(settings)
    from streamdepth.estimators.several_devices import SeveralDevicesEstimator

    return SeveralDevicesEstimator([_load_on_one_device(settings.replace(device=device)) for device in devices])


def _load_on_one_device(settings: Settings) -> Estimator:
    from streamdepth.estimators.exported_model import is_exported_model

    _check_description(settings.model)
    model = with_chosen_model(settings.model)
    if is_exported_model(model.name):
        return _open_file(model)
    if _has_memory(model):
        from streamdepth.estimators.video_depth_anything import VideoDepthEstimator

        return VideoDepthEstimator(
            model.name,
            size=model.size,
            accept_license=model.accept_license,
            allow_pickle=model.allow_pickle,
            **_engine_options(model),
        )
    network = _load_network(model)
    if network.card.takes_prompt:
        from streamdepth.estimators.prompt_depth import PromptEstimator

        return PromptEstimator(network, **_engine_options(model))
    return make_network_estimator(network, settings)


def _has_memory(model: ModelSettings) -> bool:
    """Returns True for Video Depth Anything, by name or as a file. Raises ModelLoadError as `find_checkpoint`."""
    from streamdepth.estimators.hub import find_checkpoint, is_checkpoint

    if not is_checkpoint(model.name) or find_entry(model.name) is not None:
        return is_checkpoint(model.name)
    from streamdepth.estimators.zipdepth import is_zipdepth_file

    return not is_zipdepth_file(find_checkpoint(model.name, allow_pickle=model.allow_pickle).path)


def _check_description(model: ModelSettings) -> None:
    """Raises ConfigError if a description is given for a model that describes its own output."""
    from streamdepth.estimators.exported_model import is_foreign_model

    if model.description and not is_foreign_model(Path(os.path.expanduser(model.name))):
        raise ConfigError(
            f"a description is for ONNX files of other programs, and '{model.name}' is none; leave it out",
            code="option-conflict",
        )


def _open_file(model: ModelSettings) -> NetworkEstimator:
    """Opens an ONNX file (a path, or a model of the catalog) or a folder that `quantize` wrote."""
    from streamdepth.estimators.exported_model import ExportedModelEstimator, is_foreign_model

    options, path = _engine_options(model), Path(os.path.expanduser(model.name))
    entry = find_entry(model.name)
    if entry is None and not is_foreign_model(path):
        return ExportedModelEstimator(path, size=model.size, **options)
    from streamdepth.estimators.foreign.estimator import open_foreign_model
    from streamdepth.estimators.hub import find_hub_file

    description, name = model.description, None
    if entry is not None:
        path, description, name = find_hub_file(entry.hub_id or "", entry.onnx_file), (entry.name,), entry.name
    return open_foreign_model(
        path, description=description, size=model.size, accept_license=model.accept_license, name=name, **options
    )


def make_network(settings: Settings, *, random_weights: bool = False) -> Network:
    """Returns the network that `make_estimator` would run, to be exported, quantized or measured.

    Args:
        settings: the settings of the model.
        random_weights: builds the network at full size without loading its weights, where the architecture is known.

    Raises:
        ModelLoadError: if it cannot be loaded.
        ConfigError: if it is an exported model, which is no network anymore ("exported"), or one that needs more than
            a picture ("several-inputs").
    """
    from streamdepth.estimators.exported_model import is_exported_model

    model = with_chosen_model(settings.model)
    if is_exported_model(model.name):
        raise ConfigError(
            f"'{model.name}' was exported already; give the model that it was made from, or another", code="exported"
        )
    network = None if _has_memory(model) else _load_network(model, has_random_weights=random_weights)
    if network is None or network.card.takes_prompt:
        needed = "earlier frames" if network is None else "a sensor's depth"
        raise ConfigError(
            f"{model.name!r} needs {needed} beside a picture, so that it cannot be exported, quantized or measured by "
            "itself; choose another model for that",
            code="several-inputs",
        )
    return network


def _load_network(model: ModelSettings, *, has_random_weights: bool = False) -> Network:
    weights = Path(model.name)
    is_file = weights.suffix == ".safetensors" and not weights.is_dir()
    if model.name.lower() == "nano" or is_file:
        from streamdepth.estimators.nano import load_nano

        return load_nano(size=model.size, weights=Path(os.path.expanduser(weights)) if is_file else None)
    if has_random_weights:
        from streamdepth.estimators.random_weights import random_network

        return random_network(model.name, model.size)
    is_pickled_file = weights.suffix == ".pth"
    if model.name.lower() == "zipdepth" or is_pickled_file:
        from streamdepth.estimators.zipdepth import load_zipdepth

        return load_zipdepth(size=model.size, weights=Path(os.path.expanduser(weights)) if is_pickled_file else None)
    from streamdepth.estimators.huggingface import load_huggingface_network

    return load_huggingface_network(
        model.name,
        size=model.size,
        accept_license=model.accept_license,
        allow_pickle=model.allow_pickle,
    )


def make_network_estimator(network: Network, settings: Settings) -> NetworkEstimator:
    """Returns `network` on the engine of the settings, which may change its weights in place. Raises ConfigError."""
    from streamdepth.estimators.engines.make import make_engine
    from streamdepth.estimators.network_estimator import NetworkEstimator

    options = _engine_options(settings.model)
    return NetworkEstimator(network.card, make_engine(network.module, **options))


def _engine_options(model: ModelSettings) -> EngineOptions:
    return {
        "engine": model.engine,
        "device": model.device,
        "precision": model.precision,
        "precision_limit": model.precision_limit,
        "compile": model.compile,
        "threads": model.threads,
        "for_throughput": bool(model.throughput),
    }
