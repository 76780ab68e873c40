"""Finds a model's files: a local folder, the hub's cache on this machine, or the hub itself."""

from __future__ import annotations

import contextlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamdepth.core.errors import ModelLoadError
from streamdepth.estimators import catalog

_log = logging.getLogger(__name__)

_ANSWER_WITHIN_SECONDS = 5.0
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_DESCRIPTIONS = ("README.md", *_PROCESSORS, "config.json")
"""In the order of their download: with the last, a model in the cache is complete."""
_SAFE = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?")
_PICKLED = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin(\.index\.json)?")
_RESTRICTED = re.compile(r"\bnc\b|non-?commercial|amlr|research", re.IGNORECASE)
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Located:
    """A model's files on this machine."""

    folder: Path
    license: str
    pickled: bool
    entry: catalog.Entry | None


def locate(model: str, *, accept_license: bool = False, allow_pickle: bool = False) -> Located:
    """model: a short name, a hub id or a local folder. Downloads only what is missing here.

    Raises ModelLoadError: unknown, not to be had, restricted licence, or pickled weights without `allow_pickle`.
    """
    entry = catalog.find(model)
    if entry is not None and entry.hub_id is None:
        raise ModelLoadError(f"{entry.name!r} is built in and not loaded from files")
    if entry is not None:
        _check_license(entry.name, entry.license, entry.commercial, accept_license)
        folder = _from_hub(entry.hub_id or entry.name, True, allow_pickle)
        return Located(folder, entry.license, _is_pickled(folder, model, allow_pickle), entry)
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if not _HUB_ID.fullmatch(model) or model.startswith("."):
            raise ModelLoadError(_unknown(model))
        folder = _from_hub(model, accept_license, allow_pickle)
    license = _license_of(folder)
    _check_license(model, license, not _RESTRICTED.search(license), accept_license)
    return Located(folder, license, _is_pickled(folder, model, allow_pickle), None)


def _from_hub(hub_id: str, accept_license: bool, allow_pickle: bool) -> Path:
    """The folder with the model's files, from the cache or else from the hub, which is asked once.

    Others leave models in the cache without their image processor's settings. The hub is asked for those, and where it
    cannot be, the family's own serve, with a warning.
    """
    from huggingface_hub.errors import HFValidationError

    cached = None
    try:
        cached = _from_cache(hub_id)
        if cached is not None and any((cached / name).is_file() for name in _PROCESSORS):
            return cached
        return _download(hub_id, accept_license, allow_pickle)
    except ModelLoadError:
        raise
    except HFValidationError as error:
        raise ModelLoadError(_unknown(hub_id)) from error
    except Exception as error:  # HTTP clients, proxies and file systems raise whatever they like
        if cached is None:
            raise ModelLoadError(_unavailable(hub_id, error)) from error
        _log.warning(
            "%r is in the cache without the settings of its image processor, and %s; those usual for such models are "
            "used, and depth may be worse",
            hub_id,
            _what_happened(error),
        )
        return cached


def _from_cache(hub_id: str) -> Path | None:
    """Where it has the configuration and weights."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with contextlib.suppress(LocalEntryNotFoundError):
        folder = Path(snapshot_download(hub_id, local_files_only=True))
        if (folder / "config.json").is_file() and _weights(folder):
            return folder
    return None


def _download(hub_id: str, accept_license: bool, allow_pickle: bool) -> Path:
    from huggingface_hub import HfApi, hf_hub_download

    info = HfApi().model_info(hub_id, timeout=_ANSWER_WITHIN_SECONDS)
    license = next((tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), "unknown")
    _check_license(hub_id, license, not _RESTRICTED.search(license), accept_license)
    files = [file.rfilename for file in info.siblings or ()]
    weights = [name for name in files if _SAFE.fullmatch(name)]
    if not weights:
        weights = [name for name in files if _PICKLED.fullmatch(name)]
        _check_pickle(hub_id, bool(weights), allow_pickle)
    for name in (*weights, *(name for name in _DESCRIPTIONS if name in files)):
        path = hf_hub_download(hub_id, name, revision=info.sha)
    return Path(path).parent


def _weights(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("*.safetensors") if _SAFE.fullmatch(path.name)]
    return found or [path for path in folder.glob("*.bin") if _PICKLED.fullmatch(path.name)]


def _is_pickled(folder: Path, model: str, allow_pickle: bool) -> bool:
    weights = _weights(folder)
    if not weights or not (folder / "config.json").is_file():
        raise ModelLoadError(
            f"the folder '{folder}' holds no model: config.json and model.safetensors are needed, as save_pretrained "
            "writes them"
        )
    pickled = weights[0].suffix == ".bin"
    _check_pickle(model, pickled, allow_pickle)
    return pickled


def _check_pickle(model: str, pickled: bool, allow_pickle: bool) -> None:
    if pickled and not allow_pickle:
        raise ModelLoadError(
            f"{model!r} has pickled weights only, which can hide code; if you trust their author, --allow-pickle loads "
            "them with torch's restricted loader; or choose a model with safetensors"
        )


def _check_license(model: str, license: str, commercial: bool, accepted: bool) -> None:
    """Announces restricted weights, and refuses them until their licence is accepted."""
    if commercial:
        return
    if not accepted:
        entry = catalog.find(model)
        free = catalog.free_alternative(entry.kind if entry else catalog.CATALOG["nano"].kind)
        raise ModelLoadError(
            f"the weights of {model!r} have the licence {license}: read it, then add --accept-license; "
            f"free for any use: {free}, or the built-in nano"
        )
    _log.warning("the weights of %r have the licence %s; results may not be used commercially", model, license)


def _license_of(folder: Path) -> str:
    """As the model card says."""
    card = folder / "README.md"
    head = card.read_text(encoding="utf-8", errors="replace")[:4000] if card.is_file() else ""
    stated = re.search(r"^license:\s*(?:-\s*)?(\S+)", head.split("\n---", 1)[0], re.MULTILINE)
    return stated[1] if stated else "unknown"


def _unknown(model: str) -> str:
    shown = re.sub(r"//[^/@]*@", "//", model)
    guesses = catalog.nearest(shown)
    hint = f"; did you mean {' or '.join(guesses)}?" if guesses else "."
    return f"unknown model {shown!r}{hint} Give a short name, a hub id (owner/name) or a local folder. {_offer()}"


def _offer() -> str:
    return "Built in, without download: nano. `streamdepth models` lists the short names."


def _unavailable(hub_id: str, error: Exception) -> str:
    """The foreign message is left out: it is long, and its parts may be private."""
    from huggingface_hub import constants

    return (
        f"model {hub_id!r} is not in '{constants.HF_HUB_CACHE}', and {_what_happened(error)}; download it on a machine "
        f"with a connection and give its folder, or try --model nano. {_offer()}"
    )


def _what_happened(error: Exception) -> str:
    from huggingface_hub import errors

    causes: dict[str, Any] = {
        "the hub asks to accept terms on the model's page first": errors.GatedRepoError,
        "the hub does not know it, or not for you": errors.RepositoryNotFoundError,
        "the hub must not be asked (HF_HUB_OFFLINE is set)": errors.OfflineModeIsEnabled,
    }
    return next(
        (text for text, kind in causes.items() if isinstance(error, kind)),
        f"the hub could not be reached ({type(error).__name__})",
    )
