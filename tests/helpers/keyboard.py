"""Presses keys on a virtual X server by its XTEST extension."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes.util import find_library


def find_key_presser() -> Callable[[str], None] | None:
    """Returns a function that presses a key where the pointer is, at the upper left; None without libXtst."""
    names = [find_library("X11"), find_library("Xtst")]
    if not all(names):
        return None
    x11, xtst = (ctypes.CDLL(name) for name in names)
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XDefaultRootWindow.restype = x11.XStringToKeysym.restype = ctypes.c_ulong
    display = ctypes.c_void_p(x11.XOpenDisplay(None))

    def press(key: str) -> None:
        keysym = ctypes.c_ulong(x11.XStringToKeysym(key.encode()))
        code = x11.XKeysymToKeycode(display, keysym) & 0xFF
        x11.XWarpPointer(display, 0, ctypes.c_ulong(x11.XDefaultRootWindow(display)), 0, 0, 0, 0, 60, 60)
        for is_down in (1, 0):
            xtst.XTestFakeKeyEvent(display, code, is_down, 0)
        x11.XSync(display, 0)

    return press
