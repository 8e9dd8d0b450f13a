"""Python's operations where a proposal's value could fill the memory or look around: bounded, with the same results.

Numbers and texts that an optimizer proposes meet the program's own operators outside any sandbox.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_REPEATED = frozenset({str, bytes, bytearray, list, tuple})
_WIDE = re.compile(r"\d{4,}|\*")  # a width or precision of 1,000 and more, or one that comes from a value


def power(a: Any, b: Any) -> Any:
    """``a ** b`` of at most 100,000 bits."""
    if type(a) is int and type(b) is int and b > 0 and a.bit_length() * b > 100_000:
        raise OverflowError("the power has more than 100,000 bits")
    return a**b


def shift(a: Any, b: Any) -> Any:
    """``a << b`` of at most 100,000 bits."""
    if type(a) is int and type(b) is int and b > 0 and a.bit_length() + b > 100_000:
        raise OverflowError("the shifted number has more than 100,000 bits")
    return a << b


def product(a: Any, b: Any) -> Any:
    """``a * b``; a repetition has at most 1,000,000 items."""
    if type(a) in _REPEATED or type(b) in _REPEATED:
        many, times = (a, b) if type(a) in _REPEATED else (b, a)
        if hasattr(times, "__index__") and len(many) * times.__index__() > 1_000_000:
            raise OverflowError("the repetition has more than 1,000,000 items")
    return a * b


def remainder(a: Any, b: Any) -> Any:
    """``a % b``; a text's fields are at most 999 characters wide."""
    if isinstance(a, str | bytes):
        text = a if isinstance(a, str) else a.decode("latin-1")
        if any(_WIDE.search(field) for field in re.findall(r"%(?:\(.*?\))?[^a-zA-Z%]*", text)):
            raise OverflowError("a field of the text is wider than 999 characters")
    return a % b


class _Template(string.Formatter):
    """``str.format`` without its attribute and index look-ups, which reach into the objects that are filled in."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if not re.fullmatch(r"\w*", field_name):
            raise ValueError(f"a field of a template is a name such as {{question}}, got {{{field_name}}}")
        return super().get_field(field_name, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> Any:
        if _WIDE.search(format_spec):
            raise OverflowError(f"a field is at most 999 characters wide, got {{:{format_spec}}}")
        return super().format_field(value, format_spec)


METHODS: dict[str, Callable[..., Any]] = {
    "format": lambda text, /, *args, **kwargs: _Template().vformat(text, args, kwargs),
    "format_map": lambda text, mapping, /: _Template().vformat(text, (), mapping),
}
"""What stands for the methods of `str` that read a template."""
