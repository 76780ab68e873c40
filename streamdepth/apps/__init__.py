"""Whole applications built on the pipeline: many files at once, the page in a browser, benchmarks and datasets."""
