"""Meta-World's simulator, driven by macro steps, and its scripted experts as advice and as code.

Yu et al., "Meta-World: A Benchmark and Evaluation for Multi-Task and Meta Reinforcement Learning", CoRL 2019; the tasks
and the experts are those of the package `metaworld` 3 (MIT licence).
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import math
import pickle
import threading
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...utils.extras import need

SIMULATOR_STEPS = 20
"""Simulator steps per macro step, at most: a quarter of a second, in which the hand moves up to 20 cm on each axis."""

ARRIVED = 1e-4
"""A macro step ends early when the hand is within this distance of its target on each axis, in metres."""

FARTHEST = 10.0
"""The distance from the hand to its target is clipped to this on each axis, in metres."""

View = dict[str, Any]
"""An observation: positions and other values, by name."""

PARTS: dict[str, Any] = {
    "hand_pos": slice(0, 3),
    "gripper_opening": 3,
    "object_pos": slice(4, 7),
    "goal_pos": slice(36, 39),
}
"""Where the values of `Simulation.view` are in Meta-World's observation of 39 numbers: the hand, the gripper, the first
object and the goal. The experts of the tasks with one object read nothing else."""


class Advice(NamedTuple):
    """What the scripted expert would do.

    Attributes:
        target: Where it wants the hand, in metres, of shape (3,).
        effort: The effort of the gripper, -1 (opens) to 1 (closes).
        gain: The gain of its proportional controller.
    """

    target: NDArray[np.float64]
    effort: float
    gain: float


class Simulation:
    """One task of Meta-World, driven by macro steps.

    Args:
        task: Meta-World's name of the task, such as ``"reach-v3"``.
        pictures: Whether `frame` will be called, which needs MuJoCo's OpenGL.

    Attributes:
        observation: Meta-World's observation, of shape (39,).

    Raises:
        MissingExtra: If metaworld is not installed.
        KeyError: For a task that Meta-World does not have.
    """

    def __init__(self, task: str, pictures: bool = False) -> None:
        metaworld = need("metaworld")
        kind = metaworld.ALL_V3_ENVIRONMENTS[task]
        self._env = kind(**{"render_mode": "rgb_array", "camera_name": "corner2"} if pictures else {})
        # The goal is observable, as in the multi-task benchmarks; the meta-learning ones show zeros in its place.
        settings = pickle.dumps({"env_cls": kind, "rand_vec": None, "partially_observable": False})
        self._env.set_task(importlib.import_module("metaworld.types").Task(task, settings))
        self._env.seeded_rand_vec = True  # positions are drawn from the environment's own generator, not from NumPy's
        self._env.max_path_length = math.inf
        self._reset = importlib.import_module("gymnasium.envs.mujoco").MujocoEnv.reset
        self._expert = _Expert(task)
        self._action = np.zeros(4, np.float32)
        self._condition: int | None = None
        self.observation: NDArray[np.float64] = np.zeros(39)

    def reset(self, condition: int) -> None:
        """Puts the hand, the object and the goal where a generator of this seed draws them.

        Args:
            condition: The seed; equal seeds give equal positions.
        """
        if condition != self._condition:
            self._env.np_random = np.random.default_rng(condition)
            self._env._freeze_rand_vec = False
            self._reset(self._env)  # draws the positions
            self._env._freeze_rand_vec = True
            self._condition = condition
        # Meta-World's own wrapper resets twice as well: some tasks move bodies after a reset has read the observation.
        current = self._reset(self._env)[0][:18]
        self._env._prev_obs = current.copy()
        self.observation = np.concatenate((current, current, self._env._get_pos_goal()))

    @property
    def hand(self) -> NDArray[np.float64]:
        """The position of the hand, in metres, of shape (3,)."""
        return self.observation[:3].copy()

    @property
    def placed(self) -> list[float]:
        """The positions of the object and the goal that the last reset drew, as far as they vary."""
        return [float(x) for x in self._env._last_rand_vec]

    def view(self) -> View:
        """The observation as plain data, with the same keys in every task; positions are rounded to millimetres."""
        return {key: (np.round(self.observation[where], 3) + 0.0).tolist() for key, where in PARTS.items()}

    def expert_view(self) -> View:
        """The parts of the observation that the expert reads, by its names for them, rounded to millimetres."""
        parts = self._expert.policy._parse_obs(self.observation)
        return {
            name: (np.round(value, 3) + 0.0).tolist()
            for name, value in parts.items()
            if not name.startswith("_") and "unused" not in name and "extra_info" not in name
        }

    def advice(self) -> Advice:
        """What the scripted expert would do now."""
        return self._expert(self.observation.copy())  # some experts write to the observation

    def move(
        self,
        target: NDArray[np.float64],
        effort: float,
        gain: float,
        stop: bool,
        watch: Callable[[], None] | None = None,
    ) -> tuple[float, bool]:
        """Runs one macro step, in which a proportional controller moves the hand.

        Args:
            target: The position to move to, in metres.
            effort: The effort of the gripper, -1 (opens) to 1 (closes).
            gain: The gain of the controller.
            stop: Whether to end at the first simulator step that solves the task.
            watch: Called before each simulator step.

        Returns:
            (the last simulator step's reward, whether that step solves the task)
        """
        action, step = self._action, self._env.step
        error = (target - self.observation[:3]).clip(-FARTHEST, FARTHEST)
        target = self.observation[:3] + error
        action[3] = min(max(effort, -1.0), 1.0)
        for _ in range(SIMULATOR_STEPS):
            if watch is not None:
                watch()
            action[:3] = (gain * error).clip(-1.0, 1.0)
            self.observation, reward, _, _, info = step(action)
            error = target - self.observation[:3]
            if (stop and info["success"]) or abs(error).max() < ARRIVED:
                break
        return float(reward), bool(info["success"])

    def frame(self) -> NDArray[np.uint8]:
        """A picture by MuJoCo: uint8, of shape (height, width, 3)."""
        return np.ascontiguousarray(self._env.render()[::-1, ::-1])  # the corner cameras are upside down

    def close(self) -> None:
        """Frees MuJoCo's OpenGL context."""
        self._env.close()


def simulator(task: str) -> Simulation:
    """The calling thread's simulator of a task, made at its first use. The caller resets it before each use.

    Args:
        task: Meta-World's name of the task.
    """
    return _simulator_of_thread(task, threading.get_ident())


@functools.lru_cache(16)
def _simulator_of_thread(task: str, thread: int) -> Simulation:
    return Simulation(task)


def _policy_module(task: str) -> Any:
    stem = {"peg-insert-side-v3": "peg_insertion_side_v3"}.get(task, task.replace("-", "_"))
    need("metaworld")
    return importlib.import_module(f"metaworld.policies.sawyer_{stem}_policy")


def _policy_class(module: Any) -> type[Any]:
    return next(v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__)


class _Expert:
    """A scripted policy that returns its target: its last operation, from the target to a motion, is replaced."""

    def __init__(self, task: str) -> None:
        module = _policy_module(task)
        kind = _policy_class(module)
        self.policy = kind()
        code = kind.get_action.__code__
        self._act = types.FunctionType(code, {**vars(module), "move": self._move})

    def _move(self, from_xyz: Any, to_xyz: Any, p: float) -> Any:
        self._gain = float(p)
        return to_xyz

    def __call__(self, observation: NDArray[np.float64]) -> Advice:
        action = np.asarray(self._act(self.policy, observation), float)
        return Advice(action[:3], float(action[3]), self._gain)


_HEAD = '''from __future__ import annotations

import numpy as np

Policy = object


def assert_fully_parsed(parse):
    return parse


def move(from_xyz, to_xyz, p):
    """Where to: the sandbox's controller names a target, and leaves the motion to the environment."""
    return {target}


class Action(dict):
    @property
    def array(self):
        target, effort = self.values()
        return [*target, effort]


'''
_BY_KEY = """

def controller(obs):
    values = np.zeros(39)
    for key, part in {parts}.items():
        values[part] = obs[key]
    return {name}().get_action(values)
"""
_BY_EXPERTS_NAME = """

def controller(obs):
    policy = {name}()
    policy._parse_obs = lambda obs: {{name: np.array(value) for name, value in obs.items()}}
    return policy.get_action(obs)
"""


def expert_source(task: str, relative: bool = True, *, by_key: bool = True) -> str:
    """The scripted expert as the source of a controller, made from the source in the installed package.

    Args:
        task: Meta-World's name of the task.
        relative: Whether the controller's targets are relative to the hand.
        by_key: Whether the controller gets `Simulation.view`, else `Simulation.expert_view`.
    """
    module = _policy_module(task)
    body = ast.parse(inspect.getsource(module)).body
    own = ast.Module([s for s in body if not isinstance(s, ast.Import | ast.ImportFrom)], [])
    head = _HEAD.format(target="to_xyz - from_xyz" if relative else "to_xyz")
    controller = _BY_KEY if by_key else _BY_EXPERTS_NAME
    return head + ast.unparse(own) + "\n" + controller.format(name=_policy_class(module).__name__, parts=PARTS)
