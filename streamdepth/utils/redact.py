"""Takes secrets out of addresses and of texts that quote them, before either is stored or shown."""

from __future__ import annotations

import re

# Colons and slashes may be escaped, as libavfilter wants them (`movie=http\\://`) or JSON (`http:\/\/`). The bounds
# on lengths keep every search linear.
_SCHEME = r"[a-z][a-z0-9+.-]{1,20}\\*:(?:\\*/)+"
_SCHEMES = re.compile(f"({_SCHEME})", re.IGNORECASE)
_ADDRESS = re.compile(rf"{_SCHEME}\S+", re.IGNORECASE)
_PASSWORDS = r"pass(?:word|wd|phrase)?|pwd|token|secret|credentials?"
_SECRETS = rf"{_PASSWORDS}|pw|access|key|auth|sig(?:nature)?|hmac|hdn[a-z]{{1,2}}|policy|jwt|user(?:name)?|usr|login"
_PARAMETER = re.compile(rf"([?&;][\w.~-]{{0,24}}?(?:{_SECRETS})[\w.~-]{{0,16}}?=)[^&#\s'\"]+", re.IGNORECASE)
_IN_PATH = re.compile(rf"((?:{_SECRETS})[\w.~-]{{0,16}}?=)[^&/?#;\s'\"]+", re.IGNORECASE)
_ANYWHERE = re.compile(rf"((?<![a-z])(?:{_PASSWORDS})\w{{0,16}}?=)[^&/?#;,\s'\"]+", re.IGNORECASE)
_HIDDEN = "***"


def redact(address: str) -> str:
    """The address, and those within it, without user and password; values of secret-looking parameters are hidden.

    An unescaped `/`, `?`, `#` or `@` in a password makes an address ambiguous; then more is hidden rather than less.
    """
    before, *pieces = _SCHEMES.split(address)
    shown = [_without_parameters(before)]
    for scheme, rest in _joined(list(zip(pieces[::2], pieces[1::2], strict=True))):
        shown += scheme, _without_parameters(_without_user(rest))
    return "".join(shown)


def redact_text(text: str) -> str:
    """Any text, such as an error's message, with every address in it redacted. Cheap, also for text without any."""
    if "=" not in text and "@" not in text:
        return text
    text = _ADDRESS.sub(lambda match: redact(match[0]), text)
    return _ANYWHERE.sub(rf"\1{_HIDDEN}", _PARAMETER.sub(rf"\1{_HIDDEN}", text))


def _joined(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What looks like a scheme before the first address's host has ended is a part of a password."""
    joined: list[tuple[str, str]] = []
    for scheme, rest in pieces:
        if joined and not re.search(r"[/?#]", joined[-1][1]):
            first, begun = joined[-1]
            joined[-1] = first, begun + scheme + rest
        else:
            joined.append((scheme, rest))
    return joined


def _without_parameters(address: str) -> str:
    return _IN_PATH.sub(rf"\1{_HIDDEN}", _PARAMETER.sub(rf"\1{_HIDDEN}", address))


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
