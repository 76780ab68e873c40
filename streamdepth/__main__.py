"""The `streamdepth` command, also as `python -m streamdepth`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


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
        _exit(130)
    except SystemExit as end:
        if isinstance(end.code, int):
            _exit(end.code)
        raise


def _exit(code: int) -> NoReturn:
    """Ends the process; at once where a thread was left behind in a library, which would be torn down below it."""
    from streamdepth.core.threads import has_unfinished_threads

    if has_unfinished_threads():
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
