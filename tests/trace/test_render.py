"""Pseudo-code and diagrams: what they show, that no budget is passed, and that what is cut is said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opto_gym.trace import backward, node, operator, parameter
from opto_gym.trace.display import GRID_FORMAT
from opto_gym.trace.loops import Fold, computed, folded
from tests.support.programs import acting
from tests.support.random_graphs import graphs

LEGEND = f"# {GRID_FORMAT}\n"


def undescribed(text):
    """A section without the legend, which stands in the first that shows a board, and parameters' descriptions, which
    go before their values.
    """
    return re.sub(r"^# [pq]\d+x*: .*\n", "", text.replace(LEGEND, ""), flags=re.MULTILINE)


@settings(max_examples=30, deadline=None)
@given(graphs(), st.one_of(st.integers(200, 1500), st.integers(200, 40_000)))
def test_no_budget_is_passed_and_cuts_are_said(graph, budget):
    text = graph.to_pseudocode(budget)
    assert len(text) <= budget
    sections = graph.sections(budget)
    assert sum(map(len, sections.values())) <= budget
    whole = graph.sections(10**7)
    for name, part in sections.items():
        if undescribed(part) != undescribed(whole[name]):
            marks = r"\d+ lines? left out|more characters|more values?\)|more rounds|^# \S+\.\.\S+: "
            assert re.search(marks, part, re.M) or len(part) < 40
    for picture in (graph.to_mermaid(budget), graph.to_graphviz(budget)):
        assert len(picture) <= budget
    mermaid = graph.to_mermaid(budget)
    boxes = set(re.findall(r'^  (\w+)[\[({]+/?"', mermaid, re.M))
    edges = re.findall(r"^  (\w+) --> (\w+)$", mermaid, re.M)
    assert boxes
    assert {end for edge in edges for end in edge} <= boxes


def test_the_feedbacks_neighbours_are_kept_longest():
    step = operator(lambda x, k: f"value {k} " + "." * 100, name="step", description="Steps.")
    other = operator(lambda x, k: f"value {k}", name="other", description="")
    n = parameter("start", "p")
    for k in range(100):
        n = (step if k * k % 7 < 3 else other)(n, k)
    text = backward(n).to_pseudocode(3000)
    assert "p=start" in text
    assert "value 99" in text
    assert "value 98" in text
    assert "lines left out" in text
    assert len(text) > 2500  # the room is used


def test_long_code_keeps_both_ends():
    made = acting("def act(x):\n" + "".join(f"    y{k} = {k}\n" for k in range(1000)) + "    return 1\n")
    text = backward(made(1)).to_pseudocode(1000)
    assert len(text) <= 1000
    assert "def act(x):" in text
    assert "return 1" in text
    assert re.search(r"\(\d+ more characters\)", text)


def test_a_long_variable_takes_what_short_ones_leave():
    a, b = parameter("a" * 5000, "a"), parameter("short", "b")
    variables = backward(a + b).sections(3000)["variables"]
    assert "(str) b=short" in variables
    assert len(variables) > 900  # of the 35 % that are theirs, all


def test_loops_are_rolled_up():
    shoot = operator(lambda board, k: board[:k] + "X" + board[k + 1 :], name="shoot", description="Shoots.")
    board = parameter("." * 30, "board").node
    for k in range(30):
        board = shoot(board, k)
    graph = backward(board)
    sections = graph.sections(8000)
    assert sections["code"].splitlines() == [
        "shoot0 = shoot(board=board, k=0)",
        "# ... 26 more rounds of this operation, which gives shoot1..shoot26",
        f"# argument k of shoot1..shoot26: {'; '.join(map(str, range(1, 27)))}",
        "shoot27 = shoot(board=shoot26, k=27)",
        "shoot28 = shoot(board=shoot27, k=28)",
        "shoot29 = shoot(board=shoot28, k=29)",
    ]
    assert "# shoot1..shoot" in sections["others"]
    for picture in (graph.to_mermaid(), graph.to_graphviz()):
        assert "nodes of a loop" in picture
    assert len(graph.to_pseudocode()) < 3000


def test_each_loop_is_rolled_up():
    x = parameter(1, "x").node
    for step in (lambda x: x + 1, lambda x: -(x * 3 - x) % 1009, lambda x: x // 1):
        x = abs(x)
        for _ in range(100):
            x = step(x)
    graph = backward(x)
    code = graph.sections()["code"].splitlines()
    assert [line for line in code if "more rounds" in line] == [
        "# ... 97 more rounds of this operation, which gives add1..add97",
        "# ... 97 more rounds of these 4 operations, which give mul1..mul97, sub1..sub97, neg1..neg97, mod1..mod97",
        "# ... 96 more rounds of this operation, which gives floordiv1..floordiv96",
    ]
    assert len(code) == 3 + 4 + 13 + 4 + 1  # abs, three loops, the output
    nodes = [k for item in folded(graph, computed(graph)) for k in (item.nodes if isinstance(item, Fold) else [item])]
    assert nodes == computed(graph)
    assert graph.to_mermaid().count("nodes of a loop") == graph.to_graphviz().count("nodes of a loop") == 3


def test_the_values_of_a_folded_loop_are_listed():
    n = parameter("..", "p").node
    for k in range(60):
        n = (n + "." * (k % 3))[-4:]
    others = backward(n).sections()["others"]
    assert "# add1..add56: '...'; '.....'; '....'; '.....'; '......'; '....'; " in others
    x = parameter(1, "x").node
    for _ in range(30):
        x = x * 1
    assert "# mul1..mul26: always 1" in backward(x).sections()["others"]


@pytest.mark.parametrize(
    ("build", "line"),
    [
        (lambda p: p**2, "pow0 = p ** 2"),
        (lambda p: node([p, 1]), "list0 = [p, 1]"),
        (lambda p: node((p,)), "tuple0 = (p,)"),
        (lambda p: node({"k": p, 2: 3}), "dict0 = {'k': p, 2: 3}"),
        (lambda p: node("abc")[p], "getitem0 = input0[p]"),
        (lambda p: p.real, "getattr0 = p.real"),
        (lambda p: p.to_bytes(2, "big"), "to_bytes0 = p.to_bytes(2, 'big')"),
        (lambda p: p.to_bytes(length=2, byteorder="big"), "to_bytes0 = p.to_bytes(length=2, byteorder='big')"),
        (lambda p: operator(lambda a, b=2: a)(p), "<lambda>0 = <lambda>(a=p)"),
    ],
)
def test_calls_are_written_as_python_writes_them(build, line):
    assert backward(build(parameter(1, "p"))).sections()["code"].splitlines()[-1] == line


def test_diagrams_escape_what_their_languages_read():
    p = parameter('say "hi"\n<b>\\', "p")
    graph = backward(p + "x")
    assert '"hi"' not in graph.to_mermaid()
    assert "<b>" not in graph.to_mermaid()
    assert '\\"hi\\"' in graph.to_graphviz()
    for line in graph.to_graphviz().splitlines():
        assert len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) % 2 == 0
