from __future__ import annotations

import ast

import numpy as np
import pytest

import opto_gym
from opto_gym import Code, Feedback, Number, OptoEnv, Parameter, Part, trace
from opto_gym.agents.toolkit.repairs import repairs
from opto_gym.agents.trace_descent import TraceDescent, outcomes, suspected
from opto_gym.trace import node, operator
from opto_gym.wrappers import MaskGraph, ScalarOnly
from tests.support.tasks import Adder

MASK = ["code", "documentation", "inputs", "others"]


def drive(env, calls, seed=0):
    """(calls until it ended, whether it is solved, the proposals)."""
    agent, proposals = TraceDescent(), []
    agent.reset(env.unwrapped.problem, seed=seed)
    observation, _ = env.reset(seed=seed)
    for n in range(1, calls + 1):
        proposals.append(agent.propose(observation))
        observation, _, terminated, *_ = env.step(proposals[-1])
        if terminated:
            return n, True, proposals
    return calls, False, proposals


# ------------------------------------------------------------------ derivatives
class Bowl(OptoEnv):
    """Minimize (x - 3)² + 2 y²."""

    objective, scores = "Make the output small.", (1e6, 0.0)
    splits = {"train": (None,), "test": (None,)}
    parameters = (Parameter("x", Number(-100, 100), 0.0), Parameter("y", Number(-100, 100), 4.0))
    ends_when_solved, instance = True, True

    def forward(self, p, example):
        return (p.x - 3) ** 2 + p.y * p.y * 2

    def judge(self, output, example):
        return Feedback(output, (), output < 1e-6)


def test_a_step_on_a_quadratic_is_polyaks():
    env = Bowl()
    agent = TraceDescent()
    agent.reset(env.problem)
    # f = 9 + 32, f' = (-6, 16): the step is f / |f'|² along -f'
    share = 41 / (36 + 256)
    assert agent.propose(env.reset(seed=0)[0]) == pytest.approx({"x": 6 * share, "y": 4 - 16 * share})


def test_a_quadratic_is_solved_with_the_graph_and_with_measured_slopes():
    exact, solved, proposals = drive(Bowl(), 100)
    assert solved
    assert proposals[-1]["x"] == pytest.approx(3.0, abs=2e-3)
    for wrapped in (MaskGraph(Bowl(), MASK), ScalarOnly(Bowl())):
        measured, solved, _ = drive(wrapped, 300)
        assert solved
        assert measured > 1.5 * exact  # slopes cost a call a parameter


class Cliff(OptoEnv):
    """A score that leaps to its worst, which is near to the largest number."""

    objective, scores = "Make the output small.", (1e308, 0.0)
    splits = {"train": (None,), "test": (None,)}
    parameters = (Parameter("x", Number(), 0.0),)
    instance = True

    def forward(self, p, example):
        return (p.x - 3) ** 2

    def judge(self, output, example):
        return Feedback(1e308 if output < 9 else -1e308, ())


@pytest.mark.parametrize("wrap", [lambda env: env, ScalarOnly])
def test_proposals_stay_finite_on_a_cliff(wrap):
    _, _, proposals = drive(wrap(Cliff()), 40)
    assert all(Cliff().action_space["x"].contains(v["x"]) for v in proposals)


def test_slopes_are_measured_inside_of_the_space():
    env = ScalarOnly(Bowl())
    env.unwrapped.parameters[0].space.high = 0.0  # the start is at the bound
    _, _, proposals = drive(env, 30)
    assert all(-100 <= v["x"] <= 0 for v in proposals)
    assert any(0 > v["x"] > -1e-3 and v["y"] == 4.0 for v in proposals)


def test_arithmetic_programs_are_solved_and_faster_with_the_graph():
    calls = {"graph": 0, "masked": 0}
    solved = 0
    for k in range(20):
        env = opto_gym.make("NumericalOptimization-v0", problem=k, n_parameters=5)
        n, done, _ = drive(env, 50)
        calls["graph"] += n
        solved += done
        calls["masked"] += drive(MaskGraph(env, MASK), 50)[0]
    assert solved >= 17
    assert calls["graph"] < 0.6 * calls["masked"]


# ------------------------------------------------------------------ blame
def verdict(name):
    @operator(name=name)
    def check(given, got):
        return {"value": got, "right": got == given + 1}

    return check


def chain(*steps):
    """x goes through x + a, x + b, ..., each checked to add 1."""
    x = node(0, "x")
    parameters = [trace.parameter(step, "abcdef"[k]) for k, step in enumerate(steps)]
    for k, p in enumerate(parameters):
        x = verdict(f"v{k}")(x, x + p)["value"]
    return trace.backward(x, parameters)


@pytest.mark.parametrize(
    ("steps", "found"), [((1, 1, 1), []), ((1, 5, 1), ["b"]), ((5, 1, 1), ["a"]), ((5, 1, 2), ["a", "c"])]
)
def test_a_failed_verdict_blames_what_no_other_clears(steps, found):
    assert suspected(chain(*steps)) == found


def test_a_masked_graph_blames_nothing():
    assert suspected(chain(1, 5, 1).masked(MASK)) == []


def test_an_error_blames_what_went_into_it():
    x, y = trace.parameter(1, "x"), trace.parameter(2, "y")

    @operator
    def fails(a):
        return [][a]

    with pytest.raises(IndexError) as e:
        fails(y + 1) + x
    assert suspected(trace.backward(e.value.exception_node, [x, y])) == ["y"]


def test_blame_goes_from_a_place_of_a_list_to_what_stands_there():
    p = [trace.parameter(k, name) for k, name in enumerate("abc")]

    @operator
    def listed(*items):
        return list(items)

    @operator
    def fine(item):
        return item > 5

    assert suspected(trace.backward(fine(listed(*p)[1]), p)) == ["b"]


@pytest.mark.parametrize(
    ("name", "budget", "keywords"),
    [
        ("BinaryLock-v0", 10, {}),
        ("LongTrace-v0", 9, {"length": 300}),
        pytest.param("LongTrace-v0", 9, {"length": 20_000}, marks=pytest.mark.slow),
    ],
)
def test_blame_mends_one_value_after_the_other(name, budget, keywords):
    for k in range(5):
        assert drive(opto_gym.make(name, problem=k, **keywords), budget)[1]


# ------------------------------------------------------------------ credit
def test_outcomes_are_the_numbers_nearest_to_a_parameter():
    a, b = trace.parameter(1.0, "a"), trace.parameter(2.0, "b")

    @operator
    def world(x, y):
        return {"x": 10 * x, "y": 10 * y}

    @operator
    def queue(world, own, name):
        return {"queue": world[name]}

    @operator
    def overall(*queues):
        return sum(q["queue"] for q in queues)

    w = world(a + 1, b + 1)
    output = overall(queue(w, a, "x"), queue(w, b, "y"))
    graph = trace.backward(output, [a, b])
    assert outcomes(graph) == {"a": 20.0, "b": 30.0}  # a + 1 depends on a alone; the sum is as near to both
    assert outcomes(graph.masked(MASK)) == {}


# ------------------------------------------------------------------ search
def test_a_search_tries_nothing_twice_and_then_changes_more():
    env = MaskGraph(opto_gym.make("BinaryLock-v0", digits=4), MASK)
    n, solved, proposals = drive(env, 15)
    assert solved
    assert len({tuple(v.values()) for v in proposals}) == n


def test_words_and_orders_and_choices_are_moved_too():
    for name in ("TSP-v0", "LinearRegression-v0", "Greeting-v0"):
        env = opto_gym.make(name)
        _, _, proposals = drive(env, 12)
        assert all(env.action_space[k].contains(x) for v in proposals for k, x in v.items())
        assert len({str(v) for v in proposals}) > 6


# ------------------------------------------------------------------ repairs
FAULTS = {
    "missing return": ("    y = x + 1\n", "    y = x + 1\n    return y\n"),
    "missing return of an expression": ("    x + 1\n", "    return x + 1\n"),
    "missing return of a list": (
        "    out = []\n    for i in x:\n        out.append(i)\n",
        "    out = []\n    for i in x:\n        out.append(i)\n    return out\n",
    ),
    "swapped comparison": ("    return x < 3\n", "    return x >= 3\n"),
    "swapped equality": ("    return x != 3\n", "    return x == 3\n"),
    "membership": ("    return x in (1,)\n", "    return x not in (1,)\n"),
    "off by one": ("    return x[1:]\n", "    return x[2:]\n"),
    "off by one in a range": ("    return list(range(x))\n", "    return list(range(x + 1))\n"),
    "off by one in an index": ("    return [x[i] for i in x]\n", "    return [x[i - 1] for i in x]\n"),
    "wrong constant": ("    return x + 4\n", "    return x + 7\n"),
    "wrong sign": ("    return x + 4\n", "    return x + -4\n"),
    "wrong truth": ("    return sorted(x, reverse=True)\n", "    return sorted(x, reverse=False)\n"),
    "wrong operator": ("    return x / 4\n", "    return x // 4\n"),
    "and for or": ("    return x or 4\n", "    return x and 4\n"),
    "max for min": ("    return max(x, 4)\n", "    return min(x, 4)\n"),
    "swapped operands": ("    return x - 4\n", "    return 4 - x\n"),
    "unbound name": ("    return y + 4\n", "    return x + 4\n"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_grammar_has_a_repair_of_each_fault(fault):
    broken, right = (f"def f(x):\n{body}" for body in FAULTS[fault])
    found = repairs(broken)
    assert right in found
    assert len(found) == len(set(found))
    assert broken not in found
    assert all(ast.parse(source) for source in found)


def test_repairs_begin_at_the_line_that_failed():
    source = "def f(x):\n    a = x < 1\n    b = x < 2\n    return [a, b]\n"
    assert repairs(source)[0].splitlines()[1] != "    a = x < 1"
    assert repairs(source, line=3)[0].splitlines()[2] != "    b = x < 2"


@pytest.mark.parametrize("source", ["def f(x:", "", "def f(x):\n    '''Only a docstring.'''\n", "\0"])
def test_what_has_no_repair_gives_none(source):
    assert repairs(source) == []


def test_code_with_two_faults_is_mended_though_one_repair_alone_shows_nothing():
    class Broken(Adder):
        parameters = (Parameter("add", Code("add(a, b)"), "def add(a, b):\n    c = a - b\n", "adds"),)
        ends_when_solved = True

    env = Broken()
    _, solved, proposals = drive(env, 300)
    assert solved
    assert env.evaluate(proposals[-1], split="test").success


class Pieces(OptoEnv):
    """Two functions, of which the second raises."""

    objective, scores = "Make the output 6.", (0.0, 1.0)
    splits = {"train": (None,), "test": (None,)}
    parameters = (
        Parameter("first", Code("first(xs)"), "def first(xs):\n    return xs\n"),
        Parameter("second", Code("second(xs)"), "def second(xs):\n    k = 3\n    n = xs[k]\n    return n + 3\n"),
    )
    ends_when_solved, instance = True, True

    def forward(self, p, example):
        return p.second(p.first(node([1, 2, 3], "xs")))

    def judge(self, output, example):
        return Feedback(float(output == 6), (Part("reward", f"Expected 6, got {output}."),), output == 6)


def test_code_that_raises_is_blamed_and_mended_where_it_raised():
    _, solved, proposals = drive(Pieces(), 40)
    assert solved
    assert all(v["first"] == Pieces().problem.start["first"] for v in proposals)
    assert "k = 3" in proposals[0]["second"]  # first the line that raised


@pytest.mark.slow
def test_four_of_five_pipelines_are_mended_and_sooner_with_the_graph():
    mended, calls, masked = 0, [], []
    for k in range(100):
        env = opto_gym.make("BlameAssign-v0", problem=k, oracle_calls=40)
        n, _, proposals = drive(env, 40)
        calls.append(n)
        mended += env.unwrapped.evaluate(proposals[-1], split="test").success
        if k < 20:
            masked.append(drive(MaskGraph(env, MASK), 40)[0])
    assert mended >= 80
    assert np.mean(calls[:20]) < 0.5 * np.mean(masked)
