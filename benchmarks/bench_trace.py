"""The cost of tracing, compared with trace-opt 0.1.3.8 in the same process if it can be imported.

The table at the end shows microseconds per operation, call, node or item: the best of 5 rounds, with the garbage
collector enabled, on immutable scalars. The tracer of trace-opt needs only one of its dependencies::

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
    """Microseconds by (name of the measurement, package); printed as a table at the end."""
    found: dict[tuple[str, str], float] = {}
    yield found
    lines = [f"{'microseconds, best of 5':<52} {'opto_gym':>11} {'trace-opt':>10} {'ratio':>6}"]
    for name in dict.fromkeys(name for name, _ in found):
        ours, theirs = found.get((name, "opto_gym")), found.get((name, "trace-opt"))
        compared = f"{theirs:>10.1f} {theirs / ours:>6.0f}" if ours and theirs else ""
        lines.append(f"{name:<52} {ours or float('nan'):>11,.3f} {compared}")
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n\n" + "\n".join(lines))


@pytest.fixture
def measure(benchmark, figures):
    """Times `run(*setup())`, and stores the duration of the best round divided by the number of items."""

    def timed(name: str, items: int, run: Callable[..., Any], setup: Callable[[], tuple[Any, ...]], package="opto_gym"):
        benchmark.group = name
        result = benchmark.pedantic(run, setup=lambda: (setup(), {}), rounds=ROUNDS)
        figures[name, package] = benchmark.stats.stats.min / items * 1e6
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
        unpaired = level[-1:] if len(level) % 2 else []
        level = [a + b for a, b in zip(level[::2], level[1::2], strict=False)] + unpaired
    return level[0]


def fan(n: int) -> Any:
    x = root()
    return trace.operator(lambda *values: 0.0, name="total", description="")(*[x * float(i) for i in range(n)])


def random_program(n: int) -> Any:
    """A random program without loops, in which every node is used."""
    rng = random.Random(0)
    steps = [lambda a, b: (a + b) * 0.5, lambda a, b: a - b * 0.5, lambda a, b: -a, lambda a, b: add(a, 0.1)]
    nodes = [root()]
    for _ in range(n):
        nodes.append(rng.choice(steps)(nodes[-1], rng.choice(nodes)))
    return nodes[-1]


SHAPES = {"chain": chain, "tree": tree, "fan": fan, "random": random_program}
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
    """Calls an operator on a list: takes a snapshot of its value, and compares its input with that before the call."""
    copy = trace.operator(lambda xs: xs[:], name="copy", description="")
    name = f"operator on a list of {items:,}, an item and snapshot"
    measure(name, 2 * items * 500, repeat, lambda: (trace.parameter([1.5] * items, "xs"), copy, 500))


def test_board(measure):
    copy = trace.operator(lambda board: [row[:] for row in board], name="copy", description="")
    board = [["."] * 8 for _ in range(8)]
    name = "operator on an 8x8 board"
    measure(name, 500, repeat, lambda: (trace.parameter(board, "board"), copy, 500))


@pytest.mark.parametrize("form", ["to_json", "content_hash", "names", "to_pseudocode", "to_mermaid", "to_graphviz"])
@pytest.mark.parametrize("shape", ["chain", "random"])
def test_form(measure, shape, form):
    """Converts a whole graph of 100,000 nodes; 500,000 microseconds are half a second."""
    graph = trace.backward(SHAPES[shape](100_000))
    assert len(graph) > 100_000

    def run(g: Any) -> Any:
        value = getattr(g, form)
        return value() if callable(value) else value

    fresh = (graph.operators, graph.nodes, graph.parameters, graph.output)  # a graph caches its forms
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

    name = f"backward a node, chain of {n:,}"
    measure(name, n, run, lambda: (repeat(their_root(), lambda x: x + 1.5, n),), "trace-opt")


def program(seed: int, n: int, parameter: Callable, constant: Callable, step: Callable) -> Any:
    """A random program of n steps. Some do not depend on the parameters, and some do not affect the output.

    No step takes the same node twice, since trace-opt's backward fails with an AssertionError then.
    """
    rng = random.Random(seed)
    nodes = [parameter(1.5, "x0"), parameter(2.25, "x1"), constant(3.125), constant(5.0625)]
    for _ in range(n):
        a = rng.randrange(max(0, len(nodes) - 8), len(nodes))
        b = (a + rng.randrange(1, len(nodes))) % len(nodes)
        nodes.append(step(nodes[a], nodes[b]))
    return nodes


@pytest.mark.parametrize("package", ["opto_gym", pytest.param("trace-opt", marks=theirs)])
def test_random_program(measure, package):
    """Measures running a program and backward together, and checks that both packages find the same nodes."""
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

    run = {"opto_gym": ours, "trace-opt": trace_opt}[package]
    found = measure(
        "random program of 200, run and backward, a step", n * len(seeds), lambda: list(map(run, seeds)), tuple, package
    )
    if package == "trace-opt":
        assert found == list(map(ours, seeds))
