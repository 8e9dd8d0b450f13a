"""Tables of a TOML file as structs, with errors that say in TOML's words where what was expected."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import msgspec.inspect

from .suggestions import did_you_mean

T = TypeVar("T")

_WORDS = {
    "object": "a table",
    "array": "an array",
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, which is UTF-8 in every locale.

    Raises:
        ValueError: If the file can't be opened, is not UTF-8 or is not TOML.
    """
    try:
        return parse_toml(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as e:
        raise ValueError(f"it is not in UTF-8 (byte {e.start})") from e
    except OSError as e:
        raise ValueError(e.strerror or str(e)) from e


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: If it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise ValueError(f"it is not TOML: {e}") from e


def as_struct(data: Any, form: type[T]) -> T:
    """A table as a struct.

    Args:
        data: As `tomllib` gives it.
        form: A `msgspec.Struct`.

    Raises:
        ValueError: With the place, what was expected there, and a similar key where one is misspelt.
    """
    try:
        return msgspec.convert(data, form)
    except msgspec.ValidationError as e:
        problem, _, path = str(e).partition(" - at `$")
        steps = [key or int(index) for key, index in re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", path)]
        fields, value = _found_at(form, data, steps)
        raise ValueError("".join(_places(steps)) + _in_words(problem, fields, value)) from e


def _places(steps: list[str | int]) -> Iterator[str]:
    """A path in words: ``task 2: budget: `` for ``.tasks[1].budget``."""
    for before, step, following in zip([None, *steps], steps, [*steps[1:], None], strict=False):
        if isinstance(step, int):
            yield f"{'' if isinstance(before, str) else 'entry '}{step + 1}: "
        else:
            yield f"{step.removesuffix('s')} " if isinstance(following, int) else f"{step}: "


def _in_words(problem: str, fields: list[str], value: Any) -> str:
    """A message of msgspec in TOML's words, with the value that came."""
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", problem):
        return f"there is no key {unknown[1]!r} (the keys are {', '.join(fields)}){did_you_mean(unknown[1], fields)}"
    if missing := re.fullmatch(r"Object missing required field `(.*)`", problem):
        return f"the key {missing[1]!r} is missing"
    if not problem.startswith("Expected "):  # a struct's own check, or a value outside an enumeration
        return problem
    expected = problem.partition(", got")[0].replace(">= ", "of at least ")
    expected = re.sub(r"`([^`]*)`", lambda m: " or ".join(_WORDS.get(w, w) for w in m[1].split(" | ")), expected)
    return f"{expected[0].lower()}{expected[1:]}, got {value!r:.80}"


def _found_at(form: type, data: Any, steps: list[str | int]) -> tuple[list[str], Any]:
    """The keys that a table can have at a path, none if there is no table, and what the data has there."""
    at: Any = msgspec.inspect.type_info(form)
    for step in steps:
        if isinstance(at, msgspec.inspect.StructType):
            at = next((field.type for field in at.fields if field.encode_name == step), None)
        else:
            at = getattr(at, "item_type", None)
        data = data[step]
    return [field.encode_name for field in at.fields] if isinstance(at, msgspec.inspect.StructType) else [], data


def check_at(place: str, check: Callable[[Any], T], value: Any) -> T:
    """What a check makes of a value; the check's `ValueError` then begins with the place."""
    try:
        return check(value)
    except ValueError as e:
        raise ValueError(f"{place}: {e}") from e
