"""Marks on the fields of the settings model: flags on the command line, and what a setting has no effect on."""

from __future__ import annotations


class Flag:
    """The names of a setting on the command line; the first one, with `_` for `-`, is its keyword in Python.

    Args:
        names: the long name, then further ones such as "-o". A switch that can also be turned off has both of its names
            in one, such as "--legend/--no-legend".
        is_common: True for the dozen flags that people need first; --help shows them above all others.
        metavar: what stands for the value in --help; by default its type.
    """

    def __init__(self, *names: str, is_common: bool = False, metavar: str | None = None) -> None:
        self.names = names
        self.is_common = is_common
        self.metavar = metavar

    @property
    def keyword(self) -> str:
        """The setting's name as a keyword argument in Python."""
        return self.names[0].partition("/")[0].lstrip("-").replace("-", "_")


class NoEffectOnResult:
    """Marks a setting, or a whole section, that changes how a run is done but never the depth or pictures it gives.

    A file that was converted already is not converted again when only such settings have changed.
    """
