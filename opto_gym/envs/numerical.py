"""Numerical optimization of random arithmetic programs (the second experiment of the Trace paper)."""

from __future__ import annotations

import functools
import math
import random
from typing import Any, NamedTuple

import numpy as np

from ..core import OptoEnv, Parameters
from ..problems import Anchors, Feedback, Parameter, Part
from ..spaces import Number
from ..trace import Node
from .drawing import scenes

WORST = 1e5  # the largest error, which is also that of a program that fails
CONSTANTS = (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0)
SAMPLERS = ("opto", "paper")


class Step(NamedTuple):
    """One operation of a program: `operator` on two earlier values, or on one and a constant.

    Attributes:
        operator: ``add``, ``sub``, ``mul`` or ``truediv``.
        first: The index of the first operand among the inputs and the results so far.
        second: An index (int) or a constant (float).
    """

    operator: str
    first: int
    second: int | float


class NumericalOptimization(OptoEnv):
    """Find the input of an arithmetic program that gives a hidden goal.

    ## Description
    h is a random program of +, -, * and / on numbers, and y* = h(x*) for a hidden x* in ±1, ±2, ±3. Find x with
    h(x) = y*. The graph shows the program as it ran; the feedback says whether the output needs to be larger or
    smaller. The task follows the Trace paper (Cheng, Nie and Swaminathan, NeurIPS 2024, section 5.1).

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `x0`, `x1`, ... | `Number(-1000, 1000)` | -1.0 |

    ## Observation
    The graph of the program's run, operation by operation, and the feedback.

    ## Reward
    Minus the score. The score is the error |h(x) - y*|, at most 100,000.

    ## Feedback
    * reward: "The output 3.5 is wrong."
    * hindsight_positive: "The output 3.0 is right."
    * hindsight_negative: an error, "(ZeroDivisionError) float division by zero"
    * future_positive: "The output needs to be larger."

    ## Start
    All parameters are -1.0, which does not solve the problem. With `sampler="paper"`, it solves 7 of the first 30
    problems.

    ## End
    When solved (the error is at most 1e-6, or exactly 0 for `sampler="paper"`), or after `oracle_calls` steps.

    ## Score and anchors
    One case: test is train. Log scale, anchors of 2026-11: 0 is the error of the start values, 1 is error 0.

    ## Arguments
    * `problem`: the number of the program, 0 to 99; 0.
    * `sampler`: `"opto"` draws `steps` operations. The operator is uniform over + - * /. The first operand is a value
      so far, drawn with weight e^(index / 4), which favours the newest (with several parameters, it is the newest). The
      second is with equal probability a constant (±1, ±2, ±3) or a value drawn likewise, until every parameter is used.
      A problem is accepted if its output needs at least half of the operations and depends on each parameter, if
      0.1 <= |y*| <= 1000, and if the error of the start values is in [0.1, 1000].
      `"paper"` reimplements the published sampler and its "hard" filter (one parameter, its own problem seeds).
    * `n_parameters`: the number of parameters for `"opto"`, 1 to 20; 1.
    * `steps`: the number of operations for `"opto"`, at most 60; by default 7, and 2 more for each further parameter.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`. No `test_seed`.

    ## Kind, cost and source
    An instance; an example is None, since a run has no randomness. An oracle call takes up to 0.2 ms. The task uses no
    language model and no data set. It is reimplemented from the paper's description and the settings of its public
    experiment script. The published curves can't be derived from those settings: Adam with a learning rate of 0.1 moves
    x by at most about 1 in ten steps.

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = "Change the parameters so that the output equals the hidden goal. The feedback says in which direction."
    scores = (WORST, 0.0)
    splits = {"train": (None,), "test": (None,)}
    feedback_kinds = ("reward", "hindsight_positive", "hindsight_negative", "future_positive")
    anchors = Anchors(None, 0.0, "2026-11", "the hidden x*, by construction")
    scale = "log"
    ends_when_solved = True
    instance = True

    def __init__(
        self,
        *,
        problem: int = 0,
        sampler: str = "opto",
        n_parameters: int = 1,
        steps: int | None = None,
        **keywords: Any,
    ) -> None:
        if sampler not in SAMPLERS:
            raise ValueError(f"NumericalOptimization: expected a sampler of {SAMPLERS}, got {sampler!r}")
        if type(problem) is not int or not 0 <= problem < 100:
            raise ValueError(f"NumericalOptimization: expected a problem from 0 to 99, got {problem!r}")
        if type(n_parameters) is not int or not 1 <= n_parameters <= 20:
            raise ValueError(f"NumericalOptimization: expected 1 to 20 parameters, got {n_parameters!r}")
        if sampler == "paper":
            if n_parameters != 1 or steps is not None:
                raise ValueError("NumericalOptimization: the paper's sampler has one parameter and 7 steps")
            self.program, self._solution, self.goal = paper_problem(_paper_seeds()[problem])
            self.tolerance = 0.0
        else:
            n_steps = steps if steps is not None else 7 + 2 * (n_parameters - 1)
            min_steps = max(1, n_parameters - 1)  # to use all parameters
            if type(n_steps) is not int or not min_steps <= n_steps <= 60:
                raise ValueError(f"NumericalOptimization: expected {min_steps} to 60 steps, got {n_steps!r}")
            self.program, self._solution, self.goal = opto_problem(problem, n_parameters, n_steps)
            self.tolerance = 1e-6
        self.sampler = sampler
        self.parameters = tuple(Parameter(f"x{i}", Number(-1000, 1000), -1.0) for i in range(n_parameters))
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Node:
        """Runs the program on the proposed values, as floats."""
        for x in p.values():
            x.data = float(x.data)  # Python's integers would grow without bound
        return run(self.program, [x.node for x in p.values()], guard=self.sampler == "paper")  # type: ignore[no-any-return]

    def judge(self, output: Any, example: Any) -> Feedback:
        """The error of the output, and the direction in which it has to change."""
        error = abs(output - self.goal)
        if math.isnan(error):
            return Feedback(error, (Part("hindsight_negative", "The output is not a number."),))
        if error <= self.tolerance:
            return Feedback(0.0, (Part("hindsight_positive", f"The output {output} is right."),), True)
        way = "larger" if output < self.goal else "smaller"
        parts = (
            Part("reward", f"The output {output} is wrong."),
            Part("future_positive", f"The output needs to be {way}."),
        )
        return Feedback(min(error, WORST), parts)

    def reference_solution(self) -> dict[str, Any]:
        """The hidden x*."""
        return dict(zip((p.name for p in self.parameters), self._solution, strict=True))

    def render_text(self) -> str:
        """The proposed values of the last call and their error."""
        values, title = self._last_values()
        return f"{', '.join(f'x{i} = {v:g}' for i, v in enumerate(values))}: {title}\n"

    def render_image(self) -> scenes.Picture:
        """The curve of h with the last proposal on it; with several parameters, the proposed values as bars."""
        values, title = self._last_values()
        if len(values) > 1:
            return scenes.bars([p.name for p in self.parameters], values, title)
        reach = max(4.0, 1.2 * abs(values[0]))
        xs = [float(x) for x in np.linspace(-reach, reach, 401)]
        *ys, y = (_output_or_nan(self.program, x, self.sampler == "paper") for x in (*xs, values[0]))
        return scenes.curve(xs, ys, self.goal, (values[0], y), title)

    def _last_values(self) -> tuple[list[float], str]:
        """The proposed values of the last call (NaN for values outside their space), and a title."""
        assert self.last is not None
        graph = self.last.graph
        proposed = [graph.nodes[k].value for k in graph.parameters]
        values = [float(v) if p.space.contains(v) else math.nan for p, v in zip(self.parameters, proposed, strict=True)]
        return values, f"error {self.last.score:.4g}"


def run(program: list[Step], values: list[Any], guard: bool = False) -> Any:
    """Runs a program.

    Args:
        program: Its operations.
        values: The inputs, numbers or nodes.
        guard: Whether x / 0 is x, as in the paper's programs.

    Returns:
        The result of the last operation.

    Raises:
        ZeroDivisionError: For a division by zero without `guard`.
    """
    values = list(values)
    for name, first, second in program:
        a, b = values[first], values[second] if isinstance(second, int) else second
        if name == "add":
            c = a + b
        elif name == "sub":
            c = a - b
        elif name == "mul":
            c = a * b
        else:
            c = a if guard and (b.data if isinstance(b, Node) else b) == 0 else a / b
        values.append(c)
    return values[-1]


def _output_or_nan(program: list[Step], x: float, guard: bool) -> float:
    try:
        return float(run(program, [x], guard))
    except ZeroDivisionError:
        return math.nan


@functools.lru_cache(256)
def opto_problem(problem: int, n: int, n_steps: int) -> tuple[list[Step], list[float], float]:
    """(program, x*, y*) of the "opto" sampler, which the docstring of `NumericalOptimization` describes."""
    rng = np.random.default_rng([20240622, problem, n, n_steps])
    while True:
        program = _opto_program(rng, n, n_steps)
        if 2 * operations_needed(program, n) < n_steps:
            continue
        solution = [float(rng.choice(CONSTANTS)) for _ in range(n)]
        start = [-1.0] * n
        try:
            goal, first = run(program, solution), run(program, start)
            moved = [run(program, [x if i != k else 0.37 for i, x in enumerate(solution)]) for k in range(n)]
        except ZeroDivisionError:
            continue
        if 0.1 <= abs(goal) <= 1000 and 0.1 <= abs(first - goal) <= 1000 and all(abs(m - goal) > 1e-6 for m in moved):
            return program, solution, goal


def operations_needed(program: list[Step], n: int) -> int:
    """The number of operations that the output of a program with n inputs depends on."""
    needed = {n + len(program) - 1}
    for k, step in reversed(list(enumerate(program, n))):
        if k in needed:
            needed |= {i for i in (step.first, step.second) if isinstance(i, int)}
    return sum(k >= n for k in needed)


def _opto_program(rng: np.random.Generator, n: int, n_steps: int) -> list[Step]:
    program: list[Step] = []
    waiting = list(range(1, n))  # parameters that no operation uses yet
    for k in range(n_steps):
        size = n + k
        name = ("add", "sub", "mul", "truediv")[int(rng.integers(4))]
        newest = size - 1 if k else 0
        if waiting and (n_steps - k <= len(waiting) or rng.random() < 0.5):
            program.append(Step(name, newest, waiting.pop(0)))
            continue
        candidates = [0] if k == 0 else [0, *range(n, size)]
        weights = np.exp(np.arange(len(candidates)) / 4)
        first = newest if n > 1 else int(rng.choice(candidates, p=weights / weights.sum()))
        if rng.random() < 0.5:
            program.append(Step(name, first, float(rng.choice(CONSTANTS))))
        else:
            program.append(Step(name, first, int(rng.choice(candidates, p=weights / weights.sum()))))
    return program


# ------------------------------------------------------------------ the paper's sampler
# Reimplemented so that the seeds of the published experiment give its programs: the same draws, in the same order, from
# the same two generators. Here they are objects of this module; the original re-seeds the generators of the process.
PAPER_STEPS, PAPER_CONSTANTS = 7, 5


@functools.lru_cache(256)
def paper_problem(seed: int) -> tuple[list[Step], list[float], float]:
    """(program, x*, y*) of the published sampler for one of its seeds."""
    rng = random.Random(seed)
    for _ in range(5):  # the original first draws a name for its input
        rng.random()
    solution = float(rng.choice(CONSTANTS))
    program = paper_program(seed)[0]
    return program, [solution], float(run(program, [solution], guard=True))


def paper_program(seed: int) -> tuple[list[Step], random.Random]:
    """(program, Python's generator in its state after sampling), of which `paper_seeds` draws the next seed."""
    rng, numpy_rng = random.Random(seed), np.random.RandomState(seed)
    constants: list[float] = []
    program: list[Step] = []
    for size in range(1, PAPER_STEPS + 1):  # the number of values so far: the input and the results of the steps
        both_computed = numpy_rng.choice(2, p=[0.5, 0.5]) == 1 and size > 1
        weights = np.exp(np.arange(size))
        operands = numpy_rng.choice(size, 1 + both_computed, p=weights / weights.sum(), replace=False)
        second: int | float
        operators = ["add", "sub", "mul", "truediv"]
        if both_computed:
            second = int(operands[1])
        else:
            if numpy_rng.rand() < 1 - len(constants) / PAPER_CONSTANTS:
                constants.append(CONSTANTS[rng.randint(0, len(CONSTANTS) - 1)])
            second = constants[int(numpy_rng.choice(len(constants), 1, replace=False)[0])]
            if second <= 0:
                operators.remove("truediv")
        program.append(Step(str(numpy_rng.choice(operators)), int(operands[0]), second))
    return program, rng


def paper_seeds(n: int) -> list[int]:
    """The first n problem seeds of the published "hard" filter: a goal of at most 1e5, h not rising around 0.5."""
    rng = random.Random(1111)
    seeds: list[int] = []
    while len(seeds) < n:
        seed = rng.randint(0, 99999)
        program, rng = paper_program(seed)  # the original draws the next seed from the same generator
        y = [run(program, [x], guard=True) for x in (0.5 - 0.1, 0.5, 0.5 + 0.1)]
        if paper_problem(seed)[2] <= WORST and (y[2] < y[1] or y[1] < y[0]):
            seeds.append(seed)
    return seeds


@functools.cache
def _paper_seeds() -> list[int]:
    return paper_seeds(100)
