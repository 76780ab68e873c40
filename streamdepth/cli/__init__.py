"""The command line."""

from __future__ import annotations

from streamdepth.cli.app import main

__all__ = ["main"]
