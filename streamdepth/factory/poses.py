"""Makes the poses of a camera from an address."""

from __future__ import annotations

from pathlib import Path

from streamdepth.geometry.trajectories import Poses, read_trajectory


def make_poses(address: str) -> Poses:
    """Returns the poses of a file with a trajectory, or of `bag#/topic`, where a bag alone means its /tf.

    Raises ConfigError ("not-found" or "bad-poses").
    """
    from streamdepth.sources.rosbag import split_bag_address

    if found := split_bag_address(address):
        from streamdepth.sources.bag_poses import BagPoses

        return BagPoses(*found)
    return read_trajectory(Path(address))
