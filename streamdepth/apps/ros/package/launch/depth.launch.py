"""Starts the depth node and activates it.

ros2 launch streamdepth_ros depth.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

ARGUMENTS = {
    "image": "/camera/image_raw",
    "camera_info": "/camera/camera_info",
    "namespace": "camera",
    "use_sim_time": "false",
    "params": str(Path(get_package_share_directory("streamdepth_ros")) / "config" / "depth.yaml"),
}


def generate_launch_description():
    """Returns the node, which is configured when its process runs, and activated when it is configured."""
    value = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    node = LifecycleNode(
        package="streamdepth_ros",
        executable="depth_node",
        name="streamdepth",
        namespace=value["namespace"],
        parameters=[value["params"], {"use_sim_time": ParameterValue(value["use_sim_time"], value_type=bool)}],
        remappings=[
            ("image", value["image"]),
            ("image/compressed", [value["image"], "/compressed"]),
            ("camera_info", value["camera_info"]),
        ],
        output="screen",
    )

    def change(transition):
        event = ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)
        return EmitEvent(event=event)

    configure = OnProcessStart(target_action=node, on_start=[change(Transition.TRANSITION_CONFIGURE)])
    return LaunchDescription(
        [
            *(DeclareLaunchArgument(name, default_value=default) for name, default in ARGUMENTS.items()),
            node,
            RegisterEventHandler(configure),
            RegisterEventHandler(
                OnStateTransition(
                    target_lifecycle_node=node,
                    start_state="configuring",
                    goal_state="inactive",
                    entities=[change(Transition.TRANSITION_ACTIVATE)],
                )
            ),
        ]
    )
