"""The ROS 2 package of streamdepth; its node is `streamdepth.apps.ros.depth_node`."""
