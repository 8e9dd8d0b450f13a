"""Made-up answers of models, by which a rehearsal goes on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..agents.toolkit.moves import sample
from ..problems import Problem
from ..spaces import Code, Prompt

_INSTRUCTION = (
    "Read the question twice, write down what is given and what is asked for, work through it in small steps, check "
    "each step, and give the answer alone on the last line. Version"
)
_PROSE = (
    "The feedback says that the result is not yet as it should be. It follows from the values which were chosen in the "
    "step before: first one looks at what is given, then at each of the parts in turn, and adds up what they "
    "contribute. Compared with what was expected, the difference comes from one of them, for which a value is needed "
    "that is larger or smaller than the one in the run; the next run will show which."
)


class AnswerWriter:
    """Makes up answers: an optimizer's with new values for all parameters, a task's with a sentence or two.

    Args:
        problem: The problem.
        rng: The generator of the values.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        self._problem, self._rng, self._written = problem, rng, 0

    def proposal(self, prompt: str) -> str:
        """An answer to an optimizer's prompt: in JSON, which all agents of opto_gym read, or in tags if it says so."""
        self._written += 1
        values: dict[str, Any] = {"choice": 1}  # where the agent asks the model to choose between proposals
        for p in self._problem.parameters:
            if isinstance(p.space, Code):
                values[p.name] = f"{str(p.start).rstrip()}\n    # version {self._written}\n"
            elif isinstance(p.space, Prompt):
                values[p.name] = f"{p.start} {_INSTRUCTION} {self._written}"[-p.space.max_length :]
            else:
                values[p.name] = sample(p.space, p.start, self._rng)
        if "<variable>\n<name>" in prompt:
            blocks = (f"<variable>\n<name>{k}</name>\n<value>\n{v}\n</value>\n</variable>" for k, v in values.items())
            return "\n".join([f"<reasoning>{_PROSE}</reasoning>", *blocks])
        return json.dumps({"reasoning": _PROSE, "answer": "", "suggestion": values}, default=str)

    @staticmethod
    def reply(prompt: str) -> str:
        """A reply to a task's question."""
        return f"{_PROSE} The answer is 7."
