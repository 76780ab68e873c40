"""Removal of passwords and tokens from addresses, and from texts that quote them, before they are stored or shown."""

from __future__ import annotations

import re

# Colons and slashes may be escaped, as in libavfilter (`movie=http\\://`) or in JSON (`http:\/\/`). The bounds on
# lengths keep every search linear.
_SCHEME = r"[a-z][a-z0-9+.-]{1,20}\\*:(?:\\*/)+"
_SCHEME_PATTERN = re.compile(f"({_SCHEME})", re.IGNORECASE)
_ADDRESS = re.compile(rf"{_SCHEME}\S+", re.IGNORECASE)
_PASSWORDS = r"pass(?:word|wd|phrase)?|pwd|token|secret|credentials?"
_SECRETS = rf"{_PASSWORDS}|pw|access|key|auth|sig(?:nature)?|hmac|hdn[a-z]{{1,2}}|policy|jwt|user(?:name)?|usr|login"
_PARAMETER = re.compile(rf"([?&;][\w.~-]{{0,24}}?(?:{_SECRETS})[\w.~-]{{0,16}}?=)[^&#\s'\"]+", re.IGNORECASE)
_PATH_PARAMETER = re.compile(rf"((?:{_SECRETS})[\w.~-]{{0,16}}?=)[^&/?#;\s'\"]+", re.IGNORECASE)
_TEXT_PARAMETER = re.compile(rf"((?<![a-z])(?:{_PASSWORDS})\w{{0,16}}?=)[^&/?#;,\s'\"]+", re.IGNORECASE)
_MASK = "***"


def redact(address: str) -> str:
    """Returns `address`, and any address within it, without user and password; values of secret parameters are masked.

    An unescaped `/`, `?`, `#` or `@` in a password makes an address ambiguous; then more is hidden rather than less.

    >>> redact("rtsp://user:secret@camera/live?token=abc")
    'rtsp://camera/live?token=***'
    """
    before, *pieces = _SCHEME_PATTERN.split(address)
    shown = [_mask_parameters(before)]
    for scheme, rest in _join_split_passwords(list(zip(pieces[::2], pieces[1::2], strict=True))):
        shown += scheme, _mask_parameters(_remove_user(rest))
    return "".join(shown)


def redact_text(text: str) -> str:
    """Returns `text`, such as an error message, with every address in it redacted. Cheap where there is none.

    >>> redact_text("cannot open rtsp://user:secret@camera/live")
    'cannot open rtsp://camera/live'
    """
    if "=" not in text and "@" not in text:
        return text
    text = _ADDRESS.sub(lambda match: redact(match[0]), text)
    return _TEXT_PARAMETER.sub(rf"\1{_MASK}", _PARAMETER.sub(rf"\1{_MASK}", text))


def _join_split_passwords(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Joins (scheme, rest) pairs that a password was split into.

    Text that looks like a scheme before the host of the first address has ended belongs to a password.
    """
    joined: list[tuple[str, str]] = []
    for scheme, rest in pieces:
        if joined and not re.search(r"[/?#]", joined[-1][1]):
            first, start = joined[-1]
            joined[-1] = first, start + scheme + rest
        else:
            joined.append((scheme, rest))
    return joined


def _mask_parameters(address: str) -> str:
    return _PATH_PARAMETER.sub(rf"\1{_MASK}", _PARAMETER.sub(rf"\1{_MASK}", address))


def _remove_user(rest: str) -> str:
    before, at, after = rest.rpartition("@")
    authority = re.split(r"[/?#]", before, maxsplit=1)[0]
    if not at:
        return rest
    if authority == before:
        return after
    port = authority.rpartition(":")[2] if ":" in authority else "0"
    if "@" not in authority and port.isdigit():
        return rest
    return f"{_MASK}@{after}"
