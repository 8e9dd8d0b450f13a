"""Readers of proposals: values for the parameters of a problem, in JSON or between tags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ..problems import Problem
from ..spaces import Choice, Code, Number, Permutation, Prompt, ValueSpace
from .code import read_bare_code, read_code
from .cuts import is_draft, stands
from .lenient_json import FoundObject, find_objects
from .no_change import is_terminate
from .reasoning import without_reasoning

_PARTS = ("reasoning", "answer", "thoughts", "explanation")  # of an answer, beside its values


class Unusable(ValueError):
    """An answer without usable values; the message says why."""


def read_suggestion(text: str, problem: Problem, key: str = "suggestion", *, cut: bool = False) -> dict[str, Any]:
    """The values that an answer suggests, by the parameters' names; parameters that it does not name are missing.

    The answer should be a JSON object with the values under `key`, or the values themselves. What `lenient_json`
    accepts is accepted, and for code also a fenced block that defines the parameter's function. The model's reasoning
    and unknown names are ignored. Of several objects the last counts: where it can't be read, or lacks its end in an
    answer that was cut, an earlier one is a draft. The value TERMINATE leaves its parameter as it is.

    Args:
        text: The answer.
        problem: The problem.
        key: The name under which the values are.
        cut: Whether the answer ended by length. Then only an object that had closed before counts.

    Raises:
        Unusable: If there is no value for any parameter, or one that can't be read or has another type than its
            parameter.
    """
    names = [p.name for p in problem.parameters]
    answer = answer_text(text, cut=cut, keep=names)
    values = _suggested(answer, names, key, cut)
    if values is None:
        values = read_bare_code(answer, problem, cut=cut)
    if not values:
        raise Unusable(f"no value for {', '.join(names)} in the answer {_brief(text)}")
    return {
        p.name: cast_value(values[p.name], p.space, p.name)
        for p in problem.parameters
        if p.name in values and not is_terminate(values[p.name])
    }


def answer_text(text: str, *, cut: bool, keep: list[str]) -> str:
    """An answer without the model's reasoning; `keep` names tags that are the answer's own.

    Raises:
        Unusable: If there is nothing else.
    """
    rest = without_reasoning(text, cut=cut, keep=keep)
    if text.strip() and not rest.strip():
        raise Unusable(f"there is only reasoning, and no answer after it, in {_brief(text)}")
    return rest


def _suggested(text: str, names: list[str], key: str, cut: bool) -> dict[str, Any] | None:
    """The values in the last of a text's objects that has some; None where there is no such object.

    Raises:
        Unusable: If the last one can't be read, or had not closed before a cut.
    """
    found = find_objects(text, [key, *names, *_PARTS], cut=cut)
    answers = [(place, values) for place in found if (values := _values_in(place, names, key)) is not None]
    if not answers:
        encoded = _decoded(text)
        return None if encoded is None else _suggested(encoded, names, key, cut)
    keyed = [answer for answer in answers if answer[0].data is None or _under(answer[0].data, key) is not None]
    place, values = (keyed or answers)[-1]
    if place.problem is not None:
        ends = " before it ended" if cut and place.end == len(text) else ""
        raise Unusable(f"the last JSON object can't be read{ends}: {place.problem}")
    if cut and not stands(text, place.start, place.end):
        raise Unusable(f"the answer goes on after {_brief(text[place.start : place.end])}, which may be a draft")
    return values


def _values_in(place: FoundObject, names: list[str], key: str) -> dict[str, Any] | None:
    """The values that an object suggests; None where it is not an answer, {} where it can't be read or has none."""
    if place.data is None:
        return {}
    inner = _under(place.data, key)
    data = place.data if inner is None else inner
    if isinstance(data, str):
        decoded = [o.data for o in find_objects(data, names) if o.data is not None]
        data = decoded[-1] if decoded else {}
    if isinstance(data, list) and data and all(isinstance(pair, dict) for pair in data):
        pairs = [pair for pair in data if isinstance(pair.get("name"), str) and "value" in pair]
        data = {pair["name"]: pair["value"] for pair in pairs} if len(pairs) == len(data) else data[-1]
    if isinstance(data, dict) and any(name in data for name in names):
        return data
    return None if inner is None else {}


def _under(data: dict[str, Any], key: str, depth: int = 2) -> Any:
    """What an object, or one inside of it, holds under a name in any case; None if nothing."""
    called, given = data.get("name"), data.get("arguments", data.get("parameters"))
    if isinstance(called, str) and called.strip().lower() == key.lower() and given is not None:  # a tool call as text
        return given
    for name, value in data.items():
        if name.strip().lower() == key.lower():
            return {} if value is None else value
    for value in data.values():
        if depth and isinstance(value, dict) and (inner := _under(value, key, depth - 1)) is not None:
            return inner
    return None


def _decoded(text: str) -> str | None:
    """The text in an answer that was encoded as a JSON string once too often, or None."""
    stripped = text.strip()
    if not re.match(r"\"?\s*\{\s*\\", stripped):
        return None
    try:
        decoded = json.loads(stripped if stripped.startswith('"') else f'"{stripped}"', strict=False)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, str) else None


_ATTRIBUTES = r"""(?:\s+[\w-]+=(?:"[^"<>]*"|'[^'<>]*'))*\s*"""
_OPENED = re.compile(
    rf"<variable{_ATTRIBUTES}>\s*<name{_ATTRIBUTES}>([^<>]*)</name>\s*<value{_ATTRIBUTES}>", re.IGNORECASE
)
_CLOSED = re.compile(rf"</value>\s*(?:</variable>|(?=<variable{_ATTRIBUTES}>)|\Z)", re.IGNORECASE)


def read_tags(text: str, problem: Problem, *, cut: bool = False) -> dict[str, Any]:
    """The values of an answer in tags, with ``<variable><name>x</name><value>5</value></variable>`` for each.

    The model's reasoning and the text in ``<reasoning>``, white space around a value, prose between the blocks and
    unknown names are ignored, and ``</variable>`` may be missing. Of two values for a name the later one counts. Where
    there is no block, a fenced block that defines a code parameter's function counts.

    Args:
        text: The answer.
        problem: The problem.
        cut: Whether the answer ended by length. Then only blocks that had closed before count, unless a later one may
            have replaced them.

    Raises:
        Unusable: If there is no value for any parameter, or one has another type than its parameter.
    """
    names = [p.name for p in problem.parameters]
    answer = answer_text(text, cut=cut, keep=names)
    found = list(_blocks(answer))
    if cut:
        found = _certain(found, answer, names)
    blocks = {name: value for name, value, _, _ in found if name in names}
    if not blocks and not _OPENED.search(answer):
        blocks = read_bare_code(answer, problem, cut=cut)
    if not blocks:
        raise Unusable(f"no <variable> block for {', '.join(names)} in {_brief(text)}")
    return {
        p.name: cast_value(blocks[p.name], p.space, p.name)
        for p in problem.parameters
        if p.name in blocks and not is_terminate(blocks[p.name])
    }


def _blocks(text: str) -> Iterator[tuple[str, str, int, int]]:
    """The name and the value of each block, its place, and the place after it.

    There are two patterns, since a single one for the whole block takes cubic time where it does not match.
    """
    at = 0
    while (opened := _OPENED.search(text, at)) and (closed := _CLOSED.search(text, opened.end())):
        yield (
            opened[1].strip().strip("`\"'*"),
            text[opened.end() : closed.start()].strip(),
            opened.start(),
            closed.end(),
        )
        at = closed.end()


def _certain(blocks: list[tuple[str, str, int, int]], text: str, names: list[str]) -> list[tuple[str, str, int, int]]:
    """The blocks of an answer that was cut which count: with ``</variable>``, and not drafts of what was to come."""
    closed = [block for block in blocks if text[: block[3]].lower().endswith("</variable>")]
    repeated = len({block[0] for block in closed}) < len(closed)
    if not closed or len(closed) < len(blocks) or repeated or is_draft(text, closed[0][2]):
        return []
    end = closed[-1][3]
    rest = text[end:]
    opened = re.match(r"\s*<", rest)  # the next block, of which only the name may be known
    name = re.match(r"\s*<variable>\s*<name>([^<>]*)</name>", rest)
    left = set(names) - {block[0] for block in closed}
    if opened is not None:
        another = name[1].strip() in left if name else bool(left)
        return closed if another else []
    return closed if stands(text, closed[0][2], end) else []


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
        return read_code(value, space.function) if isinstance(space, Code) else value
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


_BETWEEN_DIGITS = re.compile("(?<=\\d)[\u00a0\u2009\u202f](?=\\d{3}(?!\\d))")


def _number(value: Any, space: Number, name: str) -> int | float:
    if isinstance(value, str):
        try:
            value = float(_BETWEEN_DIGITS.sub("", value.replace("\u2212", "-")))
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
    return read_code(code)


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
