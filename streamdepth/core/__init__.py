"""The types, contracts and errors that all other folders share; it needs only NumPy and the standard library."""
