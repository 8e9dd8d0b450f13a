"""One evaluation of a set of parameters: runs its examples and combines their results.

Where a model is inside the task, the examples run side by side, each with a candidate process of its own; the results
are those of running them one by one.

The values of a proposal may be bad: a value outside its space, code that raises an exception, or an answer that the
environment's code can't use. Such a value gives feedback on an error node, with the worst score. A bug in the
environment's own code is raised.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from . import trace
from .errors import OptoGymError, SandboxKilled, TraceError
from .llm.record import add_call_keys, calls_of_example
from .problems import KINDS, Evaluation, ExampleResult, Feedback, Parameter, Part
from .sandbox.candidate import Candidate
from .sandbox.process import interrupted_by
from .spaces import Code
from .utils.ahead import results_ahead
from .utils.moved import moved_names

if TYPE_CHECKING:
    from .core import OptoEnv

T = TypeVar("T")

CAUSED_BY_VALUES = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""The exceptions that a bad value can cause in the environment's code; any other exception is a bug in that code."""

TIMEOUTS_IN_A_ROW = 3
"""The number of consecutive examples stopped by a time limit after which the remaining examples count as stopped, too.

Without it, code with an endless loop would take the full time limit on every example of a split.
"""

ATTEMPTS = 3
"""How often an example is evaluated before it is the machine's fault that something kills its code's process."""

_on_example: contextvars.ContextVar[Callable[[int, int], None]] = contextvars.ContextVar("on_example")


@contextlib.contextmanager
def watched_evaluations(
    on_example: Callable[[int, int], None], look: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Calls functions during the evaluations that are made in the block, in this thread.

    Args:
        on_example: Called after each of several examples with (number of examples done, number of examples) of the
            evaluation.
        look: Called after each example, and several times a second while proposed code runs. What it raises ends the
            evaluation.
    """

    def after_example(done: int, number: int) -> None:
        on_example(done, number)
        look()

    token = _on_example.set(after_example)
    try:
        with interrupted_by(look):
            yield
    finally:
        _on_example.reset(token)


class Parameters(dict[str, Any]):
    """The parameters as `OptoEnv.forward` receives them: ``p.act(map)`` or ``p["x0"]``."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the problem has the parameters {list(self)}, not {name!r}") from None


class Outcome(NamedTuple):
    """What one example gave.

    Attributes:
        example: Its index in the split, or the example itself.
        output: The output node; an error node if the run broke off.
        feedback: The feedback on it.
    """

    example: Any
    output: trace.Node
    feedback: Feedback

    @property
    def error(self) -> str | None:
        """``"(IndexError) message"`` if the output is an error node, else None."""
        return str(self.output.data) if self.output._op.kind == "error" else None

    @property
    def timed_out(self) -> bool:
        """Whether a time limit stopped the example's code."""
        return (self.error or "").startswith("(TimeLimit)")


def evaluate(env: OptoEnv, values: Mapping[str, Any], split: str, examples: Sequence[Any]) -> Evaluation:
    """Runs values on examples.

    Args:
        env: The environment.
        values: A value for every parameter, good or bad.
        split: The split that indices among the examples point into.
        examples: Indices and examples, at least one.
    """
    code = {q.space.function: values[q.name] for q in env.parameters if isinstance(q.space, Code)}
    reasons = ((q.name, q.space.invalid_reason(values[q.name])) for q in env.parameters)
    invalid = "; ".join(f"{name}: {reason}" for name, reason in reasons if reason is not None)
    outcomes: list[Outcome] = []
    on_example = _on_example.get(None) if len(examples) > 1 else None
    with Candidate(code if env.runs_code else {}, env.host) as candidate:
        p = Parameters((q.name, _traced(q, values[q.name], candidate)) for q in env.parameters)

        def run(place: int) -> tuple[Outcome, list[str]]:
            if invalid:
                error = trace.error_node(ValueError(invalid), (invalid, *p.values()), "check")
                return _failed(env, examples[place], error), []
            return _again_if_killed(lambda: run_once(place))

        def run_once(place: int) -> tuple[Outcome, list[str]]:
            candidate.restart()  # nothing is remembered from one example to the next
            with calls_of_example(place) as keys:
                return _run(env, values, p, split, examples[place]), keys

        workers = 1 if invalid or not env.uses_model else min(len(examples), env.llm.concurrency)
        with results_ahead(run, range(len(examples)), workers) as results:
            for example in examples:
                if len(outcomes) >= TIMEOUTS_IN_A_ROW and all(o.timed_out for o in outcomes[-TIMEOUTS_IN_A_ROW:]):
                    outcomes.append(outcomes[-1]._replace(example=example))
                else:
                    outcome, keys = next(results)
                    outcomes.append(outcome)
                    add_call_keys(keys)
                if on_example is not None:
                    on_example(len(outcomes), len(examples))
    return joined(outcomes, p.values(), env.reward)


def _again_if_killed(evaluation: Callable[[], T]) -> T:
    """What the evaluation of an example returns; it is made again while the machine kills its code's process.

    Raises:
        SandboxKilled: If that happens `ATTEMPTS` times.
    """
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(SandboxKilled):
            return evaluation()
    return evaluation()


def _traced(q: Parameter, value: Any, candidate: Candidate) -> trace.Parameter:
    """A parameter's value in the trace; code is called in the candidate's process."""
    if isinstance(q.space, Code) and isinstance(value, str):
        run = candidate.executor(q.space.function)
        return trace.CodeParameter(value, q.name, run, q.description, q.space.describe())
    return trace.Parameter(value, q.name, q.description, q.space.describe())


def _run(env: OptoEnv, values: Mapping[str, Any], p: Parameters, split: str, example: Any) -> Outcome:
    """Runs one example."""
    case = env.splits[split][example] if type(example) is int else example
    try:
        output = env.forward(p, case)
        output, feedback = output if isinstance(output, tuple) else (output, None)
        if isinstance(output, trace.Parameter):
            output = output.node
        if not isinstance(output, trace.Node):
            raise TraceError(
                f"{type(env).__name__}.forward expected to return a node, or (node, Feedback), "
                f"got {type(output).__name__}"
            )
        return Outcome(example, output, _checked(env, feedback or env.judge(output.data, case)))
    except trace.ExecutionError as e:
        error = e.exception_node
    except CAUSED_BY_VALUES as e:
        if isinstance(e, OptoGymError) or _fails_at_start(env, values, split, example):
            raise
        error = trace.error_node(e, p.values(), "forward")
    return _failed(env, example, error)


def _fails_at_start(env: OptoEnv, values: Mapping[str, Any], split: str, example: Any) -> bool:
    """Whether the start values break the author's code too: then it is the author's bug, and not the proposal's."""
    start = env.problem.start
    if values == start:
        return True
    try:
        evaluate(env, start, split, [example])
    except CAUSED_BY_VALUES:
        return True
    return False


def _failed(env: OptoEnv, example: Any, error: trace.Node) -> Outcome:
    """An example that broke off in an error node: the feedback is the error's text, with the worst score."""
    feedback = Feedback(env.scores[0], (Part("hindsight_negative", str(error.data)),))
    return Outcome(example, error, _checked(env, feedback))


def _checked(env: OptoEnv, feedback: Feedback) -> Feedback:
    """Feedback with its reward, and with the kinds of parts that are wanted. A score that isn't finite is the worst.

    Raises:
        TraceError: For a part whose kind is not one of `problems.KINDS`.
    """
    score, parts, success = float(feedback.score), feedback.parts, feedback.success
    if not math.isfinite(score):
        message = f"The score is {score}, which counts as {env.scores[0]:g}."
        score, parts, success = float(env.scores[0]), (*parts, Part("hindsight_negative", message)), False
    for part in parts:
        if part.kind not in KINDS:
            raise TraceError(f"{type(env).__name__}: expected feedback of a kind in {KINDS}, got {part.kind!r}")
    if env.kept_kinds is not None:
        parts = tuple(part for part in parts if part.kind in env.kept_kinds)
    return dataclasses.replace(feedback, score=score, reward=env.reward(score), parts=parts, success=success)


def joined(
    outcomes: Sequence[Outcome], parameters: Iterable[trace.Parameter], reward: Callable[[float], float]
) -> Evaluation:
    """The evaluation of a batch: the mean score, all feedback, and one graph of all outputs.

    Args:
        outcomes: One for each example.
        parameters: The parameters, which the graph shows whether they were reached or not.
        reward: Turns a score so that higher is better.
    """
    output, feedback = outcomes[0].output, outcomes[0].feedback
    if len(outcomes) > 1:
        output = trace.batch([outcome.output for outcome in outcomes])
        feedback = _joined_feedback([outcome.feedback for outcome in outcomes], reward)
    results = tuple(ExampleResult(o.example, dataclasses.replace(o.feedback, metrics={}), o.error) for o in outcomes)
    return Evaluation(
        feedback.score,
        feedback.reward,
        feedback.success,
        dataclasses.replace(feedback, metrics={}),
        trace.backward(output, parameters),
        results,
        dict(outcomes[-1].feedback.metrics),
        next((result.error for result in results if result.error), None),
    )


def _joined_feedback(feedbacks: Sequence[Feedback], reward: Callable[[float], float]) -> Feedback:
    score = math.fsum(f.score for f in feedbacks) / len(feedbacks)
    parts = tuple(part._replace(example=k) for k, f in enumerate(feedbacks) for part in f.parts)
    return Feedback(score, parts, all(f.success for f in feedbacks), reward(score), tuple(f.reward for f in feedbacks))


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(__name__, {"PATIENCE": "evaluation:TIMEOUTS_IN_A_ROW"})
