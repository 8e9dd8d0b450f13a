"""A program of one's own as an environment."""

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

_RUNNING = threading.RLock()  # while a program runs, its own parameters hold the proposed values


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
        """The program on one example, with the proposed values in its own parameters."""
        with _RUNNING:
            kept: list[tuple[Traced, Any, Any]] = [
                (q, q._current, getattr(q, "_executor", None)) for q in self._traced_parameters
            ]
            try:
                for q in self._traced_parameters:
                    q._current = p[q.name].node
                    if self._sandbox and isinstance(q, CodeParameter):
                        q._executor = _outside(p[q.name]._executor, q._executor)
                return self._program() if example is None else self._program(example)
            finally:
                for q, current, executor in kept:
                    q._current = current
                    if isinstance(q, CodeParameter):
                        q._executor = executor

    def judge(self, output: Any, example: Any) -> Feedback:
        """The caller's judgement."""
        said = self._judge(output, example)
        if isinstance(said, Feedback):
            return said
        score, text = said if isinstance(said, tuple) else (said, f"The score is {said}.")
        solved = self.reward(score) >= self.reward(self.scores[1])
        return Feedback(float(score), (Part("reward", text),), solved)


def _outside(sandboxed: Executor, own: Any) -> Executor:
    """In the sandbox a method's ``self`` is None: the object stays on this side."""
    if getattr(own, "self_argument", None) is None:
        return sandboxed
    return lambda source, args: sandboxed(source, (None, *args))


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

    The program is not copied: one evaluation at a time puts the proposed values into its parameters, and their own
    values back. So the environment can't be pickled; in worker processes, build it anew.

    Args:
        program: Called with an example (with nothing where that is None), returns the output node. An object of a
            `trace.model` class, a method of one, or any function.
        judge: ``judge(output's value, example)`` -> `Feedback`, a score, or (score, text). A score as good as the best
            of `scores` solves the example.
        parameters: The program's parameters; by default the model's ``.parameters()``.
        spaces: By parameter name, where the space that follows from the value's type (any number, any text, code of the
            same signature) is too wide.
        examples: Training examples, plain data.
        test: Held-out examples; by default the training examples.
        objective: What to achieve, in words.
        scores: (worst, best).
        batch: Examples an oracle call.
        name: The problem's id; by default the program's own name.
        oracle_calls: After how many steps an episode is truncated; None for never.
        sandbox: Run code parameters in the sandbox, where they see nothing but their own source: no globals of this
            module, and None for ``self``. False runs them in this very process without limits.

    Raises:
        TypeError: If there are no parameters, or `spaces` names others.
    """
    model: Any = getattr(program, "__self__", program)
    if parameters is None:
        if isinstance(program, Traced):
            parameters = [program]
        elif callable(own := getattr(model, "parameters", None)):
            parameters = own()
    traced = list(parameters or ())
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
