"""The plain data that environments and agents exchange: parameters, problems, feedback, evaluations."""

from __future__ import annotations

import ast
import copy
import dataclasses
import hashlib
import json
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from . import trace
from .errors import TraceError
from .spaces import Choice, Code, Number, Prompt, ValueSpace, space_from_dict
from .trace import CodeParameter
from .trace import Parameter as Traced

KINDS = ("reward", "hindsight_positive", "hindsight_negative", "future_positive", "future_negative")
"""The kinds of feedback, in the terms of LLF-Bench (Cheng et al., 2023): what the output earned, what was right or
wrong about it, what to do or avoid next."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One trainable value of a problem.

    Attributes:
        name: An identifier, unique in the problem.
        space: The space of its values; ``space.describe()`` is the constraint in words.
        start: The start value.
        description: What it is, for the optimizer.
    """

    name: str
    space: ValueSpace
    start: Any
    description: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "space": self.space.to_dict(),
            "start": self.start,
            "description": self.description,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Parameter:
        """The inverse of `to_dict`."""
        return cls(data["name"], space_from_dict(data["space"]), data["start"], data.get("description", ""))


class Part(NamedTuple):
    """One statement about an output.

    Attributes:
        kind: One of `KINDS`.
        content: The text; base64 for images.
        media: Its media type.
        example: Which example of the batch it is about, or None for a batch of one.
    """

    kind: str
    content: str
    media: str = "text/plain"
    example: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Feedback:
    """Feedback on an output.

    Attributes:
        score: The task's own metric.
        parts: Statements, each of one kind.
        success: Whether the example is solved.
        reward: The score turned so that higher is better; filled in by `OptoEnv`.
        rewards: The rewards of the examples, where there are several; filled in by `OptoEnv`, too.
        metrics: Plain data for the record, which no agent sees.
    """

    score: float
    parts: tuple[Part, ...] = ()
    success: bool = False
    reward: float = 0.0
    rewards: tuple[float, ...] = ()
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        texts = [p for p in self.parts if p.media.startswith("text/") and p.content]
        if all(p.example is None for p in texts):
            return " ".join(p.content for p in texts)
        by_example: dict[int | None, list[str]] = {}
        for p in texts:
            by_example.setdefault(p.example, []).append(p.content)
        return "\n".join(f"[example {k}] {' '.join(contents)}" for k, contents in by_example.items())

    def only(self, kinds: Sequence[str]) -> Feedback:
        """A copy with the parts of these kinds; score and reward stay, so that an observation is complete."""
        return dataclasses.replace(self, parts=tuple(p for p in self.parts if p.kind in kinds))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without the metrics."""
        parts = [[p.kind, p.content, p.media, p.example] for p in self.parts]
        data: dict[str, Any] = {"score": self.score, "reward": self.reward, "success": self.success, "parts": parts}
        return data | ({"rewards": list(self.rewards)} if self.rewards else {})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Feedback:
        """The inverse of `to_dict`."""
        parts = tuple(Part(*p) for p in data["parts"])
        return cls(data["score"], parts, data["success"], data["reward"], tuple(data.get("rewards", ())))


class TraceFeedback(NamedTuple):
    """An observation: the trace graph g and the feedback f on its output."""

    graph: trace.TraceGraph
    feedback: Feedback


class TraceSpace(ValueSpace):
    """The space of observations, `TraceFeedback`."""

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """A small graph with feedback."""
        x: Any = trace.parameter(int(self.np_random.integers(10)), "x")
        parts = (Part("reward", "The output is x + 1."),)
        return TraceFeedback(trace.backward(x + 1), Feedback(0.0, parts, reward=0.0))

    def invalid_reason(self, x: Any) -> str | None:
        """What is wrong with x, or None."""
        if not isinstance(x, TraceFeedback):
            return f"expected a TraceFeedback, got {type(x).__name__}"
        if not isinstance(x.graph, trace.TraceGraph) or not isinstance(x.feedback, Feedback):
            return f"expected (TraceGraph, Feedback), got ({type(x.graph).__name__}, {type(x.feedback).__name__})"
        return None

    def describe(self) -> str:
        """What an observation is."""
        return "a trace graph with its feedback"


class ExampleResult(NamedTuple):
    """What one example gave. `example` is its index in the split, or the example itself."""

    example: Any
    feedback: Feedback
    error: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """The trace oracle's answer for one set of parameters on one batch of examples.

    Attributes:
        score: Mean over the examples of the task's metric.
        reward: The same, higher is better.
        success: Whether every example is solved.
        feedback: The feedback, each part with its example where there are several.
        graph: How the outputs came to be.
        per_example: The results one by one.
        metrics: Plain data for the record; of the last example.
        error: The first example's error that has one, ``"(IndexError) ..."``, or None.
    """

    score: float
    reward: float
    success: bool
    feedback: Feedback
    graph: trace.TraceGraph
    per_example: tuple[ExampleResult, ...]
    metrics: Mapping[str, Any]
    error: str | None

    @property
    def observation(self) -> TraceFeedback:
        """What an agent sees of it."""
        return TraceFeedback(self.graph, self.feedback)


@dataclasses.dataclass(frozen=True, slots=True)
class Anchors:
    """Dated scores that scale a task's normalized score.

    Attributes:
        start: The start values' score on test (normalized 0), or None where it depends on the arguments.
        best: The best known score on test (normalized 1).
        dated: When they were measured, ``"2026-11"``.
        source: What reached the best.
    """

    start: float | None
    best: float
    dated: str
    source: str


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """All that an agent may know before it starts, as plain data: (Θ, ω) and the rules.

    Attributes:
        id: The environment's id.
        arguments: The environment's keyword arguments.
        objective: ω, what to achieve, in words.
        parameters: Θ.
        scores: (worst, best) of the task's metric.
        oracle_calls: After how many oracle calls the environment truncates, or None.
        feedback_kinds: The kinds of feedback that the environment gives.
        examples: Number of examples that an agent may ask for, by split.
        runtime: How code parameters run: their limits, and the functions of the task that they may call. "" without
            code parameters.
    """

    id: str
    arguments: Mapping[str, Any]
    objective: str
    parameters: tuple[Parameter, ...]
    scores: tuple[float, float]
    oracle_calls: int | None = None
    feedback_kinds: tuple[str, ...] = KINDS
    examples: Mapping[str, int] = dataclasses.field(default_factory=dict)
    runtime: str = ""

    @property
    def instruction(self) -> str:
        """What to achieve, and how code runs: what a prompt has to say of the problem, apart from its parameters."""
        return "\n".join(filter(None, [self.objective, self.runtime]))

    @property
    def start(self) -> dict[str, Any]:
        """The start values, a fresh copy."""
        return {p.name: copy.deepcopy(p.start) for p in self.parameters}

    def invalid_reasons(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with proposed values, by parameter; empty if nothing is."""
        reasons = {p.name: p.space.invalid_reason(parameters[p.name]) for p in self.parameters}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def why_not(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        """The old name of `invalid_reasons`, for one release."""
        warnings.warn("Problem.why_not is now called invalid_reasons", DeprecationWarning, stacklevel=2)
        return self.invalid_reasons(parameters)

    def to_json(self) -> str:
        """JSON text; `from_json` gives the problem back."""
        data = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        data["parameters"] = [p.to_dict() for p in self.parameters]
        return json.dumps(data, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Problem:
        """The inverse of `to_json`."""
        data = json.loads(text)
        data["parameters"] = tuple(map(Parameter.from_dict, data["parameters"]))
        data["scores"] = tuple(data["scores"])
        data["feedback_kinds"] = tuple(data["feedback_kinds"])
        return cls(**data)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the JSON form, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def normalized(score: float, floor: float, best: float, scale: str = "linear") -> float:
    """A score as 0 = `floor` (the start values') and 1 = `best` (the best known); not clipped.

    On the ``log`` scale by log(1 + distance to `best`), for scores that span orders of magnitude.
    """
    if floor == best:
        return 1.0 if score == best else 0.0
    if scale == "log":
        return 1.0 - math.log1p(abs(score - best)) / math.log1p(abs(floor - best))
    return (score - floor) / (best - floor)


OBJECTIVE = "Change the values of the variables to improve the output, in accordance with the feedback."


def space_of(parameter: Traced) -> ValueSpace:
    """The space of a parameter of one's own program, from its value.

    Raises:
        TraceError: If the value is no number, text or code.
    """
    value = parameter.data
    if isinstance(parameter, CodeParameter):
        return Code(signature(value), max_length=100_000)
    if isinstance(value, bool):
        return Choice([True, False])
    if isinstance(value, int | float):
        return Number(integer=isinstance(value, int))
    if isinstance(value, str):
        return Prompt(max_length=100_000)
    raise TraceError(
        f"the parameter {parameter.name!r} expected a number, text or code, got {type(value).__name__}: split it into "
        "several parameters"
    )


def signature(source: str) -> str:
    """``"act(map, plan)"`` of the last function that the source defines."""
    try:
        functions = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
        return f"{functions[-1].name}({ast.unparse(functions[-1].args)})"
    except (SyntaxError, IndexError) as e:
        raise TraceError(f"expected source that defines a function, got {source[:80]!r}") from e


def problem_of(parameters: Iterable[Traced], objective: str = OBJECTIVE) -> Problem:
    """The problem that a program's parameters pose."""
    described = tuple(
        Parameter(p.name, space_of(p), p.data, " ".join(t for t in (p.description, p.constraint) if t))
        for p in parameters
    )
    return Problem("program", {}, objective, described, (float("-1e300"), float("1e300")))
