"""Control characters in foreign text never reach a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdepth.utils.printable import escape_control


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("a\rb\x9b31m", r"a\x0db\x9b31m"),
        ("caf\udce9.mp4", r"caf\xe9.mp4"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("ü, 深\tand\nlines", "ü, 深\tand\nlines"),
    ],
)
def test_control_characters_become_escapes(text: str, shown: str) -> None:
    assert escape_control(text) == shown


@given(st.text())
def test_nothing_but_tabs_and_lines_controls(text: str) -> None:
    shown = escape_control(text).replace("\t", "").replace("\n", "")
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert escape_control(shown) == shown
