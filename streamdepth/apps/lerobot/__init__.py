"""Depth added to LeRobot data sets."""
