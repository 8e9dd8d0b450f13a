"""`from_function`: an environment made of a user's traced program."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..core import OptoEnv, Parameters
from ..problems import OBJECTIVE, Feedback, Parameter, Part, Problem, space_of
from ..spaces import ValueSpace
from ..trace import CodeParameter
from ..trace import Parameter as Traced
from ..trace.parameters import Executor

Judge = Callable[[Any, Any], Feedback | float | tuple[float, str]]
"""``judge(output's value, example)`` -> `Feedback`, a score, or (score, text)."""

# Held while a program runs, since its own parameters hold the proposed values then.
_RUNNING = threading.RLock()


class FunctionEnv(OptoEnv):
    """The environment that `from_function` makes."""

    def __init__(
        self,
        program: Callable[..., Any],
        judge: Judge,
        traced: Sequence[Traced],
        spaces: Mapping[str, ValueSpace],
        examples: Sequence[Any],
        test: Sequence[Any],
        *,
        objective: str,
        scores: tuple[float, float],
        batch: int,
        name: str,
        sandbox: bool,
        oracle_calls: int | None,
    ) -> None:
        self.objective, self.scores, self.batch, self.name = objective, scores, batch, name
        self.splits = {"train": list(examples), "test": list(test)}
        self.overlapping_splits = test is examples  # the default of `from_function`
        self.instance = len(examples) == 1 and list(test) == list(examples)
        self.ends_when_solved = self.instance
        self.parameters = tuple(
            Parameter(q.name, spaces.get(q.name) or space_of(q), q.data, f"{q.description} {q.constraint}".strip())
            for q in traced
        )
        self._program, self._judge, self._traced_parameters, self._sandbox = program, judge, list(traced), sandbox
        super().__init__(oracle_calls=oracle_calls)

    @property
    def problem(self) -> Problem:
        """What an agent may know, as plain data."""
        return dataclasses.replace(super().problem, id=self.name)

    @property
    def runs_code(self) -> bool:
        """Whether there are parameters of kind code that run in the sandbox."""
        return self._sandbox and super().runs_code

    def forward(self, p: Parameters, example: Any) -> Any:
        """Runs the program on one example, while its own parameters hold the proposed values."""
        with _RUNNING:
            own_values: list[tuple[Traced, Any, Any]] = [
                (q, q._current, getattr(q, "_executor", None)) for q in self._traced_parameters
            ]
            try:
                for q in self._traced_parameters:
                    q._current = p[q.name].node
                    if self._sandbox and isinstance(q, CodeParameter):
                        q._executor = _without_self(p[q.name]._executor, q._executor)
                return self._program() if example is None else self._program(example)
            finally:
                for q, current, executor in own_values:
                    q._current = current
                    if isinstance(q, CodeParameter):
                        q._executor = executor

    def judge(self, output: Any, example: Any) -> Feedback:
        """What the caller's `judge` returns, as feedback."""
        result = self._judge(output, example)
        if isinstance(result, Feedback):
            return result
        score, text = result if isinstance(result, tuple) else (result, f"The score is {result}.")
        solved = self.reward(score) >= self.reward(self.scores[1])
        return Feedback(float(score), (Part("reward", text),), solved)


def _without_self(sandboxed: Executor, own: Any) -> Executor:
    """The executor of a method in the sandbox, where its ``self`` is None since the object stays in this process."""
    if getattr(own, "self_argument", None) is None:
        return sandboxed
    return lambda source, args: sandboxed(source, (None, *args))


def _parameters_of(program: Any) -> list[Traced]:
    """The program itself if it is a parameter, else the parameters of the model that it is or is a method of."""
    if isinstance(program, Traced):
        return [program]
    own = getattr(getattr(program, "__self__", program), "parameters", None)
    return list(own()) if callable(own) else []


def from_function(
    program: Callable[..., Any],
    judge: Judge,
    *,
    parameters: Iterable[Traced] | None = None,
    spaces: Mapping[str, ValueSpace] | None = None,
    examples: Sequence[Any] = (None,),
    test: Sequence[Any] | None = None,
    objective: str = OBJECTIVE,
    scores: tuple[float, float] = (0.0, 1.0),
    batch: int = 1,
    name: str | None = None,
    oracle_calls: int | None = None,
    sandbox: bool = True,
) -> OptoEnv:
    """An environment from a traced program.

    The program is not copied: an evaluation puts the proposed values into its parameters, and restores their own values
    at its end. Evaluations run one at a time. The environment can't be pickled; build one in each worker process.

    Args:
        program: An object of a `trace.model` class, a method of one, or any function. It is called with an example
            (without arguments where the example is None) and returns the output node.
        judge: ``judge(output's value, example)`` -> `Feedback`, a score, or (score, text). A score as good as the best
            of `scores` solves the example.
        parameters: The program's parameters; by default the model's ``.parameters()``.
        spaces: Spaces by parameter name. The others follow from the type of the value: any number, any text, code of
            the same signature.
        examples: Training examples, plain data.
        test: Held-out examples; by default the training examples.
        objective: What to achieve, in words.
        scores: (worst, best).
        batch: Examples per oracle call.
        name: The id of the problem; by default the name of the program.
        oracle_calls: The number of steps after which an episode is truncated; None for no limit.
        sandbox: Whether code parameters run in the sandbox, where they have nothing but their own source: no globals
            of the program's module, and None for ``self``. False runs them in this process, without limits.

    Raises:
        TypeError: If there are no parameters, or `spaces` names a parameter that does not exist.
    """
    traced = _parameters_of(program) if parameters is None else list(parameters)
    if not traced:
        raise TypeError("from_function() expected parameters: give parameters=[...], or a program with .parameters()")
    unknown = sorted(set(spaces or ()) - {q.name for q in traced})
    if unknown:
        raise TypeError(f"from_function() expected spaces of {[q.name for q in traced]}, got {unknown}")
    return FunctionEnv(
        program,
        judge,
        traced,
        spaces or {},
        examples,
        examples if test is None else test,
        objective=objective,
        scores=scores,
        batch=batch,
        name=name or str(getattr(program, "__name__", type(program).__name__)),
        sandbox=sandbox,
        oracle_calls=oracle_calls,
    )
