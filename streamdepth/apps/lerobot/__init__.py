"""Depth in meters added to LeRobot datasets."""
