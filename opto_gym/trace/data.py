"""The parts of a trace graph as plain data: operators, nodes, literals and values."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import TraceError
from .values import thaw

PARTS = ("code", "documentation", "inputs", "others", "constraints")
"""The parts of a graph that `TraceGraph.masked` can hide; the paper's masked variant hides the first four."""

OPERATOR_KINDS = ("input", "parameter", "code", "operator", "call", "error")

EXACT, NUMBER = frozenset({bool, type(None)}), frozenset({int, float})

TEXT = 20_000
"""The characters of one text that a graph keeps; five times as many of a parameter's value."""


class Literal(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A literal argument, in the form of values.py."""

    shown: Any

    @property
    def value(self) -> Any:
        """The Python value."""
        return thaw(self.shown)


class Data(msgspec.Struct, frozen=True, gc=False):
    """A value that is no plain scalar: its type's name and its JSON form, as text and so immutable."""

    type: str
    json: str

    @property
    def value(self) -> Any:
        """The Python value, a fresh copy; `values.Cut` stands for parts that were not kept."""
        try:
            return thaw(msgspec.json.decode(self.json))
        except msgspec.DecodeError as e:
            raise TraceError(f"expected a value's JSON text, got {self.json[:80]!r}: {e}") from e


class OperatorInfo(msgspec.Struct, frozen=True, gc=False):
    """One entry of a graph's table of operators; the fields are those of `nodes.Operator`."""

    name: str
    kind: str
    description: str = ""
    arguments: tuple[str, ...] = ()
    constraint: str = ""


class GraphNode(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A node of a graph.

    Attributes:
        operator: Its place in `TraceGraph.operators`.
        inputs: The places of other nodes, or `Literal` arguments.
        shown: The value at the time of the operation: a scalar, or `Data`.
    """

    operator: int
    inputs: tuple[int | Literal, ...]
    shown: bool | int | float | str | Data | None

    @property
    def value(self) -> Any:
        """The Python value."""
        return self.shown.value if type(self.shown) is Data else self.shown
