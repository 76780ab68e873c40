"""Cameras, points, planes, meshes and distances, computed from depth by pure functions; see README.md beside this."""
