"""Packages that only some inputs and outputs need; they are checked before anything slow begins."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

from streamdepth.core.errors import MissingDependencyError


class OptionalPackage(NamedTuple):
    """A package that is part of an extra."""

    module: str
    """The module that is imported."""
    name: str
    """The name to install it by."""
    extra: str
    purpose: str
    """Words for messages, such as "writing .exr"."""

    def check(self) -> None:
        """Raises MissingDependencyError where the package is not installed; nothing is imported."""
        try:
            is_installed = importlib.util.find_spec(self.module) is not None
        except (ImportError, ValueError):
            is_installed = False
        if not is_installed:
            raise MissingDependencyError(self.name, self.extra, self.purpose)
