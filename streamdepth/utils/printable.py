"""Sanitizing of untrusted text for messages: file names and answers of servers may hold control sequences."""

from __future__ import annotations

import re

# C0 but tab and line feed, DEL, C1, marks of writing direction, line and paragraph separators, and lone surrogates,
# which stand for bytes of a file name that are no UTF-8.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escape_control(text: str) -> str:
    r"""Returns `text` with control characters, except tab and line feed, replaced by visible escapes.

    >>> escape_control("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _CONTROL.sub(_escape, text)


def error_message(error: Exception) -> str:
    r"""Returns the message of an error on one line; the name of its class where it has none.

    >>> error_message(ValueError("no\n  depth"))
    'no depth'
    """
    return " ".join(str(error).split()) or type(error).__name__


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # the byte itself
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
