"""A reader of the solutions that OPRO asks for: between tags, in JSON, or in brackets."""

from __future__ import annotations

import math
import re
from typing import Any

from ..problems import Problem
from ..spaces import Number, Permutation
from .proposals import Unusable, cast_value, read_suggestion


def read_solution(text: str, problem: Problem) -> dict[str, Any]:
    """The values in an answer, by the parameters' names: between tags, in JSON, or in the last brackets.

    Numbers for parameters that must be whole are rounded, as in OPRO's paper (Yang et al., ICLR 2024).

    Raises:
        Unusable: If there is no value, or one that is not in its parameter's space.
    """
    spaces = {p.name: p.space for p in problem.parameters}
    tag = re.compile(f"</?(?:{'|'.join(map(re.escape, spaces))})>")
    found: dict[str, Any] = {}
    for name in spaces:
        _, opened, rest = text.rpartition(f"<{name}>")
        if opened:
            found[name] = tag.split(rest, maxsplit=1)[0].strip()
    if not found:
        try:
            found = read_suggestion(text, problem)
        except Unusable:
            found = _bracketed(text, problem)
            if not found:
                raise
    values = {name: _rounded(cast_value(value, spaces[name], name), spaces[name]) for name, value in found.items()}
    for name, value in values.items():
        if (reason := spaces[name].invalid_reason(value)) is not None:
            raise Unusable(f"{name}: {reason}")
    return values


def _bracketed(text: str, problem: Problem) -> dict[str, Any]:
    """The values in the last brackets: of parameters that are all numbers ("[w=18, b=15]"), or of one permutation."""
    parameters = problem.parameters
    inside = re.findall(r"\[([^\[\]]*)\]", text)
    if not inside:
        return {}
    if len(parameters) == 1 and isinstance(parameters[0].space, Permutation):
        return {parameters[0].name: inside[-1]}
    given = [re.split("[=:]", part)[-1].strip() for part in inside[-1].split(",")]
    if len(given) == len(parameters) and all(isinstance(p.space, Number) for p in parameters):
        return {p.name: value for p, value in zip(parameters, given, strict=True)}
    return {}


def _rounded(value: Any, space: Any) -> Any:
    """A number rounded, if its parameter must be whole."""
    rounds = isinstance(space, Number) and space.integer and isinstance(value, float) and math.isfinite(value)
    return round(value) if rounds else value
