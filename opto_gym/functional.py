"""A program of one's own as an environment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .core import Evaluation, Feedback, OptoEnv, Parameter, Parameters, Part
from .optim import OBJECTIVE, signature, space_of
from .trace import CodeParameter
from .trace import Parameter as Traced

Judge = Callable[[Any, Any], "Feedback | float | tuple[float, str]"]


class FunctionEnv(OptoEnv):
    """The environment that `from_function` makes."""

    def __init__(
        self,
        program: Callable[..., Any],
        judge: Judge,
        traced: Sequence[Traced],
        examples: Sequence[Any],
        test: Sequence[Any],
        objective: str,
        scores: tuple[float, float],
        batch: int,
        sandbox: bool,
        **keywords: Any,
    ) -> None:
        self.objective, self.scores, self.batch = objective, scores, batch
        self.splits = {"train": list(examples), "test": list(test)}
        self.instance = len(examples) == 1 and list(test) == list(examples)
        self.parameters = tuple(Parameter(p.name, space_of(p), p.data, p.description) for p in traced)
        self._program, self._judge, self._mine, self._sandbox = program, judge, list(traced), sandbox
        self._lock = threading.RLock()  # the program's own parameters are set while it runs
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """The program on one example, with the proposed values in its own parameters."""
        with self._lock:
            kept = [(q._current, getattr(q, "_executor", None)) for q in self._mine]
            try:
                for q in self._mine:
                    q._current = p[q.name].node
                    if self._sandbox and isinstance(q, CodeParameter):
                        q._executor = _without_self(p[q.name]._executor, q)
                return self._program() if example is None else self._program(example)
            finally:
                for q, (current, executor) in zip(self._mine, kept, strict=True):
                    q._current = current
                    if isinstance(q, CodeParameter) and executor is not None:
                        q._executor = executor

    def judge(self, output: Any, example: Any) -> Feedback:
        """The caller's judgement."""
        said = self._judge(output, example)
        if isinstance(said, Feedback):
            return said
        score, text = said if isinstance(said, tuple) else (said, f"The score is {said}.")
        return Feedback(float(score), (Part("reward", text),), score == self.scores[1])

    def evaluate(self, *args: Any, **keywords: Any) -> Evaluation:
        """As `OptoEnv.evaluate`; one evaluation at a time, since the program is one object."""
        with self._lock:
            return super().evaluate(*args, **keywords)

    def __deepcopy__(self, memo: dict[int, Any]) -> FunctionEnv:
        return self


def _without_self(executor: Any, parameter: CodeParameter) -> Any:
    """In the sandbox a method's ``self`` is None: the object stays on this side."""
    method = signature(parameter.data).split("(", 1)[1].startswith("self")
    return (lambda source, args: executor(source, (None, *args))) if method else executor


def from_function(
    program: Callable[..., Any],
    judge: Judge,
    *,
    parameters: Iterable[Traced] | None = None,
    examples: Sequence[Any] = (None,),
    test: Sequence[Any] | None = None,
    objective: str = OBJECTIVE,
    scores: tuple[float, float] = (0.0, 1.0),
    batch: int = 1,
    sandbox: bool = True,
    **keywords: Any,
) -> OptoEnv:
    """An environment from a traced program.

    Args:
        program: Called with an example (with nothing where that is None), returns the output node. An object of a
            `trace.model` class, or any function.
        judge: ``judge(output's value, example)`` -> `Feedback`, a score, or (score, text).
        parameters: The program's parameters; by default ``program.parameters()``.
        examples: Training examples, plain data.
        test: Held-out examples; by default the training examples.
        objective: What to achieve, in words.
        scores: (worst, best).
        batch: Examples an oracle call.
        sandbox: Run code parameters in the sandbox, with ``self`` as None and nothing but the source; else in this very
            process.
        keywords: ``oracle_calls``.

    Raises:
        TypeError: If there are no parameters.
    """
    own: Any = getattr(program, "parameters", None)
    if parameters is None and callable(own):
        parameters = own()
    traced = list(parameters or ())
    if not traced:
        raise TypeError("from_function() expected parameters: give parameters=[...], or a program with .parameters()")
    given = examples if test is None else test
    return FunctionEnv(program, judge, traced, examples, given, objective, scores, batch, sandbox, **keywords)
