"""One wrong constant in a trace of a hundred to a hundred thousand nodes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core import OptoEnv, Parameters
from ..problems import Anchors, Feedback, Parameter, Part
from ..spaces import Number
from ..trace import node, operator
from .pipelines import stage_name

STAGES = 8
PRIME = 1_000_003  # of larger order than any loop is long, for each of the factors: a wrong constant always shows


class Loop(NamedTuple):
    """A stage: x = (x * factor + constant) % PRIME, again and again."""

    factor: int
    constant: int


class LongTrace(OptoEnv):
    """Find one wrong constant in a long trace.

    ## Description
    Eight stages in a row; each repeats x = (x * factor + constant) % 1000003 so often that the whole trace has `length`
    nodes. The constants are the parameters, and one of them is wrong. After each stage a check says whether the stage
    gave what it should: eight telling nodes, among all the others. The feedback says "wrong" and no more. For a
    `problem` the fault is the same at every length, so what changes is only how much trace an optimizer has to read.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `stage_a` to `stage_h` | `Number(0, 9, integer)` | 0 to 9, one of them wrong |

    ## Observation
    The graph of the run, `length` nodes or up to two fewer, and the feedback.

    ## Reward
    1 if the output is right, else 0.

    ## Feedback
    * reward: "The output is wrong.", "The output is right."
    * hindsight_negative: for values outside of their space, "(ValueError) stage_b: expected a number in [0, 9], got 12"

    ## Start
    The constants with one of them wrong.

    ## End
    When the output is right, or after `oracle_calls` steps.

    ## Score and anchors
    One case: test is train. Linear scale, anchors of 2026-11: 0 is a wrong output (the start's), 1 the right one (the
    reference's, which is the right constants). The measure is the number of calls until it is mended, at each length:
    for who reads the whole graph 5.7 on average over the problems 0 to 29 (`BlameGraph`, at most 9), at 100 nodes as at
    1,000, and 42.2 for who does not (`BlameBlind`, at most 69).

    ## Arguments
    * `length`: nodes, 100 to 100,000; 1,000 by default.
    * `problem`: 0 or more, which constants and which fault.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`.

    ## Kind, cost and source
    An instance; an example is None, since nothing is left to draw. An oracle call takes 0.4 ms for 100 nodes, 2 ms for
    1,000, 20 ms for 10,000 and 0.24 s for 100,000 (processor time); no language model, no data set. Source: our own;
    the Trace paper (Cheng, Nie and Swaminathan, NeurIPS 2024) names graphs of thousands of nodes among the limits of
    its optimizer.

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
        # nodes that are no part of a loop: the first x, the parameters, and two for each check; a round has three
        rounds = (length - 1 - 3 * STAGES) // 3
        self.rounds = [rounds // STAGES + (k < rounds % STAGES) for k in range(STAGES)]
        self.parameters = tuple(
            Parameter(stage_name(k), Number(0, 9, integer=True), c, "The constant that the stage adds in each round.")
            for k, c in enumerate(start)
        )
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """All stages."""
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

    def render(self) -> Any:
        """The constants of the last call: red where one is wrong, for whoever looks on."""
        if self.last is None or self.render_mode is None:
            return None
        from .drawing.scenes import label, lights

        graph = self.last.graph
        tried = [graph.nodes[k].value for k in graph.parameters]
        shown = [label(x) for x in tried]
        title = f"{len(graph):,} nodes, and the output is {'right' if self.last.success else 'wrong'}"
        if self.render_mode == "ansi":
            return f"{' '.join(shown)}: {title}\n"
        right = [x == loop.constant for x, loop in zip(tried, self.loops, strict=True)]
        return lights(shown, right, title)


def repeated(x: int, loop: Loop, rounds: int) -> int:
    """What a stage should give, without a trace."""
    for _ in range(rounds):
        x = (x * loop.factor + loop.constant) % PRIME
    return x


def _check(name: str, loop: Loop, rounds: int) -> Any:
    @operator(
        name=f"check_{name}",
        description=f"Hands on as value what the rounds with {name} gave, and says whether it is right.",
    )
    def check(given: int, got: int) -> dict[str, Any]:
        return {"value": got, "right": got == repeated(given, loop, rounds)}

    return check
