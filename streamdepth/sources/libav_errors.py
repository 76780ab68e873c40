"""Errors of libav and other libraries, made safe to show."""

from __future__ import annotations

from av.error import FFmpegError

from streamdepth.utils.redact import redact_text


def error_reason(error: Exception) -> str:
    """Returns the message of a library's error, without secrets."""
    return redact_text(str(getattr(error, "strerror", None) or error or type(error).__name__))


def redact_error(error: Exception) -> Exception:
    """Returns an error of the same class without the address, because a traceback would show a password in it."""
    if isinstance(error, FFmpegError):
        return type(error)(error.errno or 0, redact_text(error.strerror or ""))
    message = redact_text(str(error))
    return error if message == str(error) else ValueError(message)
