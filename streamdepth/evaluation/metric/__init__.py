"""Trust in meters: how far they are off, whether that is known, and whether they are withheld where they should be."""
