"""Cameras, points, planes and distances, computed from depth by pure functions."""
