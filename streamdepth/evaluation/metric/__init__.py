"""Evaluates metric depth: its error, its stated confidence, and the decision to withhold it."""
