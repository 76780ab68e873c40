"""Speed measurements: this package, and the loops that one would write without it, in interleaved rounds."""
