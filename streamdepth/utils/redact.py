"""Removal of passwords and tokens from addresses, and from texts that quote them, before they are stored or shown.

Secrets are recognized by rules for each scheme, not by a list of services:

- the user and password before a host; - for RTMP everything after the application, because that is the stream key; -
for SRT and RIST every parameter except those that only tune the transport, because a stream ID holds users and keys; -
for all schemes the values of parameters that are named as secrets are, and long random runs of letters and digits,
which are keys wherever they stand.
"""

from __future__ import annotations

import re
from itertools import pairwise

from streamdepth.utils.cut_passwords import is_media_name, is_plain_host, may_be_cut

# Colons and slashes may be escaped, as in libavfilter (`movie=http\\://`) or in JSON (`http:\/\/`). The bounds on
# lengths keep every search linear.
_SCHEME = r"[a-z][a-z0-9+.-]{1,20}\\*:(?:\\*/)+"
_SCHEME_PATTERN = re.compile(f"({_SCHEME})", re.IGNORECASE)
_ADDRESS = re.compile(rf"{_SCHEME}\S+", re.IGNORECASE)
_PLACEHOLDER = "USER:PASSWORD@"
"""The user and password of an address that shows how one is written."""
_SPACED_PASSWORD = re.compile(
    rf"""({_SCHEME})(?!{_PLACEHOLDER})([^\s/?#@:'"]{{1,64}}\\*:(?:(?!://)[^'"\n]){{0,64}})@(?=[\w\[])([^\s'"]*)""",
    re.IGNORECASE,
)
"""An address whose password may have spaces: the scheme, the user and password, and the host with what follows."""
_BARE_USER = r"(?!(?:lavfi|screen|camera|mailto):)[\w.+%-]{1,64}:[^\s'\"/\\@]"
_BARE_ADDRESS = re.compile(rf"{_BARE_USER}[^@]*@")
_BARE_ADDRESS_IN_TEXT = re.compile(rf"""(?<![^\s'"(]){_BARE_USER}[^\s'"@]{{0,64}}@[^\s'"]+""")
"""The user, password and host of an address whose scheme was forgotten."""
_PASSWORDS = r"pass(?:word|wd|phrase)?|pwd|token|secret|credentials?"
_SECRETS = (
    rf"{_PASSWORDS}|pw|psw|access|key|auth|sig(?:nature)?|hmac|hdn[a-z]{{1,2}}|policy|jwt|user(?:name)?|usr|login|hash|ticket|"
    "session|nonce|bearer|cookie|streamid|playpath"
)
_SHORT_NAMES = "u|p|k|s|st|un|up|uid|_?sid|code|otp|pin|md5|sp"
"""Names of parameters that are secrets only as whole words."""
_PARAMETER = re.compile(rf"([?&;][\w.~-]{{0,24}}?(?:{_SECRETS})[\w.~-]{{0,16}}?=)[^&#\s'\"]+", re.IGNORECASE)
_PATH_PARAMETER = re.compile(rf"((?:{_SECRETS})[\w.~-]{{0,16}}?=)[^&/?#;\s'\"]+", re.IGNORECASE)
_TEXT_PARAMETER = re.compile(rf"((?<![a-z])(?:{_PASSWORDS})\w{{0,16}}?=)[^&/?#;,\s'\"]+", re.IGNORECASE)
_SHORT_PARAMETER = re.compile(rf"([?&;](?:{_SHORT_NAMES})=)[^&#\s'\"]+", re.IGNORECASE)
_STREAM_KEY = re.compile(r"""^([^/?\s'"]*?\\*/+[^/?\s'"]*?(?:\\*/+|\?))[^\s'"]*[^\s'":,;.)\]]""")
"""Host and application of an RTMP address, then the part to mask, without the punctuation of a sentence."""
_RTMP = re.compile(r"rtmp[a-z]{0,2}")
_TRANSPORT_PARAMETER = re.compile(r"""([?&])([\w.-]+)=([^&\s'"]+)""")
_TRANSPORT_SCHEMES = ("srt", "rist")
_HARMLESS = re.compile(
    r"mode|type|timeout|\w*latency|latency\w*|pbkeylen|transtype|pkt_size|payload_size|maxbw|inputbw|oheadbw|mss|ffs|ipttl|"
    r"iptos|linger|tlpktdrop|sndbuf|rcvbuf|\w*dropdelay|buffer\w*|bandwidth|reorder\w*|aes-type|profile|\*+"
)
"""Parameters of SRT and RIST that are shown."""
_RANDOM_RUN = re.compile(
    r"(?<![A-Za-z0-9])(?:(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z0-9]*[A-Z])(?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{16,}|[0-9a-fA-F]{32,})"
    r"(?![A-Za-z0-9])"
)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}")
_LEAST_RANDOM_CHARACTERS, _LEAST_CHANGES = 24, 0.45
"""Length of a text in base64url, and share of its neighbors that differ in kind: 0.6 in random texts, 0.3 in names."""
_STREAM_SCHEMES = ("rtsp", "rtsps", "rtspt", "http", "https", "ws", "wss", "hls", "srt", "rist", "whip", "whep")
_MASK = "***"


def redact(address: str) -> str:
    """Returns `address`, and any address within it, without user and password; values of secret parameters are masked.

    An unescaped `/`, `?`, `#` or `@` in a password makes an address ambiguous; then more is hidden rather than less.

    >>> redact("rtsp://user:secret@camera/live?token=abc")
    'rtsp://camera/live?token=***'
    """
    before, *pieces = _SCHEME_PATTERN.split(address)
    shown = [_mask_parameters(before if pieces else _remove_bare_user(before))]
    for scheme, rest in _join_split_passwords(list(zip(pieces[::2], pieces[1::2], strict=True))):
        shown += scheme, _mask_rest(re.match(r"[\w+.-]+", scheme)[0].lower(), rest)  # type: ignore[index]
    return "".join(shown)


def redact_text(text: str) -> str:
    """Returns `text`, such as an error message, with every address in it redacted. Cheap where there is none.

    >>> redact_text("cannot open rtsp://user:secret@camera/live")
    'cannot open rtsp://camera/live'
    """
    if "=" not in text and "@" not in text and "://" not in text and ":\\/" not in text:
        return text
    text = _SPACED_PASSWORD.sub(_remove_spaced_password, text)
    for pattern in (_ADDRESS, _BARE_ADDRESS_IN_TEXT):
        text = pattern.sub(lambda match: redact(match[0]), text)
    return _TEXT_PARAMETER.sub(rf"\1{_MASK}", _PARAMETER.sub(rf"\1{_MASK}", text))


def _remove_bare_user(address: str) -> str:
    """Returns an address without a scheme, or the name of a file, without the user and password of an address."""
    is_file = is_media_name(address) and "/" not in address
    return _remove_user(address) if _BARE_ADDRESS.match(address) and not is_file else address


def _remove_spaced_password(address: re.Match[str]) -> str:
    """Returns an address without its user and password if these have a space; others as they are."""
    scheme, user, host = address.groups()
    authority = re.split(r"[\s/?#]", user, maxsplit=1)[0]
    is_sentence = authority.rpartition(":")[2].isdigit() and is_plain_host(authority, "")
    return address[0] if is_sentence or not re.search(r"\s", user) else scheme + host


def _join_split_passwords(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Joins (scheme, rest) pairs that a password was split into.

    Text that looks like a scheme, but comes before the end of the first address's host, belongs to a password.
    """
    joined: list[tuple[str, str]] = []
    for scheme, rest in pieces:
        if joined and not re.search(r"[/?#]", joined[-1][1]):
            first, start = joined[-1]
            joined[-1] = first, start + scheme + rest
        else:
            joined.append((scheme, rest))
    return joined


def _mask_rest(scheme: str, rest: str) -> str:
    """Returns what follows `scheme` in an address, without secrets."""
    shown = _remove_user(rest)
    if _RTMP.fullmatch(scheme):
        return _mask_parameters(_STREAM_KEY.sub(rf"\1{_MASK}", shown))
    if scheme in _TRANSPORT_SCHEMES:
        shown = _TRANSPORT_PARAMETER.sub(_mask_unless_harmless, shown)
    if scheme in _STREAM_SCHEMES:
        host, slash, path = shown.partition("/")
        shown = host + slash + _TOKEN.sub(_mask_if_random, path)
    return _mask_parameters(shown)


def _mask_unless_harmless(parameter: re.Match[str]) -> str:
    value = parameter[3] if _HARMLESS.fullmatch(parameter[2].lower()) else _MASK
    return f"{parameter[1]}{parameter[2]}={value}"


def _mask_if_random(token: re.Match[str]) -> str:
    return _MASK if _RANDOM_RUN.search(token[0]) or _is_random(token[0]) else token[0]


def _is_random(text: str) -> bool:
    """True for letters and digits that change as often between small, capital and digit as random ones do."""
    kinds = [character.isdigit() + 2 * character.isupper() for character in text if character not in "-_"]
    changes = sum(a != b for a, b in pairwise(kinds))
    return len(text) >= _LEAST_RANDOM_CHARACTERS and len(set(kinds)) == 3 and changes >= _LEAST_CHANGES * len(kinds)


def _mask_parameters(address: str) -> str:
    for pattern in (_PARAMETER, _SHORT_PARAMETER, _PATH_PARAMETER):
        address = pattern.sub(rf"\1{_MASK}", address)
    return address


def _remove_user(rest: str) -> str:
    if rest.startswith(_PLACEHOLDER):
        return rest
    before, at, after = rest.rpartition("@")
    if not at or before == _MASK:
        return rest
    if not re.search(r"[/?#]", before):
        return after
    return f"{_MASK}@{after}" if may_be_cut(rest) else rest
