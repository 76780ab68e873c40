"""A ROS 2 node with depth from a camera's topic. The folder `package` is its ament package, `streamdepth_ros`."""
