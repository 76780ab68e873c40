"""Sources of frames: one module for each kind of input, and sources that change the frames of another one."""
