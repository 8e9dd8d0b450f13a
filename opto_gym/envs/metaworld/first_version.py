"""The first version of Meta-World's tasks, by which stored results were made. It stays as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...problems import Parameter
from ...spaces import Code
from .environment import MetaWorld
from .simulation import Simulation, View, expert_source

JOBS: Mapping[str, str] = {
    "assembly-v3": "Pick up the wrench by its end at wrench_pos and put its ring over the peg at peg_pos.",
    "box-close-v3": "Pick up the lid by its knob at lid_pos and put it on the box at box_pos.",
    "button-press-v3": "Push the button at button_pos in, away from the robot (y grows).",
    "button-press-topdown-v3": "Press the button at button_pos down from above.",
    "button-press-topdown-wall-v3": "Press the button at button_pos, behind a wall, down from above.",
    "coffee-button-v3": "Push the coffee machine's button at button_pos in, away from the robot (y grows).",
    "coffee-push-v3": "Push the mug at mug_pos over the table to goal_xy.",
    "dial-turn-v3": "Turn the dial at dial_pos, by pushing the near side of its handle to the left (x falls).",
    "door-close-v3": "Push the open door at door_pos shut, until it is at goal_pos.",
    "door-lock-v3": "Lock the door: push its knob at lock_pos down (z falls).",
    "door-open-v3": "Pull the door open by its handle at door_pos.",
    "door-unlock-v3": "Unlock the door: push its knob at lock_pos to the right (x grows).",
    "drawer-close-v3": "Push the open drawer with its handle at drwr_pos shut, away from the robot (y grows).",
    "drawer-open-v3": "Pull the drawer open by its handle at drwr_pos, towards the robot (y falls).",
    "faucet-close-v3": "Close the faucet: push its handle at faucet_pos to the left (x falls).",
    "faucet-open-v3": "Open the faucet: push its handle at faucet_pos to the right (x grows).",
    "hand-insert-v3": "Take the object at obj_pos and sink it into the hole at goal_pos.",
    "handle-press-side-v3": "Press the handle at handle_pos, which points to the side, down.",
    "handle-press-v3": "Press the handle at handle_pos down.",
    "pick-place-v3": "Grasp the puck at puck_pos, lift it, and carry it to goal_pos.",
    "plate-slide-back-side-v3": "Slide the plate at puck_pos out of the cabinet on its side (x grows).",
    "plate-slide-back-v3": "Slide the plate at puck_pos out of the cabinet, towards the robot (y falls).",
    "plate-slide-v3": "Slide the plate at puck_pos over the table into the cabinet at shelf_x, away from the robot.",
    "push-v3": "Push the puck at puck_pos over the table to goal_pos.",
    "push-wall-v3": "Push the puck at obj_pos over the table, around a wall, to goal_pos.",
    "reach-v3": "Bring the hand to goal_pos.",
    "reach-wall-v3": "Bring the hand to goal_pos, over a wall.",
    "sweep-into-v3": "Sweep the cube at cube_pos over the table into the hole at goal_pos.",
    "window-close-v3": "Slide the window with its handle at wndw_pos shut, to the left (x falls).",
    "window-open-v3": "Slide the window with its handle at wndw_pos open, to the right (x grows).",
}
"""Meta-World's name of each task, and what to do, in words that name the values that the task's expert reads."""

START = '''def controller(obs):
    """A feedback controller: obs is a dict of positions (lists of floats, metres); returns [x, y, z, gripper]."""
    return [0, 0, 0, 0]
'''
STEP = (
    "Goes on from state for up to 0.25 seconds, or until the hand has arrived, in which it gets at most 0.2 metres "
    "along each axis. In action = [x, y, z, gripper], {target}. gripper is -1 to 1: above 0 the gripper closes, the "
    "stronger the higher; else it opens."
)


class FirstMetaWorld(MetaWorld):
    """The first version of `MetaWorld`: the observation has the values that the task's expert reads, by its names.

    The gripper's opening is ``gripper``, ``hand_closed`` or ``gripper_distance_apart``, or it is missing. It needs
    ``pip install 'opto-gym[metaworld]'``.
    """

    parameters = (
        Parameter("controller", Code("controller(obs)"), START, "Says where the hand goes next: [x, y, z, gripper]."),
    )

    def _texts(self, target: str) -> tuple[str, str]:
        objective = (
            "Change the code of controller so that a robot arm does its job from any initial condition within "
            f"{self.horizon} calls of the controller. The job: {JOBS[self.task]} In the controller's answer "
            f"[x, y, z, gripper], {target}; gripper is 1 to close it and 0 to open it."
        )
        return objective, STEP.format(target=target)

    @classmethod
    def about(cls, *, task: str = "reach-v3", **arguments: Any) -> str:
        """What the robot has to do in the task, in words."""
        return JOBS[task]

    def _view(self, simulation: Simulation) -> View:
        return simulation.expert_view()

    def reference_solution(self) -> dict[str, Any]:
        """Meta-World's scripted expert as the source of a controller."""
        return {"controller": expert_source(self.task, self.relative, by_key=False)}
