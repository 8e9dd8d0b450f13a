"""What pseudo-code should say of a graph's nodes, worked out without the renderer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from opto_gym.trace import TraceGraph
from opto_gym.trace.data import Data, Literal
from opto_gym.trace.values import Cut

NOTE = re.compile(r" \.\.\((\d+) more characters\)\.\.(?= )")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
FIXED = ("input", "parameter", "code")
INFIX = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "lshift": "<<", "rshift": ">>", "and": "&", "or": "|", "xor": "^",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip
PREFIX = {"neg": "-", "pos": "+", "invert": "~"}

Piece = str | float
"""A part of a text that stands as it is, or a float that may be rounded."""

Argument = str | tuple[str]
"""A part of a call; literals stand in tuples, since each may be cut."""


class Untrue(AssertionError):
    """A statement that is not true of the graph."""


class Statements:
    """What statements on the nodes of a graph should say.

    Attributes:
        floats: The texts of the floats that are known.
        learning: Whether these are being learned, from a rendering that holds everything.
    """

    def __init__(self, graph: TraceGraph) -> None:
        self.graph, self.names = graph, graph.names
        self.floats: dict[float, str] = {}
        self.learning = False
        self.values = [n.value for n in graph.nodes]
        self.kinds = [graph.operators[n.operator].kind for n in graph.nodes]
        self.body = [k for k, kind in enumerate(self.kinds) if kind not in FIXED and k != graph.output]
        self.places = {k: place for place, k in enumerate(self.body)}
        self.inputs = [k for k, kind in enumerate(self.kinds) if kind == "input" and k != graph.output]

    def _operator(self, k: int) -> Any:
        return self.graph.operators[self.graph.nodes[k].operator]

    def _name(self, k: int) -> str:
        return self._operator(k).name

    def _type(self, k: int) -> str:
        shown = self.graph.nodes[k].shown
        if self.kinds[k] == "code":
            return "code"
        return shown.type if isinstance(shown, Data) else type(shown).__name__

    def _valued(self, k: int) -> list[list[Piece]]:
        return [[f"({self._type(k)}) {self.names[k]}=", *pieces(self.values[k], self.kinds[k] in FIXED)]]

    def _variable(self, k: int) -> list[list[Piece]]:
        value = self.values[k]
        if self.kinds[k] == "code":
            shown: list[Piece] = [f"(code) {self.names[k]}:\n{str(value).rstrip()}"]
        else:
            written: list[Piece] = [value] if isinstance(value, str) else list(pieces(value, True))
            shown = [f"({self._type(k)}) {self.names[k]}=", *written]
        return [shown]

    def _described(self, k: int) -> list[list[Piece]]:
        return [[f"# {self._name(k)}: {' '.join(self._operator(k).description.split())}"]]

    def _call(self, k: int) -> list[Argument]:
        """A call; its literals stand in tuples, since each may be cut."""
        op = self._operator(k)
        args: list[Argument] = []
        for i in self.graph.nodes[k].inputs:
            args.append((self._whole(pieces(i.value, True)),) if isinstance(i, Literal) else self.names[i])
        return [f"{self.names[k]} = ", *self._expression(k, op, args)]

    def _expression(self, k: int, op: Any, args: list[Argument]) -> list[Argument]:
        plain = op.kind == "operator" and not op.arguments
        if op.kind == "error":
            return ["error after (", *_groups([a] for a in args), ")"]
        if op.kind == "call":
            return [f"{op.name}(", *_groups([a] for a in args[1:]), ")"]
        if op.name.startswith(".") and args:
            named = len(args) - len(op.arguments)
            given = [*([a] for a in args[1:named]), *_named(op.arguments, args[named:])]
            return [args[0], f"{op.name}(", *_groups(given), ")"]
        if plain and op.name in INFIX and len(args) == 2:
            left = args[0]
            if isinstance(left, tuple) and left[0].startswith("-") and op.name == "pow":
                left = (f"({left[0]})",)
            return [left, f" {INFIX[op.name]} ", args[1]]
        if plain and op.name in PREFIX and len(args) == 1:
            return [PREFIX[op.name], args[0]]
        if plain and op.name in ("getitem", "item") and len(args) == 2:
            return [args[0], "[", args[1], "]"]
        if plain and op.name == "getattr" and len(args) == 2:
            return [args[0], ".", (self.graph.nodes[k].inputs[1].value,)]
        if plain and op.name == "list":
            return ["[", *_groups([a] for a in args), "]"]
        if plain and op.name == "tuple":
            return ["(", *_groups([a] for a in args), ",)" if len(args) == 1 else ")"]
        if plain and op.name == "dict":
            return ["{", *_groups([[a, ": ", b] for a, b in zip(args[::2], args[1::2], strict=True)]), "}"]
        if len(op.arguments) >= len(args):
            return [f"{op.name}(", *_groups(_named(op.arguments[: len(args)], args)), ")"]
        return [f"{op.name}(", *_groups([a] for a in args), ")"]

    def _whole(self, parts: Iterator[Piece]) -> str:
        return "".join(p if isinstance(p, str) else self.floats.get(p, repr(p)) for p in parts)

    def _all_values(self) -> Iterator[Any]:
        yield from self.values
        for n in self.graph.nodes:
            yield from (i.value for i in n.inputs if isinstance(i, Literal))

    def _exact_numbers(self) -> Iterator[int | float]:
        hidden = self.graph.hidden
        places = set(self.graph.parameters)
        places |= set() if "inputs" in hidden else set(self.inputs)
        for k in places:
            yield from exact_numbers(self.values[k])
        for k in (*(() if "others" in hidden else self.body), self.graph.output):
            yield from (v for v in exact_numbers(self.values[k]) if type(v) is not float)
        for n in self.graph.nodes if "code" not in hidden else ():
            for i in n.inputs:
                if isinstance(i, Literal):
                    yield from exact_numbers(i.value)


class Matcher(Statements):
    """Finds where statements end that stand in a text, whole or cut."""

    def _match_any(self, text: str, at: int, forms: list[list[Piece]]) -> tuple[str, int] | None:
        for form in forms:
            end = self._match_whole(text, at, form)
            if end is not None and ends(text, end):
                return "whole", end
        for form in [] if self.learning else forms:
            end = match_cut(text, at, self._whole(iter(form)), "")
            if end is not None:
                return "cut", end
        return None

    def _match_whole(self, text: str, at: int, form: list[Piece]) -> int | None:
        """Where a text ends that stands whole at a place; floats are read as numbers and learned."""
        learned = {}
        for piece in form:
            if isinstance(piece, str):
                if not text.startswith(piece, at):
                    return None
                at += len(piece)
                continue
            shown = NUMBER.match(text, at)
            if shown is None:
                return None
            if not self.learning:
                if self.floats.get(piece, shown[0]) != shown[0]:
                    return None
            elif not _rounded(piece, shown[0]):
                raise Untrue(f"{piece!r} is shown as {shown[0]}")
            learned[piece] = shown[0]
            at = shown.end()
        for value, number in learned.items():
            if self.floats.setdefault(value, number) != number:
                raise Untrue(f"{value!r} is shown as {number} and as {self.floats[value]}")
        return at

    def _match_call(self, text: str, at: int, k: int) -> tuple[str, int] | None:
        call = self._call(k)
        whole = "".join(p if isinstance(p, str) else p[0] for p in call)
        if text.startswith(whole, at) and ends(text, at + len(whole)):
            return "whole", at + len(whole)
        end: int | None = at
        for n, part in enumerate(call):  # with literals cut
            if isinstance(part, str):
                end = end + len(part) if text.startswith(part, end) else None
            elif not text.startswith(part[0], end) or not _goes_on(text, end + len(part[0]), call[n + 1 :]):
                following = call[n + 1] if n + 1 < len(call) else "\n"
                end = match_cut(text, end, part[0], following if isinstance(following, str) else "")
            else:
                end += len(part[0])
            if end is None:
                break
        else:
            if ends(text, end):
                return "cut", end
        end = match_cut(text, at, whole, "")
        return None if end is None else ("cut", end)


def is_board(v: Any) -> bool:
    """Whether a value is a list of rows of single characters that can stand in ``grid(..)``."""
    if type(v) is not list or not v or not all(type(row) is list and row for row in v):
        return False
    return all(type(c) is str and len(c) == 1 and c not in "/()\r\n" for row in v for c in row)


def pieces(v: Any, exact: bool) -> Iterator[Piece]:
    """A value as Python would write it.

    Args:
        v: The value.
        exact: Whether its floats must stand as they are.
    """
    if is_board(v):
        yield f"grid({'/'.join(map(''.join, v))})"
    elif type(v) is slice:
        yield ":".join("" if e is None else repr(e) for e in ([v.start, v.stop, v.step][: 2 if v.step is None else 3]))
    else:
        yield from _inner(v, exact)


def _inner(v: Any, exact: bool) -> Iterator[Piece]:
    t = type(v)
    if isinstance(v, np.floating):
        v = v.item()
        t = type(v)
    if t is float and math.isfinite(v) and v and not exact:
        yield v
    elif t in (list, tuple):
        yield "[" if t is list else "("
        for n, x in enumerate(v):
            yield ", " if n else ""
            yield from _inner(x, exact)
        yield "]" if t is list else ",)" if len(v) == 1 else ")"
    elif t is dict:
        yield "{"
        for n, (key, x) in enumerate(v.items()):
            yield ", " if n else ""
            yield from _inner(key, True)
            yield ": "
            yield from _inner(x, exact)
        yield "}"
    elif t in (set, frozenset):
        members = ", ".join(sorted("".join(map(str, _inner(x, True))) for x in v))
        inner = f"{{{members}}}" if members else ""
        yield inner if t is set and inner else f"{t.__name__}({inner})"
    elif t is np.ndarray:
        yield "array("
        yield from _inner(v.tolist(), exact)
        yield ")" if v.dtype in (np.float64, np.int64, np.bool_) else f", dtype={v.dtype})"
    elif isinstance(v, np.generic):
        yield repr(v.item())
    elif t is int and abs(v) >= 10**4300:
        yield hex(v)
    else:
        yield str(v) if isinstance(v, Cut) else repr(v)


def exact_numbers(v: Any) -> Iterator[int | float]:
    """The finite numbers in a value, at any depth, keys and members of sets apart."""
    if type(v) in (int, float) and (type(v) is int or math.isfinite(v)):
        yield v
    elif isinstance(v, np.floating | np.integer) and np.isfinite(v):
        yield v.item()
    elif type(v) in (list, tuple):
        for x in v:
            yield from exact_numbers(x)
    elif type(v) is dict:
        for x in v.values():
            yield from exact_numbers(x)
    elif type(v) is np.ndarray and v.dtype.kind in "fiu":
        yield from exact_numbers(v.tolist())


def _named(names: Sequence[str], args: list[Argument]) -> list[list[Argument]]:
    return [[f"{name}=", a] for name, a in zip(names, args, strict=True)]


def _groups(groups: Iterable[list[Argument]]) -> list[Argument]:
    """What stands between brackets: groups with commas between them."""
    return [part for n, group in enumerate(groups) for part in ([", "] if n else []) + group]


def match_cut(text: str, at: int, whole: str, following: str) -> int | None:
    """Where the cut form of a text ends that stands at a place, if its ends and the count are right."""
    for note in NOTE.finditer(text, at):
        head = text[at : note.start()]
        if not whole.startswith(head):
            return None
        tail = len(whole) - len(head) - int(note[1])
        after = note.end() + 1
        end = after + tail
        if tail >= 0 and text.startswith(whole[len(whole) - tail :], after):
            if following and following != "\n" and text.startswith(following, end):
                return end
            if (not following or following == "\n") and ends(text, end):
                return end
    return None


def _rounded(v: float, shown: str) -> bool:
    """Whether a text is a float with six significant digits or more."""
    number = float(shown)
    return repr(number) == shown and any(number == float(f"{v:.{d}g}") for d in range(6, 18))


def ends(text: str, at: int) -> bool:
    return at == len(text) or text[at] == "\n"


def _goes_on(text: str, at: int, rest: list[Any]) -> bool:
    """Whether what follows an argument follows it here."""
    if not rest:
        return ends(text, at)
    return not isinstance(rest[0], str) or text.startswith(rest[0], at)
