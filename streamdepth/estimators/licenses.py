"""Licenses of weights: which are restricted, and that nobody uses such weights without having accepted them."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from streamdepth.core.errors import ModelLoadError
from streamdepth.core.wording import switch
from streamdepth.estimators import catalog

_log = logging.getLogger(__name__)

_RESTRICTED_LICENSE = re.compile(r"\bnc\b|non-?commercial|amlr|research", re.IGNORECASE)


def is_restricted_license(license: str) -> bool:
    """Returns True for a license that forbids commercial use by its name.

    >>> is_restricted_license("cc-by-nc-4.0"), is_restricted_license("apache-2.0")
    (True, False)
    """
    return _RESTRICTED_LICENSE.search(license) is not None


def check_license(model: str, license: str, allows_commercial_use: bool, is_accepted: bool) -> None:
    """Warns of restricted weights, and raises ModelLoadError with the code "license" until that is accepted.

    Args:
        model: a name or a path, for messages.
        license: of the weights.
        allows_commercial_use: nothing happens then.
        is_accepted: the user has accepted the license.
    """
    if allows_commercial_use:
        return
    if not is_accepted:
        entry = catalog.find_entry(model)
        free = catalog.free_alternative(entry.kind if entry else catalog.CATALOG["nano"].kind)
        raise ModelLoadError(
            f"the weights of {model!r} have the license {license}: read it, then add {switch('--accept-license')}; "
            f"free for any use: {free}, or the built-in nano",
            code="license",
        )
    _log.warning("the weights of %r have the license %s; results may not be used commercially", model, license)


def license_in(folder: Path) -> str:
    """Returns the license that the model card (README.md) in a folder states; "unknown" where there is none."""
    card = folder / "README.md"
    head = card.read_text(encoding="utf-8", errors="replace")[:4000] if card.is_file() else ""
    stated = re.search(r"^license:\s*(?:-\s*)?(\S+)", head.split("\n---", 1)[0], re.MULTILINE)
    return stated[1] if stated else "unknown"
