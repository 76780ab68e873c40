"""Takes secrets out of addresses and of texts that quote them, before either is stored or shown."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*://)(.*)$", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_SECRET = re.compile(
    r"((?:pass(?:word|wd|phrase)?|pwd|token|secret|key|auth|sig(?:nature)?|credentials?|user(?:name)?|usr|login)"
    r"[\w.~-]{0,16}?=)[^&/?#;\s'\"]+",
    re.IGNORECASE,
)
_HIDDEN = "***"


def redact(address: str) -> str:
    """The address without user and password, and with the values of secret-looking parameters hidden.

    An unescaped `/`, `?`, `#` or `@` in a password makes an address ambiguous; then more is hidden rather than less.
    """
    match = _SCHEME.match(address)
    if not match:
        return _SECRET.sub(rf"\1{_HIDDEN}", address)
    scheme, rest = match.groups()
    return scheme + _SECRET.sub(rf"\1{_HIDDEN}", _without_user(rest))


def _without_user(rest: str) -> str:
    before, at, after = rest.rpartition("@")
    authority = re.split(r"[/?#]", before, maxsplit=1)[0]
    if not at:
        return rest
    if authority == before:
        return after
    port = authority.rpartition(":")[2] if ":" in authority else "0"
    if "@" not in authority and port.isdigit():
        return rest
    return f"{_HIDDEN}@{after}"


def redact_text(text: str) -> str:
    """A foreign text, such as an error's message, with every address in it redacted."""
    return _SECRET.sub(rf"\1{_HIDDEN}", _ADDRESS.sub(lambda match: redact(match[0]), text))
