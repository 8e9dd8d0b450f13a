"""A pipeline with one broken part, which is to be blamed and mended."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..core import OptoEnv, Parameters
from ..problems import Anchors, Feedback, Parameter, Part
from ..spaces import Code, Number
from ..trace import node, operator
from .pipelines import HIGH, LOW, NUMBER_STAGES, Stage, pipeline, right_function


class BlameAssign(OptoEnv):
    """Mend the one broken part of a pipeline.

    ## Description
    A list of whole numbers runs through a pipeline of stages. A stage is a code parameter, or a number parameter of an
    operation on the list. All stages do what they should but one, in which a fault was put: off by one, a swapped
    comparison, a wrong constant or a missing return. The feedback tells the pipeline's right result; the graph shows
    what went into each stage and came out, and after each stage a check, whose documentation says what the stage
    should do and whose value whether it did. The names of the stages tell nothing, nor does their code, which is
    plausible everywhere: only the graph says where the fault is.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `stage_a`, `stage_b`, ... (two of three, on average) | `Code("stage_a(xs)")` | code, perhaps with the fault |
    | the others | `Number(1, 20, integer)` | a number, perhaps the wrong one |

    A code stage gets a list of whole numbers and returns one.

    ## Observation
    The graph of the pipeline's runs on three lists, stage by stage, and the feedback. The paper's mask (code,
    documentation, inputs and others hidden) leaves the parameters and the results.

    ## Reward
    The score: the share of the lists for which the pipeline's result is right, 0 to 1; higher is better.

    ## Feedback
    * reward: "Wrong.", "Right."
    * hindsight_negative: "Expected [3, 8, 24], got [3, 8]."; for code that raises, its error: "(IndexError) list index
      out of range [line 2: return [][1]]".

    ## Start
    The broken pipeline, whose results are wrong for every list.

    ## End
    When all three lists of train come out right, or after `oracle_calls` steps.

    ## Score and anchors
    Train is 3 lists, all of them in each call; test is 20 other lists. On all of them the fault shows, so the start's
    score is 0; the reference is the pipeline before it was broken, and scores 1. Linear scale, anchors of 2026-11. The
    measure is the number of calls until it is mended: on the pipelines 0 to 99 of six stages 2.8 on average with the
    graph (`BlameGraph`, at most 20) and 32.3 without (`BlameBlind`, at most 78), where both try mends from one list. Of
    the mends that were right for train, two of the latter's were wrong on test. The faults: 38 missing returns, 21 off
    by one, 21 wrong constants, 20 swapped comparisons.

    ## Arguments
    * `problem`: 0 or more, which pipeline.
    * `stages`: 3 to 10; 6 by default.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`.

    ## Kind, cost and source
    A distribution (lists). An example is a list of 12 numbers from 0 to 20. An oracle call takes 30 to 50 ms, the test
    split 0.3 to 0.6 s; no language model, no data set. Source: our own; that blame is what a trace assigns is the
    thesis of the Trace paper (Cheng, Nie and Swaminathan, NeurIPS 2024).

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

    def forward(self, p: Parameters, example: list[int]) -> Any:
        """One list through the pipeline."""
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

    def render(self) -> Any:
        """The stages of the last call: red where a check says wrong, grey where the run did not come."""
        if self.last is None or self.render_mode is None:
            return None
        states: dict[str, bool | None] = {s.name: None for s in self.stages}
        graph = self.last.graph
        for k, n in enumerate(graph.nodes):
            name = graph.operators[n.operator].name.removeprefix("check_")
            if graph.kind(k) == "operator" and name in states:
                states[name] = n.value["right"] and states[name] is not False
        title = f"{self.last.score:.0%} of the results are right"
        if self.render_mode == "ansi":
            words = {None: "not run", True: "right", False: "wrong"}
            return "".join(f"{name}: {words[state]}\n" for name, state in states.items()) + f"{title}\n"
        from .drawing.scenes import lights

        return lights([name.removeprefix("stage_") for name in states], list(states.values()), title)


@functools.cache
def _step(operation: str) -> Callable[..., Any]:
    """The operation of a number stage, traced."""
    traced: Callable[..., Any] = operator(name=operation)(NUMBER_STAGES[operation].run)
    return traced


@functools.lru_cache(4096)
def _check(stage: Stage) -> Callable[..., Any]:
    """Holds a stage's answer against what it should do, and hands it on."""
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
    """A list that the next stage can work on, small enough for this process."""
    return isinstance(x, list) and len(x) <= 1000 and all(type(i) is int and abs(i) < 10**15 for i in x)
