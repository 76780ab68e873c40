"""The error for a file that is not found: it does not exist, or its folder may not be entered."""

from __future__ import annotations

import os
from pathlib import Path

from streamdepth.core.errors import SourceOpenError


def missing_file_error(name: str, path: str | Path) -> SourceOpenError:
    """Returns an error, code "no-permission" or "not-found", for a file that is not found under `path`.

    name: the file's name for the message, without credentials.
    """
    try:
        os.stat(path)
    except PermissionError:
        return SourceOpenError(
            f"{name} cannot be looked up: permission denied; check the permissions of its folders", code="no-permission"
        )
    except (OSError, ValueError):
        pass
    return SourceOpenError(
        f"{name} does not exist; check the spelling and the current folder ({Path.cwd()})", code="not-found"
    )
