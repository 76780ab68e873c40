"""Depth for robots: one observation per frame, as ROS 2 messages or Foxglove schemas, over several transports.

DepthFrame -> Observer -> Observation -> RosMessages      -> MCAP, Zenoh, a ROS 2 node
                                      -> FoxgloveMessages -> MCAP, Foxglove's WebSocket
                                      -> Rerun
"""
