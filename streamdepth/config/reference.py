"""The settings reference: every key with its default and meaning, made from the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from streamdepth.config.settings import Setting, table


def default_text(setting: Setting) -> str:
    """Returns the default as YAML writes it, such as "null", "true" or "500"."""
    value: Any = setting.default
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(yaml.safe_dump(value, default_flow_style=True, width=1000)).removesuffix("\n...\n").strip()


def rows() -> list[tuple[str, str, str, str]]:
    """Returns (key, default, flag or keyword, meaning) of every setting, in the order of the model."""
    return [
        (
            setting.path,
            default_text(setting),
            ", ".join(setting.flag.names) if setting.flag else setting.keyword,
            setting.meaning,
        )
        for setting in table().values()
    ]


def _name(setting: Setting) -> str:
    return ", ".join(setting.flag.names) if setting.flag else setting.keyword


def markdown() -> str:
    """Returns the reference as tables in Markdown, one for each section."""
    lines: list[str] = []
    section: str | None = None
    for setting, (path, default, name, meaning) in zip(table().values(), rows(), strict=True):
        if setting.section != section:
            section = setting.section
            lines += ["", f"### {section or 'Top level'}", "", "| key | default | flag or keyword | meaning |"]
            lines += ["|---|---|---|---|"]
        lines.append(f"| `{path}` | `{default}` | `{name}` | {meaning.replace('|', '&#124;')} |")
    return "\n".join(lines).strip() + "\n"
