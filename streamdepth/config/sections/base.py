"""The base class of all sections of a configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from streamdepth.config.values import parse_strings

Strings = Annotated[tuple[str, ...], BeforeValidator(parse_strings)]
"""One text or several; a single one needs no list."""


class Section(BaseModel):
    """The base of all sections: unknown keys are refused, and values do not change."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True, use_attribute_docstrings=True)

    title: ClassVar[str] = ""
    """The heading of the section's flags in --help."""
    keyword_prefix: ClassVar[str] = ""
    """Prefix of the Python keywords of fields that have no flag."""
