"""Reads pseudo-code back and holds each statement in it against the graph, with code of its own.

Nothing here comes from the renderer: what a statement should say is worked out again from a graph's nodes, operators
and names.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from opto_gym.trace import TraceGraph
from opto_gym.trace.data import Literal
from tests.support.statements import FIXED, INFIX, PREFIX, Matcher, Piece, Untrue, ends, is_board, pieces

EVERYTHING = 10**7
"""A budget that holds all of any graph in the tests."""

LEGEND = "# grid(ab/cd) is the list of lists of characters [['a', 'b'], ['c', 'd']]\n"
LEFT_OUT = re.compile(r"# \.\.\. (\d+) lines? left out(?=\n|$)")
ROUNDS = re.compile(r"# \.\.\. (\d+) more rounds of (?:this operation|these (\d+) operations)")
VALUES = re.compile(r"\.\.\((\d+) more values\)\.\.")
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


class Checker(Matcher):
    """Checks renderings of one graph. The floats' texts are learned from the rendering that holds everything.

    Attributes:
        everything: What the rendering that holds everything showed.

    Raises:
        Untrue: If that rendering says something untrue, or leaves something out.
    """

    def __init__(self, graph: TraceGraph) -> None:
        super().__init__(graph)
        if len(set(self.names)) < len(self.names):
            raise Untrue(f"two nodes have one name: {sorted(n for n in self.names if self.names.count(n) > 1)}")
        self.learning = True
        self.everything = self.check(graph.sections(EVERYTHING))
        self.learning = False
        for key in self._expected():
            if self.everything.states.get(key) != "whole":
                raise Untrue(f"with budget to spare, {key} is not there whole")
        for loops in self.everything.loops.values():
            for loop in loops:
                if loop.rounds + 3 <= 20:
                    raise Untrue(f"a loop of {loop.rounds + 3} rounds is folded with budget to spare")

    def check(self, sections: dict[str, str]) -> Reading:
        """Reads a rendering.

        Raises:
            Untrue: If it says something that is not true.
        """
        reading = Reading({}, {}, {})
        self._legend(sections)
        texts = {name: text.replace(LEGEND, "", 1) for name, text in sections.items()}
        graph, hidden = self.graph, self.graph.hidden
        operators = [op for op in graph.operators if op.description and op.kind not in ("input", "parameter", "code")]
        documents = list(dict.fromkeys(f"[{op.name}] {op.description}" for op in operators))
        described = [("described", k) for k in graph.parameters if self._operator(k).description]
        bound = [k for k in graph.parameters if self._operator(k).constraint]
        plain: list[tuple[str, list[Any], Callable[[Any], list[list[Piece]]]]] = [
            ("documentation", documents, lambda text: [[text]]),
            ("variables", [*described, *graph.parameters], self._about),
            ("constraints", bound, lambda k: [[f"({self._type(k)}) {self._name(k)}: {self._operator(k).constraint}"]]),
            ("inputs", [] if "inputs" in hidden else self.inputs, self._valued),
            ("outputs", [graph.output], self._valued),
        ]
        for section, elements, forms in plain:
            self._read_plain(section, texts[section], elements, forms, reading)
        self._read_code(texts["code"], reading)
        self._read_others(texts["others"], reading)
        if "code" not in hidden and "others" not in hidden and reading.loops["code"] != reading.loops["others"]:
            both = set(reading.loops["code"]) ^ set(reading.loops["others"])
            raise Untrue(f"code and others fold other loops: {both}")
        self._check_numbers()
        return reading

    def _about(self, element: Any) -> list[list[Piece]]:
        """The statement on a parameter's value, or on what it is for: the latter stand at the head of the section."""
        return self._variable(element) if type(element) is int else self._described(element[1])

    def _expected(self) -> Iterator[tuple[str, Any]]:
        graph, hidden = self.graph, self.graph.hidden
        yield from (("variables", k) for k in graph.parameters)
        yield from (("variables", ("described", k)) for k in graph.parameters if self._operator(k).description)
        yield from (("constraints", k) for k in graph.parameters if self._operator(k).constraint)
        yield from (("inputs", k) for k in self.inputs if "inputs" not in hidden)
        yield from (("others", k) for k in self.body if "others" not in hidden)
        yield ("outputs", graph.output)
        for op in graph.operators:
            if op.description and op.kind in ("operator", "call", "error"):
                yield ("documentation", f"[{op.name}] {op.description}")
        folded = {k for loop in self.everything.loops["code"] for k in self._nodes(loop)}
        yield from (("code", k) for k in self.body if "code" not in hidden and k not in folded)

    def _nodes(self, loop: Loop) -> list[int]:
        return self.body[loop.begin : loop.begin + loop.rounds * loop.period]

    # ---- reading
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
                at, n = self._loop_names(text, rounds.end(), loop) + 1, n + loop.rounds * loop.period
            elif n < len(elements) and (found := self._match_call(text, at, elements[n])):
                reading.states["code", elements[n]], end = found
                reading.sizes["code", elements[n]] = end + 1 - at
                self._evaluate(elements[n])
                at, n = end + 1, n + 1
            else:
                raise Untrue(f"code: expected {self.names[elements[n]]!r}, got {text[at : at + 1500]!r}")
        if n != len(elements):
            raise Untrue(f"code: {len(elements)} nodes, of which {n} were shown or counted")

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
            state = self._read_column(text, begin + len(said), column)
            for k in column:
                reading.states["others", k] = state
        reading.sizes["others", firsts[0]] = line - at
        return line, loop

    def _read_column(self, text: str, at: int, column: list[int]) -> str:
        """The values of one operation in all rounds: "always X", or runs of equal values in order."""
        forms = [list(pieces(self.values[k], False)) for k in column]
        if text.startswith("always ", at):
            found = self._match_any(text, at + 7, [forms[0]])
            if found is None or any(f != forms[0] for f in forms):
                raise Untrue(f"{self.names[column[0]]}..: not {text[at : at + 200]!r}")
            return found[0]
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
        return state

    # ---- boards and numbers
    def _legend(self, sections: dict[str, str]) -> None:
        """The legend stands once, at the head of the first section with a board, where one is shown."""
        boards = any(map(is_board, self._all_values()))
        shown = [name for name, text in sections.items() if boards and "grid(" in text.replace(LEGEND, "")]
        explained = [name for name, text in sections.items() for _ in range(text.count(LEGEND.strip()))]
        if explained != shown[:1] or (shown and not sections[shown[0]].startswith(LEGEND)):
            raise Untrue(f"boards are shown in {shown} and explained in {explained}")

    def _check_numbers(self) -> None:
        """Any two numbers compare as shown."""
        exact = set(self._exact_numbers())
        shown = {v: v for v in exact} | {v: float(text) for v, text in self.floats.items()}
        for v in exact & self.floats.keys():
            shown[v] = float(self.floats[v])
            if shown[v] != v:
                raise Untrue(f"{v!r} is shown as it is and as {self.floats[v]}")
        order = sorted(shown)
        for a, b in itertools.pairwise(order):
            if not shown[a] < shown[b]:
                raise Untrue(f"{a!r} and {b!r} are shown as {shown[a]} and {shown[b]}")
