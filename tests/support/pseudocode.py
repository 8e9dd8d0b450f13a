"""Reads pseudo-code back and holds each statement in it against the graph, with code of its own.

Nothing here comes from the renderer: what a statement should say is worked out again from a graph's nodes, operators
and names.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from opto_gym.trace import TraceGraph
from tests.support.sections import Reading, SectionReader
from tests.support.statements import Piece, Untrue, is_board

EVERYTHING = 10**7
"""A budget that holds all of any graph in the tests."""

LEGEND = "# grid(ab/cd) is the list of lists of characters [['a', 'b'], ['c', 'd']]\n"


class Checker(SectionReader):
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
