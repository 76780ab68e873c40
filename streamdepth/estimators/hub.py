"""Search for a model's files: in a local folder, in the hub's cache on this machine, or on the hub itself."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamdepth.core.errors import ModelLoadError
from streamdepth.core.wording import switch
from streamdepth.estimators import catalog
from streamdepth.estimators.catalog import CatalogEntry
from streamdepth.estimators.licenses import check_license, is_restricted_license, license_in

_log = logging.getLogger(__name__)

_HUB_TIMEOUT_SECONDS = 5.0
_PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
_DESCRIPTION_FILES = ("README.md", *_PROCESSOR_FILES, "config.json")
"""Files beside the weights in the order of their download: with the last, a model in the cache is complete."""
_SAFETENSORS = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?")
_PICKLED = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin(\.index\.json)?")
_BUILT_IN_HINT = "Built in, without download: nano. `streamdepth models` lists the short names."
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's files on this machine."""

    folder: Path
    license: str
    is_pickled: bool
    """True if the weights are pickled, and not safetensors."""
    entry: CatalogEntry | None
    """The model's entry in the catalog; None for any other model."""


def find_model_files(model: str, *, accept_license: bool = False, allow_pickle: bool = False) -> ModelFiles:
    """Returns the files of a model, given as a short name, a hub id or a local folder; downloads what is missing here.

    Raises ModelLoadError with the code "unknown-model", "not-available", "license" (restricted and not accepted),
    "pickle" (pickled weights without `allow_pickle`) or "no-model" (the folder holds none).
    """
    entry = catalog.find_entry(model)
    if entry is not None and (entry.hub_id is None or entry.onnx_file):
        raise ModelLoadError(f"{entry.name!r} is not a model of transformers; use its name alone", code="built-in")
    if entry is not None:
        check_license(entry.name, entry.license, entry.allows_commercial_use, accept_license)
        folder = _find_on_hub(entry.hub_id or entry.name, True, allow_pickle)
        return ModelFiles(folder, entry.license, _has_pickled_weights(folder, model, allow_pickle), entry)
    folder = Path(os.path.expanduser(model))
    if not folder.is_dir():
        if not _HUB_ID.fullmatch(model) or model.startswith("."):
            raise _unknown_model(model)
        folder = _find_on_hub(model, accept_license, allow_pickle)
    license = license_in(folder)
    check_license(model, license, not is_restricted_license(license), accept_license)
    return ModelFiles(folder, license, _has_pickled_weights(folder, model, allow_pickle), None)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file of weights on this machine, of a model that transformers does not know."""

    path: Path
    license: str


def is_checkpoint(model: str) -> bool:
    """Returns True for the name of a model whose weights are one file, and for such a file (.pth).

    >>> is_checkpoint("video-depth-anything-small"), is_checkpoint("own.pth"), is_checkpoint("nano")
    (True, True, False)
    """
    entry = catalog.find_entry(model)
    return Path(model).suffix == ".pth" if entry is None else bool(entry.checkpoint)


def takes_prompt(model: str) -> bool:
    """Returns True for a model that needs a sensor's depth: by the catalog, or by its configuration if that is here.

    >>> takes_prompt("prompt-depth-anything-small"), takes_prompt("nano")
    (True, False)
    """
    entry = catalog.find_entry(model)
    if entry is not None:
        return entry.takes_prompt
    path = Path(os.path.expanduser(model))
    found: Any = path / "config.json"
    if not path.exists() and _HUB_ID.fullmatch(model):
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(model, "config.json")
    try:
        return bool(json.loads(Path(found).read_bytes())["model_type"] == "prompt_depth_anything")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def find_checkpoint(model: str, *, accept_license: bool = False, allow_pickle: bool = False) -> Checkpoint:
    """Returns the file of a model for which `is_checkpoint` is true; downloads it where it is not here.

    Raises ModelLoadError with the code "not-available", "license", "pickle" or "no-model" (there is no such file).
    """
    entry = catalog.find_entry(model)
    path = Path(os.path.expanduser(model))
    if entry is None and not path.is_file():
        raise ModelLoadError(f"there is no file '{path}' with weights; check the path", code="no-model")
    _check_pickle(model, True, allow_pickle)
    if entry is not None:
        check_license(entry.name, entry.license, entry.allows_commercial_use, accept_license)
        return Checkpoint(find_hub_file(entry.hub_id or entry.name, entry.checkpoint), entry.license)
    return Checkpoint(path, "unknown")


def find_hub_file(hub_id: str, name: str) -> Path:
    """Returns the path of one file of the hub, from the cache or else downloaded.

    Raises ModelLoadError with the code "not-available".
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    cached = try_to_load_from_cache(hub_id, name)
    if isinstance(cached, str):
        return Path(cached)
    try:
        # Without a connection a download alone would be tried six times in half a minute, with a line for each.
        get_hf_file_metadata(hf_hub_url(hub_id, name), timeout=_HUB_TIMEOUT_SECONDS)
        return Path(hf_hub_download(hub_id, name, etag_timeout=_HUB_TIMEOUT_SECONDS))
    except Exception as error:  # HTTP clients, proxies and file systems raise whatever they like
        raise _unavailable_model(hub_id, error, name) from error


def _find_on_hub(hub_id: str, accept_license: bool, allow_pickle: bool) -> Path:
    """Returns the folder with the model's files, from the cache or else from the hub, which is asked once.

    Other programs leave models in the cache without the settings of their image processor. The hub is asked for those;
    where it cannot be reached, the defaults of the model's family serve, with a warning.
    """
    from huggingface_hub.errors import HFValidationError

    cached = None
    try:
        cached = _find_in_cache(hub_id)
        if cached is not None and any((cached / name).is_file() for name in _PROCESSOR_FILES):
            return cached
        return _download(hub_id, accept_license, allow_pickle)
    except ModelLoadError:
        raise
    except HFValidationError as error:
        raise _unknown_model(hub_id) from error
    except Exception as error:  # HTTP clients, proxies and file systems raise whatever they like
        if cached is None:
            raise _unavailable_model(hub_id, error) from error
        _log.warning(
            "%r is in the cache without the settings of its image processor, and %s; those usual for such models are "
            "used, and depth may be worse",
            hub_id,
            _cause_in_words(error),
        )
        return cached


def _find_in_cache(hub_id: str) -> Path | None:
    """Returns the model's folder in the hub's cache, if it has the configuration and weights."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with contextlib.suppress(LocalEntryNotFoundError):
        folder = Path(snapshot_download(hub_id, local_files_only=True))
        if (folder / "config.json").is_file() and _find_weights(folder):
            return folder
    return None


def _download(hub_id: str, accept_license: bool, allow_pickle: bool) -> Path:
    from huggingface_hub import HfApi, hf_hub_download

    info = HfApi().model_info(hub_id, timeout=_HUB_TIMEOUT_SECONDS)
    license = next((tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), "unknown")
    check_license(hub_id, license, not is_restricted_license(license), accept_license)
    files = [file.rfilename for file in info.siblings or ()]
    weights = [name for name in files if _SAFETENSORS.fullmatch(name)]
    if not weights:
        weights = [name for name in files if _PICKLED.fullmatch(name)]
        _check_pickle(hub_id, bool(weights), allow_pickle)
    for name in (*weights, *(name for name in _DESCRIPTION_FILES if name in files)):
        path = hf_hub_download(hub_id, name, revision=info.sha)
    return Path(path).parent


def _find_weights(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("*.safetensors") if _SAFETENSORS.fullmatch(path.name)]
    return found or [path for path in folder.glob("*.bin") if _PICKLED.fullmatch(path.name)]


def _has_pickled_weights(folder: Path, model: str, allow_pickle: bool) -> bool:
    weights = _find_weights(folder)
    if not weights or not (folder / "config.json").is_file():
        raise ModelLoadError(
            f"the folder '{folder}' holds no model: config.json and model.safetensors are needed, as save_pretrained "
            "writes them",
            code="no-model",
        )
    pickled = weights[0].suffix == ".bin"
    _check_pickle(model, pickled, allow_pickle)
    return pickled


def _check_pickle(model: str, pickled: bool, allow_pickle: bool) -> None:
    if pickled and not allow_pickle:
        raise ModelLoadError(
            f"{model!r} has pickled weights only, which can hide code; if you trust their author, "
            f"{switch('--allow-pickle')} loads them with torch's restricted loader; or choose a model with safetensors",
            code="pickle",
        )


def _unknown_model(model: str) -> ModelLoadError:
    shown = re.sub(r"//[^/@]*@", "//", model)
    guesses = catalog.similar_names(shown)
    hint = f"; did you mean {' or '.join(guesses)}?" if guesses else "."
    return ModelLoadError(
        f"unknown model {shown!r}{hint} Give a short name, a hub id (owner/name) or a local folder. {_BUILT_IN_HINT}",
        code="unknown-model",
    )


def _unavailable_model(hub_id: str, error: Exception, file: str = "") -> ModelLoadError:
    """Builds the error without the original message, which is long and may contain private data."""
    from huggingface_hub import constants

    what, given = (f"{file} of model", "its path") if file else ("model", "its folder")
    return ModelLoadError(
        f"{what} {hub_id!r} is not in '{constants.HF_HUB_CACHE}', and {_cause_in_words(error)}; download it on a "
        f"machine with a connection and give {given}, or try --model nano. {_BUILT_IN_HINT}",
        code="not-available",
    )


def _cause_in_words(error: Exception) -> str:
    from huggingface_hub import constants, errors

    if constants.HF_HUB_OFFLINE:
        return "the hub must not be asked (HF_HUB_OFFLINE is set)"
    causes: dict[str, Any] = {
        "the hub asks to accept terms on the model's page first": errors.GatedRepoError,
        "the hub does not know it, or not for you": errors.RepositoryNotFoundError,
        "the hub could not be reached": errors.LocalEntryNotFoundError,
    }
    name = type(error).__name__
    details = "" if name.startswith("Connect") else f" ({name})"
    return next(
        (text for text, kind in causes.items() if isinstance(error, kind)), f"the hub could not be reached{details}"
    )
