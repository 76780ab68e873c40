"""Renders training pictures with exact depth; existing pictures are kept, so the same command goes on after a stop."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from streamdepth.core.errors import StreamDepthError
from streamdepth.core.system_libraries import missing_system_library
from streamdepth.training.scenes.plan import SHARES


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0, 1 after an error (one line on standard error), or 130 after Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    options = _parse(arguments)
    try:
        from streamdepth.training.scenes.run import render_all
        from streamdepth.training.scenes.styles import cast, traced

        photos = sorted(path for folder in options.photos for path in folder.glob("*.jpg"))
        style = cast(options.threads, photos, options.seed) if options.cast else traced(options.threads)
        render_all(options.out, options.pictures, options.seed, options.kind or list(SHARES), style)
    except (StreamDepthError, ImportError) as error:
        known = missing_system_library(error) or error
        if not isinstance(known, StreamDepthError):
            raise
        sys.stderr.write(f"error: {known}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command goes on from here\n")
        return 130
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m streamdepth.training.scenes", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="ROOT", help="folder of the datasets")
    parser.add_argument("--pictures", type=_positive, default=2500, metavar="N", help="default 2500")
    parser.add_argument("--seed", type=_natural, default=0, help="seed of all random numbers (default 0)")
    parser.add_argument("--kind", nargs="+", choices=list(SHARES), help="kinds of scenes (default: all)")
    parser.add_argument("--threads", type=_positive, default=1, help="threads of the renderer (default 1)")
    parser.add_argument("--cast", action="store_true", help="cast rays: five times as fast as Blender, simpler light")
    parser.add_argument("--photos", type=Path, nargs="+", default=[], help="folders of textures for --cast")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if (value := _natural(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be at least 1")
    return value


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
