"""The base class of black-box search over numbers and choices by libraries, which sees the rewards alone.

All minimize minus the reward, and know the reward of the start values at first, which costs no oracle call. Numbers
without bounds are searched within 1,000 of zero, the range from which their space samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..agents.base import Agent, Values
from ..problems import Parameter, Problem
from ..spaces import REACH, Choice, Number
from ..utils.moved import moved_names


def reach(space: Number) -> tuple[float, float]:
    """Finite bounds of a number, which are whole where the number must be."""
    low, high = max(space.low, min(-REACH, space.high - REACH)), min(space.high, max(REACH, space.low + REACH))
    return (math.ceil(low), math.floor(high)) if space.integer else (low, high)


class Search(Agent):
    """An agent that searches numbers and choices.

    Attributes:
        chooses: Whether it works on choices.
        least: The smallest number of parameters that it works on.
    """

    chooses: ClassVar[bool] = True
    least: ClassVar[int] = 1

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if a parameter is of another kind, or there are too few parameters; else None."""
        kinds = (Number, Choice) if cls.chooses else (Number,)
        if not all(isinstance(p.space, kinds) for p in problem.parameters):
            return f"{cls.__name__} needs parameters that are numbers{' or choices' if cls.chooses else ''}"
        if len(problem.parameters) < cls.least:
            return f"{cls.__name__} needs {cls.least} parameters or more"
        return None

    def _seed(self) -> int:
        """A seed for a library's generator."""
        return int(self.rng.integers(2**31 - 1))

    def _numbers(self) -> tuple[Any, Any, Any]:
        """The lower bounds, the upper bounds and the start values as arrays; all parameters must be numbers."""
        bounds: list[tuple[float, float]] = [reach(p.space) for p in self.problem.parameters]  # type: ignore[arg-type]
        low, high = np.array(bounds, dtype=float).T
        return low, high, np.clip([float(p.start) for p in self.problem.parameters], low, high)

    def _values(self, x: Sequence[Any]) -> Values:
        return {p.name: parameter_value(p, v) for p, v in zip(self.problem.parameters, x, strict=True)}


def parameter_value(p: Parameter, x: Any) -> Any:
    """A library's value as a value of the parameter: a number within its bounds, or the option of that index."""
    if isinstance(p.space, Choice):
        return p.space.options[int(x)]
    assert isinstance(p.space, Number)
    low, high = reach(p.space)
    return int(min(max(round(float(x)), low), high)) if p.space.integer else float(min(max(float(x), low), high))


def library_value(p: Parameter, value: Any) -> Any:
    """A parameter's value as the library has it: the number, or the index of the option."""
    return p.space.options.index(value) if isinstance(p.space, Choice) else value


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "CMAES": "baselines.cmaes",
            "GaussianProcess": "baselines.gaussian_process",
            "Grid": "baselines.grid",
            "PSO": "baselines.pso",
            "TPE": "baselines.tpe",
            "fair_counts": "baselines.grid",
        },
    )
