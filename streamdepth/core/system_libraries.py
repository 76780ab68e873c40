"""Recognizes that a Python package cannot be imported because the system lacks a shared library that it needs."""

from __future__ import annotations

import re

from streamdepth.core.errors import MissingSystemLibraryError

_LOADER_MESSAGE = re.compile(r"(?P<library>[\w.+-]+\.so[\w.]*): cannot open shared object file")
_HEADLESS = "pip uninstall opencv-python && pip install opencv-python-headless"
_DEBIAN_PACKAGES = {
    "libGL.so": "libgl1",
    "libEGL.so": "libegl1",
    "libgthread-2.0.so": "libglib2.0-0",
    "libglib-2.0.so": "libglib2.0-0",
    "libSM.so": "libsm6",
    "libICE.so": "libice6",
    "libXext.so": "libxext6",
    "libXrender.so": "libxrender1",
    "libX11.so": "libx11-6",
    "libxcb.so": "libxcb1",
    "libgomp.so": "libgomp1",
    "libusb-1.0.so": "libusb-1.0-0",
}
"""Beginning of a library's file name -> the package of Debian and Ubuntu that contains it."""
_OPTIONAL_FOR_OPENCV = tuple(name for name in _DEBIAN_PACKAGES if name not in ("libgomp.so", "libusb-1.0.so"))
"""Libraries that OpenCV's headless wheel does without."""


def missing_system_library(error: BaseException) -> MissingSystemLibraryError | None:
    """Returns an error with the commands that help, if `error` or one of its causes is a missing shared library.

    Returns None for any other error. The system's loader raises such errors as ImportError, or as OSError where a
    package loads its libraries by hand, as torch does.
    """
    cause: BaseException | None = error
    while cause is not None:
        found = _LOADER_MESSAGE.search(str(cause)) if isinstance(cause, (ImportError, OSError)) else None
        if found:
            return MissingSystemLibraryError(_advice(found["library"]))
        cause = cause.__cause__
    return None


def _advice(library: str) -> str:
    package = next((package for name, package in _DEBIAN_PACKAGES.items() if library.startswith(name)), None)
    text = f"this machine lacks the system library {library}"
    if package is None:
        return f"{text}; install the package of your system that contains it"
    advice = f"{text}; on Debian and Ubuntu try: apt-get install {package}"
    return f"{advice} (or, if no window is needed: {_HEADLESS})" if library.startswith(_OPTIONAL_FOR_OPENCV) else advice
