"""Labels from the footage of a moving camera, with no teacher: poses, stereo between views, and their agreement."""
