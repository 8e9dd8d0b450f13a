"""Meta-World: the code of a robot arm's controller (an experiment of the Trace paper)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import OptoEnv, Parameters
from ...problems import Anchors, Feedback, Parameter, Part
from ...spaces import Code
from ...trace import ExecutionError, Node, node, operator
from ...utils.checks import at_least
from ...utils.extras import need
from ..drawing.scenes import Picture
from . import pictures
from .simulation import Advice, Simulation, View, expert_source, simulator

TASKS: Mapping[str, str] = {
    "assembly-v3": "Pick up the wrench by its end at object_pos and put its ring over the peg at goal_pos.",
    "box-close-v3": "Pick up the lid by its knob at object_pos and put it on the box at goal_pos.",
    "button-press-v3": "Push the button at object_pos in, away from the robot (y grows).",
    "button-press-topdown-v3": "Press the button at object_pos down from above.",
    "button-press-topdown-wall-v3": "Press the button at object_pos, behind a wall, down from above.",
    "coffee-button-v3": "Push the coffee machine's button at object_pos in, away from the robot (y grows).",
    "coffee-push-v3": "Push the mug at object_pos over the table to goal_pos.",
    "dial-turn-v3": "Turn the dial at object_pos, by pushing the near side of its handle to the left (x falls).",
    "door-close-v3": "Push the open door at object_pos shut, until it is at goal_pos.",
    "door-lock-v3": "Lock the door: push its knob at object_pos down (z falls).",
    "door-open-v3": "Pull the door open by its handle at object_pos.",
    "door-unlock-v3": "Unlock the door: push its knob at object_pos to the right (x grows).",
    "drawer-close-v3": "Push the open drawer with its handle at object_pos shut, away from the robot (y grows).",
    "drawer-open-v3": "Pull the drawer open by its handle at object_pos, towards the robot (y falls).",
    "faucet-close-v3": "Close the faucet: push its handle at object_pos to the left (x falls).",
    "faucet-open-v3": "Open the faucet: push its handle at object_pos to the right (x grows).",
    "hand-insert-v3": "Take the object at object_pos and sink it into the hole at goal_pos.",
    "handle-press-side-v3": "Press the handle at object_pos, which points to the side, down.",
    "handle-press-v3": "Press the handle at object_pos down.",
    "pick-place-v3": "Grasp the puck at object_pos, lift it, and carry it to goal_pos.",
    "plate-slide-back-side-v3": "Slide the plate at object_pos out of the cabinet on its side (x grows).",
    "plate-slide-back-v3": "Slide the plate at object_pos out of the cabinet, towards the robot (y falls).",
    "plate-slide-v3": "Slide the plate at object_pos over the table into the cabinet at goal_pos, away from the robot.",
    "push-v3": "Push the puck at object_pos over the table to goal_pos.",
    "push-wall-v3": "Push the puck at object_pos over the table, around a wall, to goal_pos.",
    "reach-v3": "Bring the hand to goal_pos.",
    "reach-wall-v3": "Bring the hand to goal_pos, over a wall.",
    "sweep-into-v3": "Sweep the cube at object_pos over the table into the hole at goal_pos.",
    "window-close-v3": "Slide the window with its handle at object_pos shut, to the left (x falls).",
    "window-open-v3": "Slide the window with its handle at object_pos open, to the right (x grows).",
}
"""The tasks that the scripted expert always solves: Meta-World's name, and what to do, in words."""

MIN_PROGRESS, CLOSE_ENOUGH = 0.001, 0.01
"""Metres. The hand went the right way if it came at least the first nearer to its target, or is within the second."""

STEP_SECONDS, STEPS_PER_FRAME = 0.0125, 10
"""The simulated time of a simulator step, and how many of them a frame of a film stands for."""

LARGEST = 1e308
"""The largest number that a controller may return: NaN, infinity and integers too large for a float are refused."""

CLOSED = 0.5
"""The gripper is to be closed where its effort is above this."""

START = '''def controller(obs):
    """A feedback controller.

    obs is a dict: hand_pos, object_pos and goal_pos are lists of three floats (metres), gripper_opening is a float
    (0 closed, 1 open). Returns [x, y, z, gripper].
    """
    return [0, 0, 0, 0]
'''
RELATIVE = (
    "[x, y, z] is the way that the hand shall go from where it is, in metres, so that [0, 0, 0] is to stay. Positions "
    "in the observation are in the same axes"
)
ABSOLUTE = "[x, y, z] is the position that the hand shall go to, in metres, in the axes of the observation's positions"
OBSERVATION = (
    "The controller gets a dict obs. In it, hand_pos, object_pos and goal_pos are positions [x, y, z] in metres: of "
    "the hand, of the object that the job names, and of the target: about where the object has to get (at most 0.14 "
    "metres off), or the hand where the job names no object. x grows to the right, y away from the robot, z upwards. "
    "gripper_opening is the distance between the fingers in units of 0.1 metres, from 0 to 1: 1 is open, 0.3 is closed "
    "on nothing."
)
ACTION = (
    "The controller returns [x, y, z, gripper]. In it, {target}. gripper is the effort of the fingers, from -1 to 1: "
    "above 0 they close, the stronger the higher, -1 opens them, 0 opens them slowly. A call moves the arm for up to "
    "0.25 seconds, or until the hand has arrived, in which the hand gets at most 0.2 metres along each axis. The "
    "fingers need 0.2 seconds to close; where the hand rests and stays, a call may last only 0.0125 seconds."
)
STEP = (
    "Goes on from state for up to 0.25 seconds, or until the hand has arrived, in which it gets at most 0.2 metres "
    "along each axis. action is the controller's answer [x, y, z, gripper]. The value has the next observation, and "
    "what is said of the step."
)


@dataclasses.dataclass
class Episode:
    """What happened in an episode of the arm so far, as plain data.

    Attributes:
        condition: The number from which the positions of objects and goal are drawn.
        views: Observations: at the start, and after each macro step.
        actions: The answers of the controller, each ``[x, y, z, gripper]``.
        rewards: The simulator's reward at the end of each macro step.
        solved: Whether the job is done.
    """

    condition: int
    views: list[View]
    actions: list[list[float]] = dataclasses.field(default_factory=list)
    rewards: list[float] = dataclasses.field(default_factory=list)
    solved: bool = False


class MetaWorld(OptoEnv):
    """Write the controller of a robot arm.

    ## Description
    A code parameter is called up to ten times in an episode of the arm. It gets the positions of the hand, the objects
    and the goal, and returns where to move the hand and whether to close the gripper. A proportional controller then
    moves the hand for up to 20 steps of the simulator (a macro step). The tasks are those of Meta-World (Yu et al.,
    "Meta-World: A Benchmark and Evaluation for Multi-Task and Meta Reinforcement Learning", CoRL 2019) that its
    scripted expert solves in ten macro steps on all 50 test conditions. The setting is that of the Trace paper (Cheng,
    Nie and Swaminathan, NeurIPS 2024, section 5.4), which ran reach, push and pick-place through LLF-Bench (Cheng et
    al., 2023): horizon, macro steps, relative mode and the kinds of feedback are LLF-Bench's, on a current Meta-World.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `controller` | `Code("controller(obs)")` | returns `[0, 0, 0, 0]` |

    `obs` is a dict that has the same keys in every task. `hand_pos`, `object_pos` and `goal_pos` are lists of three
    floats in metres, rounded to millimetres: the hand, the object that the job names, and where Meta-World wants the
    object, or the hand in the tasks of reaching. `gripper_opening` is the distance between the fingers in units of 0.1
    metres, clipped to 1, rounded to three digits; about 0.3 is closed. The answer is `[x, y, z, gripper]`, where x, y
    and z are by default the displacement of the hand. `gripper` is an effort from -1 to 1; the gripper closes where it
    is above 0, and the feedback counts an effort above 0.5 as closing. The objective says all this to the optimizer.
    The controller can keep state within an episode of the arm, but not from one to the next.

    ## Observation
    The graph of the episode: the start, then for each macro step the call of the controller and `step`. The value of
    `step` holds the next observation and, under `"feedback"`, the feedback on the step. The controller gets only the
    observation.

    ## Reward
    The score of the oracle call, which is the share of its conditions that were solved; by default one condition, so 0
    or 1.

    ## Feedback
    After the last step, of kind reward: "The job is not done after 10 steps; the rewards' sum is 14.82." The feedback
    on each step is in the graph. With `step_feedback="output"` it is in the feedback instead, as the paper gave it to
    optimizers that get no graph:

    * reward: "The step's reward is 1.77 (0 to 10)."
    * hindsight_positive: "The hand went the right way."
    * hindsight_negative: "The hand went the wrong way, or not at all.", "The gripper should have closed." An exception
      in the code ends the episode with score 0: "Step 3 raised (KeyError) 'puck' [line 2: ...]"
    * future_positive: "Next the hand should be at [0.021, 0.602, 0.119], the gripper open."

    The right way is towards the position where the scripted expert wants the hand. Positions in future_positive are
    absolute in both modes, as in LLF-Bench.

    ## Start
    The positions of the objects and the goal (a condition) are drawn from the episode's seed and are the same in all
    its calls, as in the paper. With `stream=True`, call number n draws new ones from (episode seed, n).

    ## End
    After `oracle_calls` steps. An episode never terminates by success, since success on one condition does not prove
    success on others. An episode of the arm ends after ten macro steps, or once the job is done.

    ## Score and anchors
    The train split has 10^6 conditions, the numbers below 10^6; the test split has 50 others, 10^9 to 10^9 + 49, which
    no call draws. Each number seeds a generator; Meta-World's `ML1-train` is not used, since it serves goals of its
    test set. Linear scale, anchors of 2026-11: the start values leave the hand where it is and solve no condition (0);
    the scripted expert, turned into a controller (`reference_solution`), solves all 50 (1). The job is done once any
    simulator step fulfils the task's condition, which is how Meta-World's maintainers count; with `success="last"`,
    only if the end of a macro step fulfils it, which is LLF-Bench's rule. The paper's optimizer solves all of reach,
    0.40 of pick-place and 0.30 of push.

    ## Arguments
    * `task`: Meta-World's name of the task; `"reach-v3"`.
    * `success`: which simulator steps count, `"any"` or `"last"`; `"any"`.
    * `relative`: whether the controller's targets are relative to the hand; True.
    * `horizon`: macro steps per episode of the arm; 10.
    * `stream`: whether each call draws new conditions; False.
    * `step_feedback`: where the feedback on steps is, `"graph"` or `"output"`; `"graph"`.
    * `batch`: conditions per oracle call; 1.
    * `feedback`, `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `test_seed`.

    The picture is MuJoCo's where `MUJOCO_GL` is `egl` or `osmesa` (0.2 to 0.4 s per picture), else matplotlib draws the
    paths of hand and objects. `save_gif` films the last episode with MuJoCo.

    ## Kind, cost and source
    A distribution of positions of objects and goal; an example is the number of a condition. An oracle call takes 25 to
    60 ms for the start values, 18 to 100 ms for the expert, 70 to 170 ms for 200 simulator steps, at 91 to 96 % of the
    bare simulator's speed; the test split takes 1 to 5 s on one core. The first call makes the simulator, which takes
    0.2 s, and imports MuJoCo, which takes 1 s. The task uses no language model and no data set. Source: the experiment
    of the Trace paper and LLF-Bench's wrapper, reimplemented from their descriptions on the packages `metaworld` 3 (MIT
    licence) and `mujoco` 3 (Apache-2.0). Results of other versions, or of other processors, may differ in the last
    digits. Needs `pip install 'opto-gym[metaworld]'`.

    The script `scripts/metaworld_tasks.py` measures which of Meta-World's 50 tasks are included (metaworld 3.1.1,
    mujoco 3.3.0). With `success="last"` the expert solves all 50 conditions of those, too, except for coffee-button
    (19) and handle-press-side (none), whose parts spring back.

    ## Version history
    * v1: one set of keys in the observations of all tasks, with the gripper's opening and the goal in each; units and
      ranges are in the objective. Positions, rewards and scores of the same motions are those of v0.
    * v0: first version, with Meta-World's tasks v3 and rewards "v2". The keys were the scripted experts' names, which
      differ from task to task; `gripper_opening` was `gripper`, `hand_closed`, `gripper_distance_apart` or missing.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}
    needs = ("metaworld",)
    scores = (0.0, 1.0)
    feedback_kinds = ("reward", "hindsight_positive", "hindsight_negative", "future_positive")
    splits: Mapping[str, Sequence[Any]] = {"train": range(10**6), "test": range(10**9, 10**9 + 50)}
    seeded_examples = True
    parameters = (
        Parameter("controller", Code("controller(obs)"), START, "Says where the hand goes next: [x, y, z, gripper]."),
    )
    anchors = Anchors(0.0, 1.0, "2026-11", "the scripted expert, on the 50 test conditions")

    def __init__(
        self,
        *,
        task: str = "reach-v3",
        success: str = "any",
        relative: bool = True,
        horizon: int = 10,
        stream: bool = False,
        step_feedback: str = "graph",
        batch: int = 1,
        **keywords: Any,
    ) -> None:
        if task not in TASKS:
            raise ValueError(f"MetaWorld: expected a task of {sorted(TASKS)}, got {task!r}")
        if success not in ("any", "last"):
            raise ValueError(f"MetaWorld: expected success to be 'any' or 'last', got {success!r}")
        if step_feedback not in ("graph", "output"):
            raise ValueError(f"MetaWorld: expected step_feedback to be 'graph' or 'output', got {step_feedback!r}")
        at_least(1, horizon=horizon)
        self.task, self.success, self.relative, self.horizon = task, success, relative, horizon
        self.stream, self.step_feedback, self.batch = stream, step_feedback, batch
        self.objective, self._step_description = self._texts(RELATIVE if relative else ABSOLUTE)
        super().__init__(**keywords)

    def _texts(self, target: str) -> tuple[str, str]:
        """The objective, and the description of the operator `step`, where `target` says what x, y and z mean."""
        job = (
            "Change the code of controller so that a robot arm does its job from any initial condition within "
            f"{self.horizon} calls of the controller. The job: {self.about(task=self.task)}"
        )
        return "\n".join((job, OBSERVATION, ACTION.format(target=target))), STEP

    @classmethod
    def about(cls, *, task: str = "reach-v3", **arguments: Any) -> str:
        """What the robot has to do in the task, in words."""
        return TASKS[task]

    @property
    def simulation(self) -> Simulation:
        """The calling thread's simulator of the task."""
        return simulator(self.task)

    def _view(self, simulation: Simulation) -> View:
        """What the controller sees."""
        return simulation.view()

    def draw(self, seed: int, call: int, last: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """The conditions of a call, which all calls of an episode share unless `stream` is set."""
        return super().draw(seed, call if self.stream else 0)

    def forward(self, p: Parameters, example: Any) -> Any:
        """Runs one episode of the arm."""
        simulation = self.simulation
        simulation.reset(example)
        episode, step_parts = Episode(example, [self._view(simulation)]), list[Part]()
        step = operator(name="step", description=self._step_description)(
            self._macro_step(simulation, episode, step_parts)
        )
        state: Node = node({"observation": episode.views[0]}, "start")
        try:
            while not episode.solved and len(episode.actions) < self.horizon:
                state = step(state, p.controller(state["observation"]))
        except ExecutionError as e:
            parts = (
                Part("reward", "The code raised an error: the job is not done."),
                *step_parts,
                Part("hindsight_negative", f"Step {len(episode.actions) + 1} raised {e.exception_node.data}"),
            )
            episode.solved = False
            return e.exception_node, Feedback(self.scores[0], parts, metrics=dataclasses.asdict(episode))
        done, steps = "done" if episode.solved else "not done", len(episode.actions)
        result = f"The job is {done} after {steps} steps; the rewards' sum is {math.fsum(episode.rewards):.2f}."
        parts = (Part("reward", result), *step_parts)
        return state, Feedback(float(episode.solved), parts, episode.solved, metrics=dataclasses.asdict(episode))

    def _macro_step(self, simulation: Simulation, episode: Episode, step_parts: list[Part]) -> Any:
        """The function that runs a macro step and records it in `episode`.

        Its feedback goes into the function's value, or into `step_parts` where `step_feedback` is ``"output"``.
        """

        def step(state: View, action: Any) -> View:
            answer = _checked_answer(action)
            advice, before = simulation.advice(), simulation.hand
            reward, solved = self._move(simulation, answer, advice.gain)
            episode.views.append(self._view(simulation))
            episode.actions.append(answer.tolist())
            episode.rewards.append(reward)
            episode.solved = solved
            after: View = {"observation": episode.views[-1]}
            parts = self._step_parts(simulation, advice, before, float(answer[3]), reward)
            if self.step_feedback == "output":
                number = len(episode.actions)
                step_parts.extend(part._replace(content=f"Step {number}: {part.content}") for part in parts)
            elif parts:
                after["feedback"] = " ".join(part.content for part in parts)
            return after

        return step

    def _move(
        self, simulation: Simulation, answer: NDArray[np.float64], gain: float, watch: Callable[[], None] | None = None
    ) -> tuple[float, bool]:
        target = answer[:3] + simulation.hand if self.relative else answer[:3]
        return simulation.move(target, float(answer[3]), gain, self.success == "any", watch)

    def _step_parts(
        self, simulation: Simulation, advice: Advice, before: NDArray[np.float64], effort: float, reward: float
    ) -> list[Part]:
        """The feedback on a macro step, of the kinds in `feedback_kinds`.

        Args:
            simulation: The simulator after the step.
            advice: The expert's advice before the step.
            before: The position of the hand before the step, in metres.
            effort: The gripper's effort in the step.
            reward: The simulator's reward at the end of the step.
        """
        distance_before = float(np.linalg.norm(advice.target - before))
        distance = float(np.linalg.norm(advice.target - simulation.hand))
        next_advice = simulation.advice()
        place = ", ".join(f"{x:.3f}" for x in np.round(next_advice.target, 3) + 0.0)
        grip = "closed" if next_advice.effort > CLOSED else "open"
        parts = [Part("reward", f"The step's reward is {reward:.2f} (0 to 10).")]
        if distance <= max(distance_before - MIN_PROGRESS, CLOSE_ENOUGH):
            parts.append(Part("hindsight_positive", "The hand went the right way."))
        else:
            parts.append(Part("hindsight_negative", "The hand went the wrong way, or not at all."))
        if (advice.effort > CLOSED) != (effort > CLOSED):
            should = "closed" if advice.effort > CLOSED else "opened"
            parts.append(Part("hindsight_negative", f"The gripper should have {should}."))
        parts.append(Part("future_positive", f"Next the hand should be at [{place}], the gripper {grip}."))
        return [part for part in parts if part.kind in self.feedback_kinds]

    def reference_solution(self) -> dict[str, Any]:
        """Meta-World's scripted expert as the source of a controller."""
        return {"controller": expert_source(self.task, self.relative)}

    def _last_episode(self) -> Episode:
        """The episode of the last call (of a batch, the last one); only its start where the code did not run."""
        assert self.last is not None
        if self.last.metrics:
            return Episode(**self.last.metrics)
        condition = self.splits["train"][self.last.per_example[-1].example]
        simulation = self.simulation
        simulation.reset(condition)
        return Episode(condition, [self._view(simulation)])

    def render_text(self) -> str:
        """The observations and the actions of the last episode."""
        episode = self._last_episode()
        lines = [f"start  {episode.views[0]}"]
        for action, view in zip(episode.actions, episode.views[1:], strict=True):
            lines.append(f"{np.round(action, 3).tolist()}  ->  {view}")
        return "\n".join([*lines, self._summary(episode)]) + "\n"

    def render_image(self) -> Picture:
        """The end of the last episode by MuJoCo; where that has no OpenGL, the paths of hand and objects."""
        episode = self._last_episode()
        if not pictures.gl_works():
            return pictures.paths(episode.views, self._summary(episode))
        return self._frames(episode, 0)[-1]

    def _summary(self, episode: Episode) -> str:
        return f"{self.task}: {'done' if episode.solved else 'not done'} after {len(episode.actions)} steps"

    def save_gif(self, path: str | Path) -> None:
        """Films the last episode with MuJoCo, in simulated time.

        A frame takes 0.2 to 0.4 s, so that an episode of ten macro steps takes 3 to 7 s.

        Args:
            path: The file to write.

        Raises:
            RuntimeError: Before the first episode, and where MuJoCo has no OpenGL.
        """
        if self.last is None:
            raise RuntimeError("save_gif() films the last episode: call reset() first")
        if not pictures.gl_works():
            raise RuntimeError("save_gif() expected OpenGL without a display: set MUJOCO_GL=egl or osmesa at the start")
        frames = self._frames(self._last_episode(), STEPS_PER_FRAME)
        milliseconds = 1000 * STEPS_PER_FRAME * STEP_SECONDS
        need("imageio.v3").imwrite(path, frames, extension=".gif", duration=milliseconds, loop=0)

    def _frames(self, episode: Episode, every: int) -> list[Picture]:
        """Replays an episode: a frame every so many simulator steps (none of these if 0), and one at its end."""
        simulation = Simulation(self.task, pictures=True)
        simulation.reset(episode.condition)
        frames, steps = [], 0

        def watch() -> None:
            nonlocal steps
            if every and steps % every == 0:
                frames.append(simulation.frame())
            steps += 1

        for action in episode.actions:
            self._move(simulation, np.array(action), simulation.advice().gain, watch)
        frames.append(simulation.frame())
        simulation.close()
        return frames


def _checked_answer(action: Any) -> NDArray[np.float64]:
    """A controller's answer as an array of four numbers; raises ValueError where it is none."""
    if (
        not isinstance(action, list | tuple)
        or len(action) != 4
        or not all(type(x) in (int, float) and abs(x) <= LARGEST for x in action)
    ):
        raise ValueError(f"expected [x, y, z, gripper], four finite numbers, got {action!r:.100}")
    return np.array(action, float)
