"""Makes the poses of a camera from an address."""

from __future__ import annotations

from pathlib import Path

from streamdepth.geometry.trajectories import Poses, read_trajectory

ESTIMATED = "auto"
"""The address of poses that are estimated."""


def make_poses(address: str) -> Poses:
    """Returns the poses of a file with a trajectory, or of `bag#/topic`, where a bag alone means its /tf.

    The word auto stands for poses that are estimated from the pictures and their depth.

    Raises ConfigError ("not-found" or "bad-poses").
    """
    if address == ESTIMATED:
        from streamdepth.geometry.odometry import Odometry

        return Odometry()
    from streamdepth.sources.rosbag import split_bag_address

    if found := split_bag_address(address):
        from streamdepth.sources.bag_poses import BagPoses

        return BagPoses(*found)
    return read_trajectory(Path(address))
