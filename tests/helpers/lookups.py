"""Runs commands so that every host name they look up is written down, and none is answered.

With gcc, a library that stands before the system's sees the look-ups of Python and of C alike, in child processes too;
without it, an audit hook sees those of Python alone. Neither sees a program with a resolver of its own.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from helpers.paths import ROOT

_LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
static void note(const char *name) {
    const char *path = getenv("LOOKUPS");
    FILE *file = path && name ? fopen(path, "a") : NULL;
    if (file) { fprintf(file, "%s\n", name); fclose(file); }
}
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    real = dlsym(RTLD_NEXT, "getaddrinfo");
    struct addrinfo numeric = {0};
    if (hints) numeric = *hints;
    numeric.ai_flags |= AI_NUMERICHOST;
    note(name);
    return real(name, service, &numeric, found);
}
struct hostent *gethostbyname(const char *name) { note(name); h_errno = HOST_NOT_FOUND; return NULL; }
"""
_AUDIT_HOOK = """
import os, sys
def note(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        with open(os.environ["LOOKUPS"], "a") as file: file.write(str(arguments[0]) + chr(10))
sys.addaudithook(note)
"""
_CACHES = (".cache/streamdepth/", ".cache/matplotlib/", ".ray/auth_token")
"""Caches, and the secret by which Ray's own processes on this machine know each other."""


@dataclass(frozen=True)
class RecordedRun:
    """A command that has ended."""

    returncode: int
    output: str
    lookups: list[str]
    """Names that were looked up, besides numeric addresses and those of this machine."""
    files: list[str]
    """Files in the command's home folder that belong to no cache that is wanted there."""


def run_recorded(arguments: list[str], folder: Path, **environment: str) -> RecordedRun:
    """Runs Python with `arguments` in `folder`, with `folder`/home as the home folder."""
    home, log = folder / "home", folder / "lookups.txt"
    home.mkdir(exist_ok=True)
    log.write_text("")
    kept = {name: os.environ[name] for name in ("PATH", "DISPLAY") if name in os.environ}
    hidden = {"HOME": str(home), "LOOKUPS": str(log), "OMP_WAIT_POLICY": "passive", **_recorder(folder)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**kept, **hidden, **environment}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    files = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]
    return RecordedRun(
        done.returncode,
        done.stdout + done.stderr,
        [name for name in log.read_text().split() if not _is_this_machine(name)],
        [name for name in files if not any(cache in name for cache in _CACHES)],
    )


def _recorder(folder: Path) -> dict[str, str]:
    """Returns the environment variables that make a process write down its look-ups."""
    if shutil.which("gcc") is None or not sys.platform.startswith("linux"):
        hook = folder / "hook"
        hook.mkdir(exist_ok=True)
        (hook / "sitecustomize.py").write_text(_AUDIT_HOOK)
        return {"PYTHONPATH": f"{hook}:{ROOT}"}
    library = folder / "lookups.so"
    if not library.exists():
        source = folder / "lookups.c"
        source.write_text(_LIBRARY)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT)}


def _is_this_machine(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in ("localhost", socket.gethostname(), socket.getfqdn())
    return True
