"""Evaluates trust in meters: their error, whether it is known, and whether meters are withheld where they should be."""
