"""Meta-World's simulator in macro steps, and its scripted experts as advice and as code.

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
"""In a macro step at most: a quarter of a second, in which the hand gets at most 20 cm along each axis."""

ARRIVED = 1e-4
"""A macro step ends early where the hand is so near to its target, in metres on each axis."""

FARTHEST = 10.0
"""Targets farther from the hand than this, in metres on an axis, count as this far."""

View = dict[str, Any]


class Advice(NamedTuple):
    """What the scripted expert would do: the hand's target (metres), the gripper's effort, the controller's gain."""

    target: NDArray[np.float64]
    effort: float
    gain: float


class Simulation:
    """One task of Meta-World, driven by macro steps.

    Args:
        task: Meta-World's name, such as ``"reach-v3"``.
        pictures: Whether `frame` will be called, which needs MuJoCo's OpenGL.

    Raises:
        MissingExtra: If metaworld is not installed.
        KeyError: For a task that Meta-World does not have.
    """

    def __init__(self, task: str, pictures: bool = False) -> None:
        metaworld = need("metaworld")
        kind = metaworld.ALL_V3_ENVIRONMENTS[task]
        self._env = kind(**{"render_mode": "rgb_array", "camera_name": "corner2"} if pictures else {})
        # With its goal in sight, as in the multi-task benchmarks: the meta-learning ones show zeros in its place.
        shown = pickle.dumps({"env_cls": kind, "rand_vec": None, "partially_observable": False})
        self._env.set_task(importlib.import_module("metaworld.types").Task(task, shown))
        self._env.seeded_rand_vec = True  # places are drawn from the environment's own generator, not from NumPy's
        self._env.max_path_length = math.inf
        self._reset = importlib.import_module("gymnasium.envs.mujoco").MujocoEnv.reset
        self._expert = _Expert(task)
        self._low = np.zeros(4, np.float32)
        self._condition: int | None = None
        self.observation: NDArray[np.float64] = np.zeros(39)

    def reset(self, condition: int) -> None:
        """Puts hand, object and goal where this number says: equal numbers, equal places."""
        if condition != self._condition:
            self._env.np_random = np.random.default_rng(condition)
            self._env._freeze_rand_vec = False
            self._reset(self._env)  # draws the places
            self._env._freeze_rand_vec = True
            self._condition = condition
        # Some tasks move bodies too late for the same reset to see them: like Meta-World's own, this is the second one.
        now = self._reset(self._env)[0][:18]
        self._env._prev_obs = now.copy()
        self.observation = np.concatenate((now, now, self._env._get_pos_goal()))

    @property
    def hand(self) -> NDArray[np.float64]:
        """Where the hand is, in metres."""
        return self.observation[:3].copy()

    @property
    def placed(self) -> list[float]:
        """What the last reset drew: positions of the object and the goal, as far as they vary."""
        return [float(x) for x in self._env._last_rand_vec]

    def view(self) -> View:
        """The observation as plain data: the parts that the expert reads, by its names, to a millimetre."""
        parts = self._expert.policy._parse_obs(self.observation)
        return {
            name: (np.round(value, 3) + 0.0).tolist()
            for name, value in parts.items()
            if not name.startswith("_") and "unused" not in name and "extra_info" not in name
        }

    def advice(self) -> Advice:
        """The scripted expert's."""
        return self._expert(self.observation.copy())  # some experts write into what they read

    def move(
        self,
        target: NDArray[np.float64],
        effort: float,
        gain: float,
        stop: bool,
        watch: Callable[[], None] | None = None,
    ) -> tuple[float, bool]:
        """One macro step: a proportional controller moves the hand.

        Args:
            target: Where to, in metres.
            effort: Of the gripper, -1 (opens) to 1 (closes).
            gain: The controller's.
            stop: Whether to end at the first simulator step that solves the task.
            watch: Called before each simulator step.

        Returns:
            (the last simulator step's reward, whether that step solves the task)
        """
        low, step = self._low, self._env.step
        way = (target - self.observation[:3]).clip(-FARTHEST, FARTHEST)
        target = self.observation[:3] + way
        low[3] = min(max(effort, -1.0), 1.0)
        for _ in range(SIMULATOR_STEPS):
            if watch is not None:
                watch()
            low[:3] = (gain * way).clip(-1.0, 1.0)
            self.observation, reward, _, _, info = step(low)
            way = target - self.observation[:3]
            if (stop and info["success"]) or abs(way).max() < ARRIVED:
                break
        return float(reward), bool(info["success"])

    def frame(self) -> NDArray[np.uint8]:
        """A picture by MuJoCo, uint8, height x width x 3."""
        return np.ascontiguousarray(self._env.render()[::-1, ::-1])  # the cameras in the corners hang upside down

    def close(self) -> None:
        """Frees MuJoCo's OpenGL context."""
        self._env.close()


def simulator(task: str) -> Simulation:
    """The calling thread's simulator of a task, made at first use; each use of it begins with a reset.

    Args:
        task: Meta-World's name.
    """
    return _made(task, threading.get_ident())


@functools.lru_cache(16)
def _made(task: str, thread: int) -> Simulation:
    return Simulation(task)


def _policy_module(task: str) -> Any:
    stem = {"peg-insert-side-v3": "peg_insertion_side_v3"}.get(task, task.replace("-", "_"))
    need("metaworld")
    return importlib.import_module(f"metaworld.policies.sawyer_{stem}_policy")


def _policy_class(module: Any) -> type[Any]:
    return next(v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__)


class _Expert:
    """A scripted policy that tells its target: its last operation, from the target to a motion, is left out."""

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
_CONTROLLER = """

def controller(obs):
    policy = {name}()
    policy._parse_obs = lambda obs: {{name: np.array(value) for name, value in obs.items()}}
    return policy.get_action(obs)
"""


def expert_source(task: str, relative: bool = True) -> str:
    """The scripted expert as a controller's source, made of the installed package's.

    Args:
        task: Meta-World's name.
        relative: Whether the controller's targets are relative to the hand.
    """
    module = _policy_module(task)
    body = ast.parse(inspect.getsource(module)).body
    own = ast.Module([s for s in body if not isinstance(s, ast.Import | ast.ImportFrom)], [])
    head = _HEAD.format(target="to_xyz - from_xyz" if relative else "to_xyz")
    return head + ast.unparse(own) + "\n" + _CONTROLLER.format(name=_policy_class(module).__name__)
