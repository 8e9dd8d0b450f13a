"""A reader of the solutions that OPRO asks for: between tags, in JSON, or in brackets."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from ..problems import Problem
from ..spaces import Number, Permutation
from .cuts import stands
from .lenient_json import find_objects
from .proposals import Unusable, answer_text, cast_value, read_suggestion


def read_solution(text: str, problem: Problem, *, cut: bool = False) -> dict[str, Any]:
    """The values in an answer, by the parameters' names: between tags, in JSON, or in the last brackets.

    Of several solutions the last counts. Numbers for parameters that must be whole are rounded, as in OPRO's paper
    (Yang et al., ICLR 2024).

    Args:
        text: The answer.
        problem: The problem.
        cut: Whether the answer ended by length. Then only what had closed before counts.

    Raises:
        Unusable: If there is no value, or one that is not in its parameter's space.
    """
    spaces = {p.name: p.space for p in problem.parameters}
    answer = answer_text(text, cut=cut, keep=list(spaces))
    tags = max((tag.start() for tag in _tags(list(spaces)).finditer(answer)), default=-1)
    objects = [o.end for o in find_objects(answer, list(spaces), cut=cut) if o.data is None or o.data]
    place, inside = _last_brackets(answer, problem)
    if place > max([tags, *objects]):  # of the forms, too, the last counts
        if cut and not stands(answer, place, answer.find("]", place) + 1):
            raise Unusable("the answer goes on after its values, which may be a draft")
        found = inside
    elif tags > max(objects, default=-1):
        found = _between_tags(answer, list(spaces), cut)
        if not found:
            raise Unusable("there is a closing tag, but no value before it")
    else:
        found = read_suggestion(answer, problem, cut=cut)
    values = {name: _rounded(cast_value(value, spaces[name], name), spaces[name]) for name, value in found.items()}
    for name, value in values.items():
        if (reason := spaces[name].invalid_reason(value)) is not None:
            raise Unusable(f"{name}: {reason}")
    return values


def _tags(names: list[str]) -> re.Pattern[str]:
    """The tags of some names: whether it closes, the name, and whether it has no content; attributes are ignored."""
    attributes = r"""(?:\s+[\w-]+=(?:"[^"<>]*"|'[^'<>]*'))*\s*"""
    return re.compile(rf"<(/?)({'|'.join(map(re.escape, names))}){attributes}(/?)>")


def _between_tags(text: str, names: list[str], cut: bool) -> dict[str, Any]:
    """The values between tags of the parameters' names; without a closing tag, a value ends at the next tag.

    A tag that never closes in the middle of a line is a mention of it, if there is a value otherwise.

    Raises:
        Unusable: If the answer was cut in a value, or where a value may have been replaced.
    """
    tags = list(_tags(names).finditer(text))
    found: dict[str, Any] = {}
    begin = end = 0
    for opened, after, own in _with_next(tags):
        if opened.start() < end or opened[1]:
            continue
        if opened[3]:
            raise Unusable(f"{opened[2]}: expected a value between tags, got {opened[0][:80]}")
        if own is not None and own[1]:
            found[opened[2]] = text[opened.end() : own.start()].strip()
            begin, end = (opened.start() if len(found) == 1 else begin), own.end()
        elif cut and after is None:
            raise Unusable(f"{opened[2]}: its value was cut")
        elif opened[2] not in found or not text[text.rfind("\n", 0, opened.start()) + 1 : opened.start()].strip():
            found[opened[2]] = text[opened.end() : after.start() if after else len(text)].strip()
    if cut and found and (set(names) - set(found) or not stands(text, begin, end)):
        raise Unusable("the answer goes on after its values, which may be a draft")
    if not found:
        raise Unusable("the answer has closing tags alone")
    return found


def _with_next(tags: list[re.Match[str]]) -> Iterator[tuple[re.Match[str], re.Match[str] | None, re.Match[str] | None]]:
    """Each tag with the next one, and the next one of its name."""
    own: list[re.Match[str] | None] = []
    following: dict[str, re.Match[str]] = {}
    for tag in reversed(tags):
        own.append(following.get(tag[2]))
        following[tag[2]] = tag
    yield from zip(tags, [*tags[1:], None], reversed(own), strict=False)


def _last_brackets(text: str, problem: Problem) -> tuple[int, dict[str, Any]]:
    """The place of the last brackets with values, and these; (-1, {}) where there are none.

    They are of parameters that are all numbers ("[w=18, b=15]"), or of one permutation.
    """
    parameters = problem.parameters
    order = len(parameters) == 1 and isinstance(parameters[0].space, Permutation)
    numbers = all(isinstance(p.space, Number) for p in parameters)
    if not order and not numbers:
        return -1, {}
    for match in reversed(list(re.finditer(r"\[([^\[\]]*)\]", text))[-20:]):
        given = [re.split("[=:]", part)[-1].strip() for part in match[1].split(",")]
        if order and len(re.findall(r"\d+", match[1])) > 1:
            return match.start(), {parameters[0].name: match[1]}
        if numbers and len(given) == len(parameters):
            return match.start(), {p.name: value for p, value in zip(parameters, given, strict=True)}
    return -1, {}


def _rounded(value: Any, space: Any) -> Any:
    """A number rounded, if its parameter must be whole."""
    rounds = isinstance(space, Number) and space.integer and isinstance(value, float) and math.isfinite(value)
    return round(value) if rounds else value
