"""The `streamdepth` command, also as `python -m streamdepth`."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point. Ctrl-C is heard while the command is still being loaded, too."""
    try:
        from streamdepth.cli.standard_streams import flush_standard_output, protect_standard_streams
        from streamdepth.utils.interrupts import exit_on_stop_signals, ignore_stop_signals

        protect_standard_streams()
        exit_on_stop_signals()
        from streamdepth.cli import main as run

        try:
            run()
        finally:
            ignore_stop_signals()
            if not flush_standard_output():
                sys.stderr.write("error: standard output cannot be written to; the disk may be full\n")
                sys.exit(5)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
