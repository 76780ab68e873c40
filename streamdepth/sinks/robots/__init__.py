"""Depth for robots: one observation per frame, as ROS 2 or Foxglove messages, over several transports.

DepthFrame -> Observer -> Observation -> RosMessages      -> MCAP, Zenoh, a ROS 2 node
                                      -> FoxgloveMessages -> MCAP, Foxglove's WebSocket
                                      -> Rerun

See README.md beside this.
"""
