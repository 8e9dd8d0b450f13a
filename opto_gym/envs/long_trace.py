"""Long traces: find one wrong constant in a graph of 100 to 100,000 nodes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core import OptoEnv, Parameters
from ..problems import Anchors, Feedback, Parameter, Part
from ..spaces import Number
from ..trace import node, operator
from .drawing import scenes
from .pipelines import stage_name

STAGES = 8
# Each factor has a multiplicative order modulo PRIME that exceeds the number of rounds of any stage, so that a wrong
# constant always changes the result.
PRIME = 1_000_003


class Loop(NamedTuple):
    """A stage, which repeats x = (x * factor + constant) % PRIME."""

    factor: int
    constant: int


class LongTrace(OptoEnv):
    """Find one wrong constant in a long trace.

    ## Description
    Eight stages run one after the other. Each repeats x = (x * factor + constant) % 1000003 so often that the whole
    trace has `length` nodes. The constants are the parameters, and one of them is wrong. After each stage a check says
    whether the result of the stage is right: eight nodes of the graph tell where the fault is. The feedback says only
    "wrong". A `problem` has the same fault at every length, so the length changes only how much of a trace an
    optimizer has to read.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `stage_a` to `stage_h` | `Number(0, 9, integer)` | 0 to 9, one of them wrong |

    ## Observation
    The graph of the run, which has `length` nodes or up to two fewer, and the feedback.

    ## Reward
    1 if the output is right, else 0.

    ## Feedback
    * reward: "The output is wrong.", "The output is right."
    * hindsight_negative: for values outside their space, "(ValueError) stage_b: expected a number in [0, 9], got 12"

    ## Start
    The constants with one of them wrong.

    ## End
    When the output is right, or after `oracle_calls` steps.

    ## Score and anchors
    One case: test is train. Linear scale, anchors of 2026-11: 0 is a wrong output (the start
    values), 1 the right one (the reference solution, which is the right constants). The measure is the number of calls
    until the output is right, at each length. For an agent that reads the whole graph it is 5.7 on average over the
    problems 0 to 29 (`BlameGraph`, at most 9), at 100 nodes as at 1,000; for one that does not, it is 42.2
    (`BlameBlind`, at most 69).

    ## Arguments
    * `length`: the number of nodes, 100 to 100,000; 1,000.
    * `problem`: the number of the problem (its constants and its fault), 0 or more; 0.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`. No `test_seed`.

    ## Kind, cost and source
    An instance; an example is None, since a run has no randomness. An oracle call takes 0.4 ms for 100 nodes, 2 ms for
    1,000, 20 ms for 10,000 and 0.24 s for 100,000 (processor time). The task uses no language model and no data set.
    Source: our own. The Trace paper (Cheng, Nie and Swaminathan, NeurIPS 2024) names graphs of thousands of nodes among
    the limits of its optimizer.

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = "One of the stages' constants is wrong. Find it and set it right, so that the output is right."
    scores = (0.0, 1.0)
    splits = {"train": (None,), "test": (None,)}
    feedback_kinds = ("reward", "hindsight_negative")
    anchors = Anchors(0.0, 1.0, "2026-11", "the right constants, by construction")
    ends_when_solved = True
    instance = True

    def __init__(self, *, length: int = 1000, problem: int = 0, **keywords: Any) -> None:
        if type(length) is not int or not 100 <= length <= 100_000:
            raise ValueError(f"LongTrace: expected a length of 100 to 100000 nodes, got {length!r}")
        if type(problem) is not int or problem < 0:
            raise ValueError(f"LongTrace: expected a problem of 0 or more, got {problem!r}")
        rng = np.random.default_rng([20240622, problem])
        self.loops = [Loop(int(rng.integers(2, 10)), int(rng.integers(10))) for _ in range(STAGES)]
        self.first = int(rng.integers(1, PRIME))
        self.broken = int(rng.integers(STAGES))
        start = [loop.constant for loop in self.loops]
        start[self.broken] = (start[self.broken] + int(rng.integers(1, 10))) % 10
        # Three nodes per round; outside of the loops the first x, the parameters, and two nodes per check.
        rounds = (length - 1 - 3 * STAGES) // 3
        self.rounds = [rounds // STAGES + (k < rounds % STAGES) for k in range(STAGES)]
        self.parameters = tuple(
            Parameter(stage_name(k), Number(0, 9, integer=True), c, "The constant that the stage adds in each round.")
            for k, c in enumerate(start)
        )
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """Runs all stages with their checks; the feedback says whether the last output is right."""
        x = node(self.first, "x")
        goal = self.first
        for (name, parameter), loop, rounds in zip(p.items(), self.loops, self.rounds, strict=True):
            y, constant = x, parameter.node
            for _ in range(rounds):
                y = (y * loop.factor + constant) % PRIME
            x = _check(name, loop, rounds)(x, y)["value"]
            goal = repeated(goal, loop, rounds)
        right = x.data == goal
        return x, Feedback(float(right), (Part("reward", f"The output is {'right' if right else 'wrong'}."),), right)

    def reference_solution(self) -> dict[str, Any]:
        """The right constants."""
        return {p.name: loop.constant for p, loop in zip(self.parameters, self.loops, strict=True)}

    def render_text(self) -> str:
        """The constants of the last call, the size of its graph, and whether the output is right."""
        constants, title = self._last_constants()
        return f"{' '.join(scenes.label(c) for c in constants)}: {title}\n"

    def render_image(self) -> scenes.Picture:
        """The constants of the last call: green where they are right, which the observation does not show."""
        constants, title = self._last_constants()
        right = [c == loop.constant for c, loop in zip(constants, self.loops, strict=True)]
        return scenes.lights([scenes.label(c) for c in constants], right, title)

    def _last_constants(self) -> tuple[list[Any], str]:
        """The proposed constants of the last call, and a title."""
        assert self.last is not None
        graph = self.last.graph
        title = f"{len(graph):,} nodes, and the output is {'right' if self.last.success else 'wrong'}"
        return [graph.nodes[k].value for k in graph.parameters], title


def repeated(x: int, loop: Loop, rounds: int) -> int:
    """The right result of a stage, computed without a trace."""
    for _ in range(rounds):
        x = (x * loop.factor + loop.constant) % PRIME
    return x


def _check(name: str, loop: Loop, rounds: int) -> Any:
    """The operator that checks the result of a stage and passes it on."""

    @operator(
        name=f"check_{name}",
        description=f"Hands on as value what the rounds with {name} gave, and says whether it is right.",
    )
    def check(given: int, got: int) -> dict[str, Any]:
        return {"value": got, "right": got == repeated(given, loop, rounds)}

    return check
