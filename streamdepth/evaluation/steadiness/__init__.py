"""Steadiness of depth over time, and what it costs: metrics, their reports, and a comparison of stabilizers."""
