"""Readers of proposals: values for the parameters of a problem, in JSON or between tags."""

from __future__ import annotations

import ast
import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from ..problems import Problem
from ..spaces import Choice, Code, Number, Permutation, Prompt, ValueSpace

_DECODER = json.JSONDecoder(strict=False)  # line breaks inside strings are common


class Unusable(ValueError):
    """An answer without usable values; the message says why."""


def read_suggestion(text: str, problem: Problem, key: str = "suggestion") -> dict[str, Any]:
    """The values that an answer suggests, by the parameters' names; parameters that it does not name are missing.

    The answer should be a JSON object with the values under `key`, or the values themselves. Prose and code fences
    around it, trailing commas, single quotes and a missing end are accepted; unknown names are ignored.

    Args:
        text: The answer.
        problem: The problem.
        key: The name under which the values are.

    Raises:
        Unusable: If there is no value for any parameter, or one has another type than its parameter.
    """
    names = [p.name for p in problem.parameters]
    found = None
    for data in _objects(text):
        inner = data.get(key, data)
        if isinstance(inner, dict) and any(name in inner for name in names):
            found = inner
            break
    if found is None:
        found = _values_in_broken_json(text, names)
    if not found:
        raise Unusable(f"no value for {', '.join(names)} in the answer {_brief(text)}")
    return {p.name: cast_value(found[p.name], p.space, p.name) for p in problem.parameters if p.name in found}


_OPENED = re.compile(r"<variable>\s*<name>([^<>]*)</name>\s*<value>")
_CLOSED = re.compile(r"</value>\s*(?:</variable>|(?=<variable>)|\Z)")


def read_tags(text: str, problem: Problem) -> dict[str, Any]:
    """The values of an answer in tags, with ``<variable><name>x</name><value>5</value></variable>`` for each.

    The text in ``<reasoning>``, white space around a value, prose between the blocks and unknown names are ignored, and
    ``</variable>`` may be missing. Of two values for a name the later one counts.

    Args:
        text: The answer.
        problem: The problem.

    Raises:
        Unusable: If there is no value for any parameter, or one has another type than its parameter.
    """
    blocks = dict(_blocks(_without_reasoning(text)))
    if not any(p.name in blocks for p in problem.parameters):
        raise Unusable(f"no <variable> block for {', '.join(p.name for p in problem.parameters)} in {_brief(text)}")
    return {p.name: cast_value(blocks[p.name].strip(), p.space, p.name) for p in problem.parameters if p.name in blocks}


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The name and the value of each block.

    There are two patterns, since a single one for the whole block takes cubic time where it does not match.
    """
    at = 0
    while (opened := _OPENED.search(text, at)) and (closed := _CLOSED.search(text, opened.end())):
        yield opened[1].strip(), text[opened.end() : closed.start()]
        at = closed.end()


def _without_reasoning(text: str) -> str:
    before, closed, after = text.rpartition("</reasoning>")  # an opening tag after the last closing one is unclosed
    return re.sub(r"<reasoning>.*?</reasoning>", "", before + closed, flags=re.DOTALL) + after


def _objects(text: str) -> list[dict[str, Any]]:
    """The dictionaries in the whole answer, in its code fences, and between its outermost braces."""
    candidates = [text.strip()]
    candidates += re.findall(r"```(?:\w*)\n(.*?)```", text, re.DOTALL)
    if "{" in text and "}" in text:
        candidates.append(text[text.index("{") : text.rindex("}") + 1])
    found = []
    for c in (c for c in candidates if "{" in c):
        for read in (_DECODER.decode, _without_trailing_commas, _python_literal):
            try:
                data = read(c)
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                continue
            if isinstance(data, dict):
                found.append(data)
                break
    return found


def _without_trailing_commas(text: str) -> Any:
    return _DECODER.decode(re.sub(r",(\s*[}\]])", r"\1", text))


def _python_literal(text: str) -> Any:
    """A Python literal as JSON data; JSON has no sets, no bytes and no numbers of more than 4,300 digits."""
    return json.loads(json.dumps(ast.literal_eval(text)))


def _values_in_broken_json(text: str, names: list[str]) -> dict[str, Any]:
    """The values after ``"name":``, for an object that can't be parsed as a whole."""
    found = {}
    for name in names:
        places = re.finditer(rf"[\"']?\b{re.escape(name)}\b[\"']?\s*:\s*", text)
        # The last value counts. Trying all places takes quadratic time, since errors of the json module count lines.
        for match in deque(places, maxlen=100):
            try:
                found[name] = _DECODER.raw_decode(text, match.end())[0]
            except (ValueError, RecursionError):
                continue
    return found


def cast_value(value: Any, space: ValueSpace, name: str) -> Any:
    """A value converted to the type of its parameter; it need not be in the space, which the oracle checks.

    Args:
        value: JSON data.
        space: The parameter's space.
        name: The parameter's name, for the errors.

    Raises:
        Unusable: If it has another type.
    """
    try:
        return _cast(recordable(value), space, name)
    except RecursionError:  # while it is formatted for an error
        raise Unusable(f"{name}: expected {space.describe()}, got lists too deep to show") from None


def _cast(value: Any, space: ValueSpace, name: str) -> Any:
    if isinstance(space, Number):
        return _number(value, space, name)
    if isinstance(space, Choice):
        same = [o for o in space.options if o == value or str(o) == str(value)]
        if not same and not isinstance(value, str | int | float):
            raise Unusable(f"{name}: expected one of {space.options}, got {_brief(value)}")
        return same[0] if same else value
    if isinstance(space, Permutation):
        return _permutation(value, name)
    if isinstance(space, Prompt):
        if isinstance(value, int | float) and not isinstance(value, bool) and not isinstance(space, Code):
            return str(value)
        if not isinstance(value, str):
            raise Unusable(f"{name}: expected text, got {_brief(value)}")
        return without_fences(value) if isinstance(space, Code) else value
    return value


def recordable(value: Any) -> Any:
    """JSON data whose texts can be encoded as UTF-8: pairs of surrogates are joined, and lone ones replaced.

    Raises:
        RecursionError: If it is nested too deeply.
    """
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [recordable(part) for part in value]
    if isinstance(value, dict):
        return {recordable(name): recordable(part) for name, part in value.items()}
    return value


def _number(value: Any, space: Number, name: str) -> int | float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            pass
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(f"{name}: expected a number, got {_brief(value)}")
    if space.integer:
        return int(value) if isinstance(value, float) and value.is_integer() else value
    try:
        return float(value)
    except OverflowError:
        return value


def _permutation(value: Any, name: str) -> list[Any]:
    """A list of whole numbers, which models often write as text: "0, 3, 1" or "0 -> 3 -> 1"."""
    if isinstance(value, str):
        value = [int(k) for k in re.findall(r"\d{1,9}", value)]
    numbers = isinstance(value, list) and all(isinstance(k, int | float) for k in value)
    if not numbers or not value:
        raise Unusable(f"{name}: expected a list of whole numbers, got {_brief(value)}")
    return [int(k) if isinstance(k, float) and k.is_integer() else k for k in value]


def without_fences(code: str) -> str:
    """Code without the fence that models often put around it."""
    match = re.fullmatch(r"\s*```(?:\w*)\n(.*?)\n?```\s*", code, re.DOTALL)
    return match.group(1) + "\n" if match else code


def schema(problem: Problem, key: str = "suggestion", reasoning: bool = True) -> dict[str, Any]:
    """A JSON schema for the answer: short reasoning, then a value for every parameter.

    Args:
        problem: The problem.
        key: The name under which the values are.
        reasoning: Whether the answer has reasoning.
    """
    types: dict[str, Any] = {}
    for p in problem.parameters:
        if isinstance(p.space, Number):
            types[p.name] = {"type": "integer" if p.space.integer else "number"}
        elif isinstance(p.space, Choice):
            types[p.name] = {"enum": p.space.options}
        elif isinstance(p.space, Permutation):
            types[p.name] = {"type": "array", "items": {"type": "integer"}}
        else:
            types[p.name] = {"type": "string"}
    values = {"type": "object", "properties": types, "required": list(types), "additionalProperties": False}
    parts: dict[str, Any] = {"reasoning": {"type": "string", "maxLength": 300}} if reasoning else {}
    parts[key] = values
    return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}


def _brief(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 120 else text[:117] + "..."
