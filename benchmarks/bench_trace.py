"""What tracing costs, beside trace-opt 0.1.3.8 in the same process where that can be imported.

The figures, in the table at the end, are microseconds an operation, a call, a node or an item: best of 5, the garbage
collector on, immutable scalars. Of trace-opt's dependencies its tracer needs one, pure Python too::

    pip install --target .venv-bench --no-deps trace-opt==0.1.3.8 graphviz==0.21
    PYTHONPATH=.venv-bench pytest -q benchmarks/bench_trace.py --benchmark-only
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from opto_gym import trace

try:
    from opto.trace import GRAPH, bundle
    from opto.trace import node as their_node
    from opto.trace.propagators import GraphPropagator
except ImportError:
    GRAPH = None

ROUNDS = 5


@pytest.fixture(scope="module")
def figures(request) -> Iterator[dict[tuple[str, str], float]]:
    """(what, whose) -> microseconds; printed as a table at the end."""
    found: dict[tuple[str, str], float] = {}
    yield found
    lines = [f"{'microseconds, best of 5':<52} {'opto_gym':>11} {'trace-opt':>10} {'ratio':>6}"]
    for what in dict.fromkeys(what for what, _ in found):
        ours, theirs = found.get((what, "opto_gym")), found.get((what, "trace-opt"))
        compared = f"{theirs:>10.1f} {theirs / ours:>6.0f}" if ours and theirs else ""
        lines.append(f"{what:<52} {ours or float('nan'):>11,.3f} {compared}")
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n\n" + "\n".join(lines))


@pytest.fixture
def measure(benchmark, figures):
    """Times `run(*setup())` and books the best round, divided by the number of items."""

    def timed(what: str, items: int, run: Callable[..., Any], setup: Callable[[], tuple[Any, ...]], whose="opto_gym"):
        benchmark.group = what
        result = benchmark.pedantic(run, setup=lambda: (setup(), {}), rounds=ROUNDS)
        figures[what, whose] = benchmark.stats.stats.min / items * 1e6
        return result

    return timed


@trace.operator
def plus_one(value):
    """Adds one."""
    return value + 1


@trace.operator
def add(a, b):
    """Adds."""
    return a + b


def repeat(x: Any, step: Callable[[Any], Any], n: int) -> Any:
    for _ in range(n):
        x = step(x)
    return x


def root() -> Any:
    return trace.parameter(0.0, "x").node


def chain(n: int) -> Any:
    return repeat(root(), lambda x: x + 1.5, n)


def tree(n: int) -> Any:
    x = root()
    level = [x + float(i) for i in range(n // 2)]
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [a + b for a, b in zip(level[::2], level[1::2], strict=False)] + odd
    return level[0]


def fan(n: int) -> Any:
    x = root()
    return trace.operator(lambda *values: 0.0, name="total", description="")(*[x * float(i) for i in range(n)])


def tangle(n: int) -> Any:
    """A random program without loops, in which every node is used."""
    draw = random.Random(0)
    steps = [lambda a, b: (a + b) * 0.5, lambda a, b: a - b * 0.5, lambda a, b: -a, lambda a, b: add(a, 0.1)]
    nodes = [root()]
    for _ in range(n):
        nodes.append(draw.choice(steps)(nodes[-1], draw.choice(nodes)))
    return nodes[-1]


SHAPES = {"chain": chain, "tree": tree, "fan": fan, "random": tangle}
STEPS = {
    "operation x + 1.5": lambda x: x + 1.5,
    "operator call, 1 argument": plus_one,
    "operator call, 2 nodes": lambda x: add(x, x),
    "operator call, by name": lambda x: add(a=x, b=1.0),
}


@pytest.mark.parametrize("n", [1_000, 100_000])
@pytest.mark.parametrize("step", STEPS)
def test_step(measure, step, n):
    measure(f"{step}, {n:,} in a row", n, repeat, lambda: (root(), STEPS[step], n))


@pytest.mark.parametrize("n", [100, 1_000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("shape", ["chain", "tree", "fan"])
def test_backward(measure, shape, n):
    graph = measure(f"backward a node, {shape} of {n:,}", n, trace.backward, lambda: (SHAPES[shape](n),))
    assert len(graph) >= n


@pytest.mark.parametrize("items", [8, 64, 1_000])
def test_snapshot(measure, items):
    """An operator on a list: its value, and its input once more to see that it was not changed."""
    copy = trace.operator(lambda xs: xs[:], name="copy", description="")
    what = f"operator on a list of {items:,}, an item and snapshot"
    measure(what, 2 * items * 500, repeat, lambda: (trace.parameter([1.5] * items, "xs"), copy, 500))


def test_board(measure):
    copy = trace.operator(lambda board: [row[:] for row in board], name="copy", description="")
    board = [["."] * 8 for _ in range(8)]
    what = "operator on an 8x8 board"
    measure(what, 500, repeat, lambda: (trace.parameter(board, "board"), copy, 500))


@pytest.mark.parametrize("form", ["to_json", "content_hash", "names", "to_pseudocode", "to_mermaid", "to_graphviz"])
@pytest.mark.parametrize("shape", ["chain", "random"])
def test_form(measure, shape, form):
    """A whole graph of 100,000 nodes; the figure is microseconds, so 500,000 is half a second."""
    graph = trace.backward(SHAPES[shape](100_000))
    assert len(graph) > 100_000

    def run(g: Any) -> Any:
        value = getattr(g, form)
        return value() if callable(value) else value

    fresh = (graph.operators, graph.nodes, graph.parameters, graph.output)  # forms are kept once made
    measure(f"{form} of a {shape} of 100,000, in all", 1, run, lambda: (trace.TraceGraph(*fresh),))


# --- trace-opt

theirs = pytest.mark.skipif(GRAPH is None, reason="trace-opt is not installed")


def their_root() -> Any:
    GRAPH.clear()
    return their_node(0.0, trainable=True, name="x")


if GRAPH is not None:

    @bundle()
    def their_plus_one(value):
        """Adds one."""
        return value + 1

    @bundle()
    def their_add(a, b):
        """Adds."""
        return a + b


@theirs
@pytest.mark.parametrize("step", STEPS)
def test_their_step(measure, step):
    steps = {
        "operation x + 1.5": lambda x: x + 1.5,
        "operator call, 1 argument": their_plus_one,
        "operator call, 2 nodes": lambda x: their_add(x, x),
        "operator call, by name": lambda x: their_add(a=x, b=1.0),
    }
    measure(f"{step}, 1,000 in a row", 1_000, repeat, lambda: (their_root(), steps[step], 1_000), "trace-opt")


@theirs
@pytest.mark.parametrize("n", [100, 1_000])
def test_their_backward(measure, n):
    def run(end: Any) -> None:
        end.backward("feedback", propagator=GraphPropagator())

    what = f"backward a node, chain of {n:,}"
    measure(what, n, run, lambda: (repeat(their_root(), lambda x: x + 1.5, n),), "trace-opt")


def program(seed: int, n: int, parameter: Callable, constant: Callable, step: Callable) -> Any:
    """A random program of n steps, some of which the parameters do not reach and some of which lead nowhere.

    No step takes one node twice, at which trace-opt's backward fails an assertion.
    """
    draw = random.Random(seed)
    nodes = [parameter(1.5, "x0"), parameter(2.25, "x1"), constant(3.125), constant(5.0625)]
    for _ in range(n):
        a = draw.randrange(max(0, len(nodes) - 8), len(nodes))
        b = (a + draw.randrange(1, len(nodes))) % len(nodes)
        nodes.append(step(nodes[a], nodes[b]))
    return nodes


@pytest.mark.parametrize("whose", ["opto_gym", pytest.param("trace-opt", marks=theirs)])
def test_random_program(measure, whose):
    """Run and backward together; the two find the same nodes."""
    n, seeds = 200, range(10)

    def ours(seed: int) -> list[float]:
        nodes = program(seed, n, lambda v, name: trace.parameter(v, name).node, trace.node, add)
        return sorted(g.value for g in trace.backward(nodes[-1]).nodes)

    def trace_opt(seed: int) -> list[float]:
        GRAPH.clear()
        nodes = program(seed, n, lambda v, name: their_node(v, trainable=True, name=name), their_node, their_add)
        nodes[-1].backward("feedback", propagator=GraphPropagator())
        reached = [p for p in nodes[:2] if p.feedback]
        found = {id(k): k for p in reached for _, k in GraphPropagator().aggregate(p.feedback).graph}
        return sorted(k.data for k in found.values())

    run = {"opto_gym": ours, "trace-opt": trace_opt}[whose]
    found = measure(
        "random program of 200, run and backward, a step", n * len(seeds), lambda: list(map(run, seeds)), tuple, whose
    )
    if whose == "trace-opt":
        assert found == list(map(ours, seeds))
