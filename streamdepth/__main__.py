"""The `streamdepth` command, also as `python -m streamdepth`."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point. Ctrl-C is heard while the command is still being loaded, too."""
    try:
        from streamdepth.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
