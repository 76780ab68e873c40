"""Zones of a stream: a sink that watches them, and the outputs that get their depth and events."""
