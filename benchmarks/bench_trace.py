"""The tracer's speed, and its ratio to trace-opt's in the same run.

``make bench`` prints ours. With ``TRACE_OPT_PYTHON`` naming a Python that has trace-opt 0.1.3.8 (pip install --no-deps
trace-opt==0.1.3.8, then litellm, graphviz, black), each figure is printed beside trace-opt's.
"""

from __future__ import annotations

import os
import subprocess

import pytest

from opto_gym.trace import backward, node, operator, parameter

THEIRS = '''
import time
from opto.trace import GRAPH, bundle, node
@bundle()
def add(x):
    """Adds."""
    return x + 1
def best(run, times=5):
    return min(run() for _ in range(times))
def operation(n=1000):
    x = y = node(1.0, trainable=True, name="x")
    begin = time.perf_counter()
    for _ in range(n): y = y + 1.5
    return (time.perf_counter() - begin) / n
def call(n=1000):
    x = node(1.0, trainable=True, name="x")
    begin = time.perf_counter()
    for _ in range(n): add(x)
    return (time.perf_counter() - begin) / n
def back(n):
    y = node(1.0, trainable=True, name="x")
    for _ in range(n): y = y + 1.5
    begin = time.perf_counter()
    y.backward("f")
    seconds = time.perf_counter() - begin
    GRAPH.clear()
    return seconds / n
print("operation", best(operation)); print("call", best(call))
for n in (100, 1000): print("backward", n, best(lambda: back(n), 3))
'''


@operator
def add(x):
    """Adds."""
    return x + 1


@operator
def copy(board):
    """Copies."""
    return [row.copy() for row in board]


@operator
def total(*numbers):
    """Sums."""
    return sum(numbers)


def chain(n):
    y = parameter(1.0, "x")
    for _ in range(n):
        y = y + 1.5
    return y


def fan(n):
    x = parameter(1.0, "x")
    return total(*[x * float(i) for i in range(n)])


SHAPES = {"chain": chain, "fan": fan}


@pytest.mark.benchmark(group="operation")
def test_operation(benchmark):
    x = parameter(1.0, "x").node
    benchmark(lambda: x + 1.5)


@pytest.mark.benchmark(group="operator call")
def test_call(benchmark):
    x = parameter(1.0, "x").node
    benchmark(add, x)


@pytest.mark.benchmark(group="operator call on an 8x8 board")
def test_board(benchmark):
    board = parameter([["."] * 8 for _ in range(8)], "board").node
    benchmark(copy, board)


@pytest.mark.parametrize("n", [100, 1000, 100_000, 1_000_000])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.benchmark(group="backward")
def test_backward(benchmark, shape, n):
    y = SHAPES[shape](n)
    graph = benchmark.pedantic(backward, (y,), rounds=5 if n < 10**6 else 2)
    benchmark.extra_info["us a node"] = round(benchmark.stats.stats.min / len(graph) * 1e6, 2)
    print(f"\n{shape} {n}: {benchmark.stats.stats.min / len(graph) * 1e6:.2f} us a node")


@pytest.mark.parametrize("what", ["to_json", "content_hash", "to_pseudocode"])
@pytest.mark.benchmark(group="graph of 100,000 nodes")
def test_graph(benchmark, what):
    y = chain(100_000)

    def fresh():
        return (backward(y),), {}

    def work(graph):
        value = getattr(graph, what)
        return value() if callable(value) else value

    benchmark.pedantic(work, setup=fresh, rounds=5)


@pytest.mark.skipif("TRACE_OPT_PYTHON" not in os.environ, reason="TRACE_OPT_PYTHON names no python with trace-opt")
@pytest.mark.benchmark(group="operation")
def test_ratio_to_trace_opt(benchmark, tmp_path):
    (tmp_path / "theirs.py").write_text(THEIRS)  # bundle() reads the source from a file
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [os.environ["TRACE_OPT_PYTHON"], str(tmp_path / "theirs.py")],
        capture_output=True,
        text=True,
        env=env,
        check=True,
    )
    print("\ntrace-opt, seconds:\n" + done.stdout)
    n = node(1)
    benchmark(lambda: n + 1)
