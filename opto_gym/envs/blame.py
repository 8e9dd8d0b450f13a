"""Credit assignment: find and repair the one broken stage of a pipeline."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..core import OptoEnv, Parameters
from ..problems import Anchors, Feedback, Parameter, Part
from ..spaces import Code, Number
from ..trace import node, operator
from .drawing import scenes
from .pipelines import HIGH, LOW, NUMBER_STAGES, Stage, other_tests, pipeline, right_function


class BlameAssign(OptoEnv):
    """Mend the one broken part of a pipeline.

    ## Description
    A list of whole numbers runs through a pipeline of stages. A stage is a code parameter, or an operation on the list
    with a number parameter. All stages are right but one, which has a fault: off by one, a swapped comparison, a wrong
    constant or a missing return. The feedback gives the right result of the pipeline. The graph shows the input and
    the output of each stage, and after each stage a check: its documentation says what the stage should do, and its
    value says whether the stage did it. The names of the stages do not tell where the fault is, nor does their code,
    which is plausible everywhere. Only the graph tells.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `stage_a`, `stage_b`, ... (two of three, on average) | `Code("stage_a(xs)")` | code, which may have the fault |
    | the others | `Number(1, 20, integer)` | a number, which may be the wrong one |

    A code stage gets a list of whole numbers and returns one.

    ## Observation
    The graph of the pipeline's runs on three lists, stage by stage, and the feedback. The Trace paper's mask (which
    hides code, documentation, inputs and others) leaves the parameters and the results.

    ## Reward
    The score, which is the share of the lists for which the pipeline's result is right: 0 to 1, higher is better.

    ## Feedback
    * reward: "Wrong.", "Right."
    * hindsight_negative: "Expected [3, 8, 24], got [3, 8]."; for code that raises, the error: ``(IndexError) list index
      out of range [line 2: return [][1]]``.

    ## Start
    The broken pipeline. Its results are wrong for every list.

    ## End
    When the results for all three lists of the train split are right, or after `oracle_calls` steps.

    ## Score and anchors
    The train split has 3 lists, and each call uses all of them; the test split has 20 others. The fault shows on all
    lists, so the start values score 0. The reference solution is the pipeline before it was broken, which scores 1.
    Linear scale, anchors of 2026-11. The measure is the number of calls until the pipeline is repaired: on the
    pipelines 0 to 99 of six stages 2.8 on average with the graph (`BlameGraph`, at most 20) and 32.3 without it
    (`BlameBlind`, at most 78); both try repairs from the same list. Of the repairs that were right on train, two of
    `BlameBlind` were wrong on test. The faults: 38 missing returns, 21 off by one, 21 wrong constants, 20 swapped
    comparisons.

    ## Arguments
    * `problem`: the number of the pipeline, 0 or more; 0.
    * `stages`: the number of stages, 3 to 10; 6.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`, `test_seed`.

    ## Kind, cost and source
    A distribution of lists. An example is a list of 12 numbers from 0 to 20. An oracle call takes 30 to 50 ms, the test
    split 0.3 to 0.6 s. The task uses no language model and no data set. Source: our own. It tests the thesis of the
    Trace paper (Cheng, Nie and Swaminathan, NeurIPS 2024) that an execution trace assigns credit and blame.

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = (
        "Exactly one of the parameters is broken. Find it and mend it, so that the pipeline's result is right for "
        "every list; leave the others as they are."
    )
    scores = (0.0, 1.0)
    batch = 3
    feedback_kinds = ("reward", "hindsight_negative")
    anchors = Anchors(0.0, 1.0, "2026-11", "the pipeline before it was broken")
    ends_when_solved = True

    def __init__(self, *, problem: int = 0, stages: int = 6, **keywords: Any) -> None:
        if type(problem) is not int or problem < 0:
            raise ValueError(f"BlameAssign: expected a problem of 0 or more, got {problem!r}")
        if type(stages) is not int or not 3 <= stages <= 10:
            raise ValueError(f"BlameAssign: expected 3 to 10 stages, got {stages!r}")
        made = pipeline(problem, stages)
        self._made = made
        self.stages, self.broken, self.fault = made.stages, made.broken, made.fault
        self.splits = {"train": made.train, "test": made.test}
        self.parameters = tuple(
            Parameter(
                s.name,
                Code(f"{s.name}(xs)") if s.is_code else Number(LOW, HIGH, integer=True),
                made.broken_value if s.name == made.broken else s.value,
                "A stage of the pipeline.",
            )
            for s in made.stages
        )
        super().__init__(**keywords)

    def draw_test(self, seed: int) -> list[list[int]]:
        """Other lists whose result the fault changes."""
        return other_tests(self._made, seed)

    def forward(self, p: Parameters, example: list[int]) -> Any:
        """Runs the pipeline on one list, and compares its result with that of the pipeline before it was broken."""
        result = node(example, "numbers")
        expected = example
        for stage in self.stages:
            parameter = p[stage.name]
            got = parameter(result) if stage.is_code else _step(stage.operation)(result, parameter)
            result = _check(stage)(result, got)["value"]
            expected = right_function(stage)(expected)
        if result.data == expected:
            return result, Feedback(1.0, (Part("reward", "Right."),), True)
        wrong = (Part("reward", "Wrong."), Part("hindsight_negative", f"Expected {expected}, got {result.data}."))
        return result, Feedback(0.0, wrong)

    def reference_solution(self) -> dict[str, Any]:
        """The pipeline before it was broken."""
        return {s.name: s.value for s in self.stages}

    def render_text(self) -> str:
        """Each stage of the last call with its check: right, wrong or not run."""
        states, title = self._checked()
        words = {None: "not run", True: "right", False: "wrong"}
        return "".join(f"{name}: {words[state]}\n" for name, state in states.items()) + f"{title}\n"

    def render_image(self) -> scenes.Picture:
        """The stages of the last call: green where all checks are right, red where one is wrong, grey if not run."""
        states, title = self._checked()
        return scenes.lights([name.removeprefix("stage_") for name in states], list(states.values()), title)

    def _checked(self) -> tuple[dict[str, bool | None], str]:
        """What the checks of the last call say of each stage (None: it did not run), and a title."""
        assert self.last is not None
        states: dict[str, bool | None] = {s.name: None for s in self.stages}
        graph = self.last.graph
        for k, n in enumerate(graph.nodes):
            name = graph.operators[n.operator].name.removeprefix("check_")
            if graph.kind(k) == "operator" and name in states:
                states[name] = n.value["right"] and states[name] is not False
        return states, f"{self.last.score:.0%} of the results are right"


@functools.cache
def _step(operation: str) -> Callable[..., Any]:
    """The operation of a number stage as a traced operator."""
    traced: Callable[..., Any] = operator(name=operation)(NUMBER_STAGES[operation].run)
    return traced


@functools.lru_cache(4096)
def _check(stage: Stage) -> Callable[..., Any]:
    """The operator that checks the output of a stage and passes it on."""
    right = right_function(stage)

    @operator(
        name=f"check_{stage.name}",
        description=f"{stage.name} should {stage.rule}. Hands its answer on as value, and says whether it is right. "
        "What is no list of whole numbers is handed on as [].",
    )
    def check(given: list[int], got: Any) -> dict[str, Any]:
        value = got if _whole_numbers(got) else []
        return {"value": value, "right": got == right(given)}

    return check  # type: ignore[no-any-return]


def _whole_numbers(x: Any) -> bool:
    """Whether the next stage can work on the value: a list of whole numbers that is small enough for this process."""
    return isinstance(x, list) and len(x) <= 1000 and all(type(i) is int and abs(i) < 10**15 for i in x)
