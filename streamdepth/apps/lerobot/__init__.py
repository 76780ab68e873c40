"""Depth in metres added to LeRobot data sets."""
