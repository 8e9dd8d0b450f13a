"""Tables of a TOML file as structs, with errors that say in TOML's words where what was expected."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import msgspec.inspect

from . import safe_files
from .checks import LONGEST_NAME, shown
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


MOST_BYTES, MOST_IN_A_LINE = 256_000, 16_000
"""The most bytes of a file of TOML, and the most characters of a line. The parser takes the square of a line's time."""
DEEPEST = 16
"""How deep tables and arrays may be nested."""
_INTEGERS = range(-(2**63), 2**63)  # those of TOML


def read_regular(path: Path) -> str:
    """The text of a file in UTF-8, whatever the locale. Nothing else than a regular file is read.

    Raises:
        ValueError: If the file can't be opened, is a folder, pipe or device, is longer than `MOST_BYTES`, or is not in
            UTF-8.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else it waits for the writer of a pipe
        with open(descriptor, "rb") as f:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise ValueError(f"it is {safe_files.kind(mode)}")
            content = f.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"expected at most {MOST_BYTES:,} bytes, got more")
        return content.decode("utf-8")
    except UnicodeDecodeError as e:
        raise ValueError(f"it is not in UTF-8 (byte {e.start})") from e
    except IsADirectoryError:  # Python's open() says it
        raise ValueError("Is a directory") from None
    except OSError as e:
        raise ValueError(e.strerror or str(e)) from e


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ValueError: As `read_regular` and `parse_toml`.
    """
    return parse_toml(read_regular(path))


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: If it is not TOML, or if it is out of bounds: a line longer than `MOST_IN_A_LINE`, values nested
            deeper than `DEEPEST`, integers of more than 64 bits, dates, and keys with characters that are not shown.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MOST_IN_A_LINE:
            raise ValueError(f"line {number} has {len(line):,} characters: expected at most {MOST_IN_A_LINE:,}")
    try:
        tables = tomllib.loads(text)
        _check_plain(tables, DEEPEST)
    except RecursionError:
        raise ValueError(f"expected values that are nested at most {DEEPEST} deep, got deeper ones") from None
    except tomllib.TOMLDecodeError as e:
        raise ValueError(f"it is not TOML: {e}") from e
    return tables


def _check_plain(value: Any, deepest: int) -> None:
    """Checks that a value is one that records can hold: see `parse_toml`."""
    if deepest < 0:
        raise RecursionError
    if isinstance(value, dict):
        for key, inner in value.items():
            if not key.isprintable() or len(key) > LONGEST_NAME:
                raise ValueError(f"expected keys of at most {LONGEST_NAME} visible characters, got {shown(key)}")
            _check_plain(inner, deepest - 1)
    elif isinstance(value, list):
        for inner in value:
            _check_plain(inner, deepest - 1)
    elif isinstance(value, int) and value not in _INTEGERS:
        raise ValueError(f"expected whole numbers of at most 64 bits, got one of {value.bit_length():,} bits")
    elif not isinstance(value, str | int | float):
        raise ValueError(f"expected strings, numbers, true or false, got the date or time {value}")


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
    return f"{expected[0].lower()}{expected[1:]}, got {shown(value)}"


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
