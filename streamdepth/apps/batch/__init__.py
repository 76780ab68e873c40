"""Many files converted by one command: on this machine or on a cluster, resumable at any time."""
