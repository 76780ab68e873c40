"""The commands and the Python of README files, which tests run."""

from __future__ import annotations

import re
from pathlib import Path

from helpers.paths import ROOT

README_FILES = sorted(
    path for path in [ROOT / "README.md", *(ROOT / "streamdepth").rglob("README.md")] if "vendor" not in path.parts
)


def blocks(path: Path, language: str) -> list[str]:
    """Returns the content of all code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def commands(path: Path) -> list[str]:
    """Returns each command of the blocks of `bash`, without its comment; `a && b` are two commands."""
    lines = [line.split(" #")[0].strip() for block in blocks(path, "bash") for line in block.splitlines()]
    return [part.strip() for line in lines if line for part in line.split("&&")]


def all_commands() -> list[str]:
    """Returns the commands of all README files, each once."""
    return list(dict.fromkeys(command for path in README_FILES for command in commands(path)))


def our_commands() -> list[str]:
    """Returns the commands of all README files that run streamdepth."""
    return [command for command in all_commands() if command.startswith("streamdepth ")]
