"""Spaces of plain Python values: numbers, choices, orders, prompts, code.

A space says in words what is wrong with a value (`invalid_reason`), converts to JSON and back (`to_dict`,
`space_from_dict`) and is equal by value, as Gymnasium's vector environments require.
"""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from gymnasium.spaces import Space

from .utils.moved import moved_names, rename_hooks

REACH = 1000.0
"""An unbounded number is sampled from [-REACH, REACH]."""


class ValueSpace(Space[Any]):
    """A space of plain values. Subclasses name their `fields`, and say what is wrong with a value."""

    fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(None, None, seed)

    @property
    def is_np_flattenable(self) -> bool:
        """Text and graphs do not flatten."""
        return False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        rename_hooks(cls, _OLD_HOOKS)

    def invalid_reason(self, x: Any) -> str | None:
        """What is wrong with x, in words for an optimizer; None if x is in the space."""
        raise NotImplementedError

    def describe(self) -> str:
        """The constraint on values, in words."""
        raise NotImplementedError

    def contains(self, x: Any) -> bool:
        """Whether x is in the space. Never raises."""
        return self.invalid_reason(x) is None

    def __contains__(self, x: Any) -> bool:
        return self.contains(x)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; infinite bounds are None."""
        values = ((f, getattr(self, f)) for f in self.fields)
        return {
            "kind": type(self).__name__,
            **{f: None if isinstance(v, float) and math.isinf(v) else v for f, v in values},
        }

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{f}={getattr(self, f)!r}' for f in self.fields)})"


_OLD_HOOKS = {"why_not": "invalid_reason"}
rename_hooks(ValueSpace, _OLD_HOOKS)


class Number(ValueSpace):
    """A finite number in [low, high], whole if `integer`."""

    fields = ("low", "high", "integer")

    def __init__(
        self,
        low: float | None = -math.inf,
        high: float | None = math.inf,
        integer: bool = False,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.low = -math.inf if low is None else low
        self.high = math.inf if high is None else high
        self.integer = integer
        if not self.low < self.high:
            raise ValueError(f"Number: expected low < high, got low={low}, high={high}")
        super().__init__(seed)

    def sample(self, mask: Any = None, probability: Any = None) -> float | int:
        """Uniform between the bounds, or within 1,000 of zero where there are none."""
        low, high = max(self.low, min(-REACH, self.high - REACH)), min(self.high, max(REACH, self.low + REACH))
        if self.integer:
            return int(self.np_random.integers(math.ceil(low), math.floor(high) + 1))
        return float(self.np_random.uniform(low, high))

    def invalid_reason(self, x: Any) -> str | None:
        """What is wrong with x, or None."""
        if isinstance(x, bool | np.bool_) or not isinstance(x, int | float | np.integer | np.floating):
            return f"expected a number, got {type(x).__name__}"
        if isinstance(x, int) and x.bit_length() > 1000:  # too large for a float, and for a message
            return f"expected a number in {self._interval()}, got one of {x.bit_length()} bits"
        if not math.isfinite(x):
            return f"expected a finite number, got {x}"
        if self.integer and x != int(x):
            return f"expected a whole number, got {x}"
        if not self.low <= x <= self.high:
            return f"expected a number in {self._interval()}, got {x}"
        return None

    def _interval(self) -> str:
        return f"[{self.low:g}, {self.high:g}]"

    def describe(self) -> str:
        """The constraint on values, in words."""
        kind = "a whole number" if self.integer else "a number"
        return kind if math.isinf(self.low) and math.isinf(self.high) else f"{kind} in {self._interval()}"


class Choice(ValueSpace):
    """One of several values."""

    fields = ("options",)

    def __init__(self, options: Sequence[Any], seed: int | np.random.Generator | None = None) -> None:
        self.options = list(options)
        if not self.options:
            raise ValueError("Choice: expected at least one option, got none")
        super().__init__(seed)

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """One of the options, uniformly."""
        return self.options[int(self.np_random.integers(len(self.options)))]

    def invalid_reason(self, x: Any) -> str | None:
        """What is wrong with x, or None."""
        if any(type(x) is type(o) and x == o for o in self.options):
            return None
        return f"expected one of {self.options}, got {_brief(x)}"

    def describe(self) -> str:
        """The constraint on values, in words."""
        return f"one of {self.options}"


class Permutation(ValueSpace):
    """An order of the whole numbers 0 to size - 1, as a list."""

    fields = ("size",)

    def __init__(self, size: int, seed: int | np.random.Generator | None = None) -> None:
        if type(size) is not int or size < 2:
            raise ValueError(f"Permutation: expected a size of 2 or more, got {size!r}")
        self.size = size
        super().__init__(seed)

    def sample(self, mask: Any = None, probability: Any = None) -> list[int]:
        """An order, uniformly."""
        return [int(k) for k in self.np_random.permutation(self.size)]

    def invalid_reason(self, x: Any) -> str | None:
        """What is wrong with x, or None."""
        if not isinstance(x, list | tuple):
            return f"expected a list of the whole numbers 0 to {self.size - 1}, got {type(x).__name__}"
        strange = [k for k in x if type(k) is not int or not 0 <= k < self.size]
        if strange:
            return f"expected whole numbers from 0 to {self.size - 1}, got {_brief(strange[0])}"
        if len(set(x)) == len(x) == self.size:
            return None
        missing = sorted(set(range(self.size)).difference(x))
        twice = sorted(k for k, times in Counter(x).items() if times > 1)
        wrong = f"missing: {_brief(missing)}, more than once: {_brief(twice)}"
        return f"expected each of 0 to {self.size - 1} once; {wrong}"

    def describe(self) -> str:
        """The constraint on values, in words."""
        return f"a list of the whole numbers 0 to {self.size - 1}, each once"


class Prompt(ValueSpace):
    """Text for a language model, of at most `max_length` characters."""

    fields: ClassVar[tuple[str, ...]] = ("max_length",)

    def __init__(self, max_length: int = 20_000, seed: int | np.random.Generator | None = None) -> None:
        self.max_length = max_length
        super().__init__(seed)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A short text of random words."""
        words = ("answer", "the", "question", "briefly", "step", "by", "think", "check", "then", "say")
        picked = self.np_random.integers(len(words), size=int(self.np_random.integers(3, 9)))
        return " ".join(words[int(i)] for i in picked)[: self.max_length]

    def invalid_reason(self, x: Any) -> str | None:
        """What is wrong with x, or None."""
        if not isinstance(x, str):
            return f"expected text, got {type(x).__name__}"
        if len(x) > self.max_length:
            return f"expected at most {self.max_length} characters, got {len(x)}"
        try:
            x.encode()
        except UnicodeEncodeError as e:
            return f"expected text that UTF-8 can hold, got a lone surrogate at {e.start}"
        return None

    def describe(self) -> str:
        """The constraint on values, in words."""
        return f"text of at most {self.max_length} characters"


class Code(Prompt):
    """Python source that defines one function with the given signature, such as ``"act(map, plan)"``.

    Whether the source parses is found when it runs, so that a syntax error is an error of the run, with its line.
    """

    fields = ("signature", "max_length")

    def __init__(self, signature: str, max_length: int = 20_000, seed: int | np.random.Generator | None = None) -> None:
        try:
            definition = ast.parse(f"def {signature}: pass").body[0]
        except SyntaxError as e:
            raise ValueError(f"Code: expected a signature such as 'act(map, plan)', got {signature!r}") from e
        assert isinstance(definition, ast.FunctionDef)
        self.signature, self.function = signature, definition.name
        super().__init__(max_length, seed)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Code that runs: the function returns a small number."""
        return f"def {self.signature}:\n    return {int(self.np_random.integers(10))}\n"

    def invalid_reason(self, x: Any) -> str | None:
        """What is wrong with x, or None."""
        reason = super().invalid_reason(x)
        if reason is None and not x.strip():
            return f"expected Python code that defines {self.signature}, got nothing"
        return reason.replace("expected text, got", "expected Python code as text, got") if reason else None

    def describe(self) -> str:
        """The constraint on values, in words."""
        return f"Python code that defines {self.signature}"


def _brief(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 80 else text[:77] + "..."


def space_from_dict(data: dict[str, Any]) -> ValueSpace:
    """The inverse of `ValueSpace.to_dict`."""
    kinds: dict[str, type[ValueSpace]] = {c.__name__: c for c in (Number, Choice, Permutation, Prompt, Code)}
    fields = dict(data)
    kind = fields.pop("kind", None)
    if kind not in kinds:
        raise ValueError(f"expected a space of kind {sorted(kinds)}, got {kind!r}")
    return kinds[kind](**fields)


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "TraceSpace": "problems",
            "at_least": "utils.checks",
            "number_in": "utils.checks",
        },
    )
