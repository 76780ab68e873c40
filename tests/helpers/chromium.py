"""A real browser for tests: Debian's Chromium, without a screen, driven by Playwright."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or ""
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--mute-audio"]
PATIENCE = 30_000
"""Milliseconds; the machine may be busy."""

NEEDS_CHROMIUM = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no browser; apt-get install chromium"),
    # An exception raised by a signal within Playwright's event loop leaves its clean-up waiting for ever.
    pytest.mark.timeout(400, method="thread"),
]


def screenshot(page: Page, where: str = "#picture-canvas") -> np.ndarray:
    """Takes a screenshot of an element, (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(page.locator(where).screenshot())).convert("RGB"), np.int16)
