"""`python -m streamdepth` is the `streamdepth` command."""

from streamdepth.cli import main

if __name__ == "__main__":
    main()
