"""Marks on the fields of the settings model: flags on the command line, and what a setting has no effect on."""

from __future__ import annotations


class Flag:
    """The names of a setting on the command line; the first one, with `_` for `-`, is its keyword in Python.

    Args:
        names: the long name, then further ones such as "-o".
        is_common: True for the dozen flags that people need first; --help shows them above all others.
        metavar: what stands for the value in --help; by default its type.
    """

    def __init__(self, *names: str, is_common: bool = False, metavar: str | None = None) -> None:
        self.names = names
        self.is_common = is_common
        self.metavar = metavar


class NoEffectOnResult:
    """Marks a setting, or a whole section, that changes how a run is done but never the depth or pictures it gives.

    A file that was converted already is not converted again when only such settings have changed.
    """
