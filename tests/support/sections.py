"""Reads the sections of pseudo-code, statement by statement, and holds each against the graph."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from opto_gym.trace.data import Literal
from tests.support.statements import FIXED, INFIX, PREFIX, Matcher, Piece, Untrue, ends, pieces

LEFT_OUT = re.compile(r"# \.\.\. (\d+) lines? left out(?=\n|$)")
ROUNDS = re.compile(r"# \.\.\. (\d+) more rounds of (?:this operation|these (\d+) operations)")
VALUES = re.compile(r"\.\.\((\d+) more values?\)\.\.")
TIMES = re.compile(r" \((\d+) times\)(?=; |\n|$)")


class Loop(NamedTuple):
    """A folded loop as the text gives it: the first of its nodes among the computed ones, rounds, operations."""

    begin: int
    rounds: int
    period: int


class Reading(NamedTuple):
    """What a rendering showed.

    Attributes:
        states: (section, what) -> "whole" or "cut"; `what` is a node, ("described", parameter), or the text of an
            operator's documentation. What is not there was left out.
        sizes: The characters of each, with its line end.
        loops: The folded loops, by section.
    """

    states: dict[tuple[str, Any], str]
    sizes: dict[tuple[str, Any], int]
    loops: dict[str, list[Loop]]

    @property
    def whole(self) -> bool:
        """Whether nothing was cut."""
        return "cut" not in self.states.values()


class LoopReader(Matcher):
    """Reads folded loops: their operations, the arguments that change in them and the values that they gave."""

    def _nodes(self, loop: Loop) -> list[int]:
        return self.body[loop.begin : loop.begin + loop.rounds * loop.period]

    def _check_loop(self, loop: Loop) -> None:
        """Whether the rounds have the operations of the round before them."""
        if loop.begin < loop.period:
            raise Untrue(f"{loop}: no round was shown before")
        nodes = self.body[loop.begin - loop.period : loop.begin + loop.rounds * loop.period]
        operators = [self.graph.nodes[k].operator for k in nodes]
        if len(nodes) != (loop.rounds + 1) * loop.period or operators != operators[: loop.period] * (loop.rounds + 1):
            raise Untrue(f"{loop}: the rounds are not of one kind")

    def _loop_names(self, text: str, at: int, loop: Loop) -> int:
        if ends(text, at):
            return at
        nodes = self._nodes(loop)
        columns = [nodes[j :: loop.period] for j in range(loop.period)]
        names = ", ".join(f"{self.names[c[0]]}..{self.names[c[-1]]}" for c in columns)
        said = f", which {'gives' if loop.period == 1 else 'give'} {names}"
        if not text.startswith(said, at) or not ends(text, at + len(said)):
            raise Untrue(f"{loop}: expected {said!r}, got {text[at : at + 1500]!r}")
        return at + len(said)

    def _read_arguments(self, text: str, at: int, loop: Loop) -> int:
        """The lines of the arguments that the round before does not tell, of which none may be missing."""
        for j in range(loop.period):
            column = self._nodes(loop)[j :: loop.period]
            for label, written in self._changing_arguments(self.body[loop.begin - loop.period + j], column):
                said = f"\n# {label} of {self.names[column[0]]}..{self.names[column[-1]]}: "
                if not text.startswith(said, at):
                    raise Untrue(f"{loop}: expected {said!r}, got {text[at : at + 200]!r}")
                at = self._read_column(text, at + len(said), column, [[w] for w in written])[1]
        return at

    def _changing_arguments(self, before: int, column: list[int]) -> list[tuple[str, list[str]]]:
        """(what it is called, its texts in all rounds) of each argument that the round before does not tell."""
        rows = [[self._argument(i) for i in self.graph.nodes[k].inputs] for k in (before, *column)]
        if len(set(map(len, rows))) > 1:
            return [("arguments", [f"({', '.join(row)})" for row in rows[1:]])]
        found = []
        for p, first in enumerate(rows[0]):
            written = [row[p] for row in rows[1:]]
            distances = {self._distance(k, p) for k in column}
            if {*written} != {first} and (None in distances or len(distances) > 1):
                found.append((self._label(before, p), written))
        return found

    def _argument(self, i: Any) -> str:
        return self._whole(pieces(i.value, True)) if isinstance(i, Literal) else self.names[i]

    def _distance(self, k: int, p: int) -> int | None:
        """How many operations before a node the one stands that gave its argument."""
        argument = self.graph.nodes[k].inputs[p]
        return self.places[k] - self.places[argument] if argument in self.places else None

    def _label(self, k: int, p: int) -> str:
        op, inputs = self._operator(k), self.graph.nodes[k].inputs
        if op.name.startswith("."):
            named = p - (len(inputs) - len(op.arguments))
            return f"argument {op.arguments[named] if named >= 0 else p}" if p else "object"
        if op.kind == "call":
            return f"argument {p}" if p else "code"
        named = op.kind == "operator" and len(op.arguments) >= len(inputs)
        return f"argument {op.arguments[p] if named else p + 1}"

    def _read_loop(self, text: str, at: int, n: int, reading: Reading) -> tuple[int, Loop]:
        """A folded loop's values: a line an operation."""
        begins, heads = [], []
        line = at
        while n + len(begins) < len(self.body):  # how many lines are there?
            head = f"# {self.names[self.body[n + len(begins)]]}.."
            if not text.startswith(head, line):
                break
            begins.append(line)
            heads.append(head)
            line = text.find("\n", line) + 1 or len(text) + 1
        period = len(begins)
        firsts = self.body[n : n + period]
        for rounds in range(1, (len(self.body) - n) // period + 1):
            last = self.body[n + (rounds - 1) * period]
            if text.startswith(f"{heads[0]}{self.names[last]}: ", at):
                break
        else:
            raise Untrue(f"others: no loop of {period} operations ends as in {text[at : at + 100]!r}")
        loop = Loop(n, rounds, period)
        self._check_loop(loop)
        for j, (begin, head) in enumerate(zip(begins, heads, strict=True)):
            column = self.body[n + j : n + rounds * period : period]
            said = f"{head}{self.names[column[-1]]}: "
            if not text.startswith(said, begin):
                raise Untrue(f"others: expected {said!r}, got {text[begin : begin + 200]!r}")
            values = [list(pieces(self.values[k], False)) for k in column]
            state, _ = self._read_column(text, begin + len(said), column, values)
            for k in column:
                reading.states["others", k] = state
        reading.sizes["others", firsts[0]] = line - at
        return line, loop

    def _read_column(self, text: str, at: int, column: list[int], forms: list[list[Piece]]) -> tuple[str, int]:
        """What stands for one operation in all rounds: "always X", or runs of equal texts in order.

        Returns:
            Whether it is whole or cut, and where it ends.
        """
        if text.startswith("always ", at):
            found = self._match_any(text, at + 7, [forms[0]])
            if found is None or any(f != forms[0] for f in forms):
                raise Untrue(f"{self.names[column[0]]}..: not {text[at : at + 200]!r}")
            return found
        n, state = 0, "whole"
        while True:
            if (note := VALUES.match(text, at)) and state == "whole":
                n, at, state = n + int(note[1]), note.end(), "cut"
            else:
                end = self._match_whole(text, at, forms[n]) if n < len(column) else None
                if end is None:
                    raise Untrue(f"{self.names[column[0]]}..: value {n} is not {text[at : at + 200]!r}")
                times = TIMES.match(text, end)
                count = int(times[1]) if times else 1
                if any(f != forms[n] for f in forms[n : n + count]) or forms[n + count : n + count + 1] == [forms[n]]:
                    raise Untrue(f"{self.names[column[0]]}..: value {n} is not there {count} times")
                n, at = n + count, times.end() if times else end
            if not text.startswith("; ", at):
                break
            at += 2
        if n != len(column) or not ends(text, at):
            raise Untrue(f"{self.names[column[0]]}..: {len(column)} values, of which {n} were shown or counted")
        if self.learning and state == "cut":
            raise Untrue(f"{self.names[column[0]]}..: cut with budget to spare")
        return state, at


class SectionReader(LoopReader):
    """Reads whole sections."""

    def _read_plain(
        self, section: str, text: str, elements: list[Any], forms: Callable[[Any], list[list[Piece]]], reading: Reading
    ) -> None:
        """A section with a statement for each element, in order, or notes of how many were left out."""
        at, n = 0, 0
        while at < len(text):
            if n < len(elements) and (end := self._match_any(text, at, forms(elements[n]))):
                reading.states[section, elements[n]], at_end = end
                reading.sizes[section, elements[n]] = at_end + 1 - at
                at, n = at_end + 1, n + 1
            elif note := LEFT_OUT.match(text, at):
                at, n = note.end() + 1, n + int(note[1])
            else:
                expected = elements[n] if n < len(elements) else "the end"
                raise Untrue(f"{section}: expected {expected!r}, got {text[at : at + 1500]!r}")
        if n != len(elements) and not (section == "outputs" and not text):
            raise Untrue(f"{section}: {len(elements)} statements or what stands for them, got {n}")

    def _read_code(self, text: str, reading: Reading) -> None:
        loops = reading.loops.setdefault("code", [])
        if "code" in self.graph.hidden:
            if text:
                raise Untrue("code is shown though it is hidden")
            return
        output = [] if self.kinds[self.graph.output] in FIXED else [self.graph.output]
        elements = [*self.body, *output]
        at, n = 0, 0
        while at < len(text):
            note, rounds = LEFT_OUT.match(text, at), ROUNDS.match(text, at)
            if note:
                at, n = note.end() + 1, n + int(note[1])
            elif rounds:
                loop = Loop(n, int(rounds[1]), int(rounds[2] or 1))
                self._check_loop(loop)
                loops.append(loop)
                at = self._read_arguments(text, self._loop_names(text, rounds.end(), loop), loop) + 1
                n += loop.rounds * loop.period
            elif n < len(elements) and (found := self._match_call(text, at, elements[n])):
                reading.states["code", elements[n]], end = found
                reading.sizes["code", elements[n]] = end + 1 - at
                self._evaluate(elements[n])
                at, n = end + 1, n + 1
            else:
                raise Untrue(f"code: expected {self.names[elements[n]]!r}, got {text[at : at + 1500]!r}")
        if n != len(elements):
            raise Untrue(f"code: {len(elements)} nodes, of which {n} were shown or counted")

    def _evaluate(self, k: int) -> None:
        """Whether Python gives the node's value for the call, where it can tell."""
        op, node = self._operator(k), self.graph.nodes[k]
        if op.kind != "operator" or op.arguments or op.name not in INFIX | PREFIX or op.description:
            return
        inputs = [i.value if isinstance(i, Literal) else self.values[i] for i in node.inputs]
        if any(type(v) not in (int, float, bool) for v in [*inputs, self.values[k]]) or op.name == "pow":
            return
        call = "".join(p if isinstance(p, str) else p[0] for p in self._call(k)[1:])
        known = {self.names[i]: self.values[i] for i in node.inputs if type(i) is int}
        if all(map(str.isidentifier, known)) and "nan" not in call and "inf" not in call:
            got = eval(call, {"__builtins__": {}}, known)
            if got != self.values[k] and not (got != got):
                raise Untrue(f"{self.names[k]} = {call} gives {got}, not {self.values[k]}")

    def _read_others(self, text: str, reading: Reading) -> None:
        loops = reading.loops.setdefault("others", [])
        if "others" in self.graph.hidden:
            if text:
                raise Untrue("others are shown though they are hidden")
            return
        at, n, body = 0, 0, self.body
        while at < len(text):
            if note := LEFT_OUT.match(text, at):
                at, n = note.end() + 1, n + int(note[1])
            elif n < len(body) and text.startswith(f"# {self.names[body[n]]}..", at):
                at, loop = self._read_loop(text, at, n, reading)
                loops.append(loop)
                n += loop.rounds * loop.period
            elif n < len(body) and (found := self._match_any(text, at, self._valued(body[n]))):
                reading.states["others", body[n]], end = found
                reading.sizes["others", body[n]] = end + 1 - at
                at, n = end + 1, n + 1
            else:
                expected = self.names[body[n]] if n < len(body) else "the end"
                raise Untrue(f"others: expected {expected!r}, got {text[at : at + 1500]!r}")
        if n != len(body):
            raise Untrue(f"others: {len(body)} nodes, of which {n} were shown or counted")
