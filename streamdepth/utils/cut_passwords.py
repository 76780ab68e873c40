"""Tells passwords that an unescaped `/`, `?` or `#` cuts from paths that hold an `@`.

In `rtsp://admin:2024/spring@10.0.0.5/live`, FFmpeg takes `admin` for the host and `2024` for its port, as in
`http://host:8080/user@place/a.mp4`, where that is right. `may_be_cut` is for what is shown, where hiding too much does
little harm; `is_cut` is for what is opened, where refusing a good address would.
"""

from __future__ import annotations

import mimetypes
import re

_SEPARATOR = re.compile(r"[/?#]")
_HOST = re.compile(r"[.\[]|^localhost(:|$)")
_NUMERIC_HOST = re.compile(r"(?:localhost|\d+(?:\.\d+){3}|\[[^\]]*\])(?=[:/?#]|$)")
_HOST_WITH_PORT = re.compile(r"(?!\d+:)[\w.-]+:\d{1,5}(?=[/?#]|$)")
"""The digits are excluded because of times, such as 10:30, in paths."""
_USUAL_PORT = re.compile(r"8[018]|443|554|1935|[89]\d{3}")
"""Ports that servers of video use; other digits may as well be the beginning of a password."""
_LARGEST_PORT = 65535


def may_be_cut(rest: str) -> bool:
    """True if `rest`, an address after its `://`, may have an `@` that ends a password, behind a `/`, `?` or `#`.

    >>> may_be_cut("admin:2024/spring@camera/live"), may_be_cut("host:8080/user@place/a.mp4")
    (True, False)
    """
    authority, between, later = _split(rest)
    if not between:
        return False
    if authority.endswith(":") or not _is_port(_port(authority)):
        return True
    if _NUMERIC_HOST.match(authority):
        return False
    is_user_cut = ":" in between and not _HOST.search(authority)
    return "@" in authority + between or is_user_cut or not is_plain_host(authority, later)


def is_plain_host(authority: str, later: str) -> bool:
    """True if `authority`, without a user, looks more like a host than like a user and the beginning of a password.

    later: what follows the next `@`.
    """
    if _names_server(later):
        return False
    is_usual = not _port(authority) or _USUAL_PORT.fullmatch(_port(authority)) is not None
    has_host_later = "." in later.partition("/")[0] and not is_media_name(later)
    if _HOST.search(authority):
        return is_usual or not has_host_later
    return ":" not in authority or (is_usual and not has_host_later) or (is_media_name(later) and "/" not in later)


def is_cut(rest: str) -> bool:
    """True if the host of `rest`, an address after its `://`, is surely a part of the user and password.

    >>> is_cut("admin:2024/spring@10.0.0.5/live"), is_cut("admin:2024/spring@camera/live")
    (True, False)
    """
    authority, between, later = _split(rest)
    if not between:
        return False
    if "@" in authority:
        if between[0] in "?#":
            return True
    elif not _is_port(_port(authority)):
        return True
    return _has_host_behind_path(rest, authority) or _has_server_behind(authority, between, later)


def is_media_name(text: str) -> bool:
    """True if `text` ends as the name of a picture or video does."""
    kind = mimetypes.guess_type(text.rpartition("/")[2])[0] or ""
    return kind.startswith(("image/", "video/"))


def _split(rest: str) -> tuple[str, str, str]:
    """Returns the part in the host's place, what lies between it and the last `@`, and what follows.

    The second is empty where no `@` follows the first.
    """
    authority = _SEPARATOR.split(rest, maxsplit=1)[0]
    between, _, later = rest[len(authority) :].rpartition("@")
    return authority, between, later


def _port(authority: str) -> str:
    return authority.rpartition("]")[2].partition(":")[2]


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and int(text[:6]) <= _LARGEST_PORT)


def _names_server(text: str) -> bool:
    return bool(_NUMERIC_HOST.match(text) or _HOST_WITH_PORT.match(text))


def _has_server_behind(authority: str, between: str, later: str) -> bool:
    """True if a host without a dot is followed by an `@` and a server, and no query explains that."""
    is_split = ":" in authority or ":" in between
    is_query = re.search(r"\?[\w.-]+=|://", between) is not None
    return is_split and not is_query and not _HOST.search(authority) and _names_server(later)


def _has_host_behind_path(rest: str, authority: str) -> bool:
    """True if no host, or several `@`, come before one in the path that a host follows."""
    path = re.split(r"[?#]", rest[len(authority) :], maxsplit=1)[0]
    before, at, after = path.rpartition("@")
    host = authority.rpartition("@")[2]
    is_empty = not host or host.endswith(":")
    is_ambiguous = is_empty or "@" in authority or "@" in before
    has_host_later = re.match(r"localhost$|[^/]*[.:\]]", after.partition("/")[0]) is not None
    return bool(at) and is_ambiguous and (is_empty or not _HOST.search(host)) and has_host_later
