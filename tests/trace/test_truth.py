"""Pseudo-code read back: each statement is true of the graph, and what matters goes last."""

from __future__ import annotations

import importlib.util
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import opto_gym
from opto_gym.trace import TraceGraph, backward, batch, node, operator, parameter
from opto_gym.trace.loops import computed
from opto_gym.trace.render import SHARES, Rank, calls
from tests.support.pseudocode import EVERYTHING, LEGEND, Checker, Untrue
from tests.support.random_graphs import graphs
from tests.support.registered import ENVS
from tests.support.soak import SOAK

SLOW = ("Traffic-v0", "TrafficPaper-v0", "TrafficGrid-v0", "MetaWorld-Reach-v1", "Battleship-v0", "LongTrace-v0")
BUDGETS = st.one_of(st.integers(1000, 4000), st.integers(1000, 40_000))
FULL = settings(max_examples=2000 if SOAK else 150, deadline=None, suppress_health_check=list(HealthCheck))
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def check_graph(graph: TraceGraph, *budgets: int) -> None:
    """Everything is there with budget to spare, and with less all is true, no longer, and the same each time."""
    checker = Checker(graph)
    again = TraceGraph.from_json(graph.to_json())
    for budget in budgets:
        sections = graph.sections(budget)
        assert sum(map(len, sections.values())) <= budget
        reading = checker.check(sections)
        assert again.sections(budget) == sections
        if "more rounds" not in sections["code"] + sections["others"]:
            check_priorities(checker, reading, budget)


# ------------------------------------------------------------------ what goes last
def verdict(value):
    """What a value says as a check; None if it is none."""
    if isinstance(value, dict):
        said = [v for v in value.values() if v is True or v is False]
        return all(said) if said else None
    return value if isinstance(value, bool) else None


def ranks(checker: Checker) -> dict[tuple[str, object], Rank]:
    """The rank of each statement, worked out from what the ranks mean."""
    graph, found = checker.graph, {}
    computed = [*checker.body, graph.output]
    errors = {k for k in computed if checker.kinds[k] == "error"}
    bad = errors | {k for k in computed if verdict(checker.values[k]) is False}
    inputs = [{i for i in n.inputs if type(i) is int} for n in graph.nodes]
    path = set(bad or {graph.output})
    for k in reversed(range(len(graph))):
        path |= inputs[k] if k in path else set()
    near = set().union(*(inputs[k] for k in (bad or {graph.output}) | {graph.output}))
    guides = {graph.operators[graph.nodes[k].operator] for k in path}
    for op in graph.operators:
        key = "documentation", f"[{op.name}] {op.description}"
        rank = Rank.GUIDE if op in guides else Rank.DOCUMENTATION
        found[key] = min(found.get(key, rank), rank)
    for k in graph.parameters:
        found["variables", k] = Rank.PARAMETER
        found["constraints", k] = found["variables", ("described", k)] = Rank.GUIDE
    for k in checker.inputs:
        found["inputs", k] = Rank.NEAR
    before = None
    for k in checker.body:
        op = graph.operators[graph.nodes[k].operator]
        rank = Rank.CALL if op.kind == "call" or op.description else Rank.ARITHMETIC
        rank = Rank.NEAR if k in near or verdict(checker.values[k]) is not None else rank
        rank = (
            Rank.REPEAT if op.name in ("getitem", "item", "getattr") and before in graph.nodes[k].inputs[:1] else rank
        )
        rank = Rank.OUTPUT if k in errors else Rank.CHECK if k in bad else rank
        found["code", k] = found["others", k] = rank
        before = k
    found["code", graph.output] = found["outputs", graph.output] = Rank.OUTPUT
    return found


def check_priorities(checker: Checker, reading, budget: int) -> None:
    """A rank is whole where its share of what the ranks before it leave is enough, and else those after it get no more
    than the rest of that share and what one line more would have taken.
    """
    rank_of, everything = ranks(checker), checker.everything.sizes
    slack = 2 * max(80, budget // 8) + 40 * len(reading.loops) + len(LEGEND) + 160
    left = budget - slack
    for rank in Rank:
        own = [key for key in everything if rank_of[key] == rank]
        need = sum(everything[key] for key in own)
        missing = [key for key in own if reading.states.get(key) != "whole"]
        if need <= SHARES[rank] * left:
            assert not missing, f"{rank!r} takes {need} of {left}, but {missing[:5]} are not whole"
        if any(key not in reading.states for key in own):
            after = sum(size for key, size in reading.sizes.items() if rank_of[key] > rank)
            assert after <= (1 - SHARES[rank]) * (left + slack) + slack, f"{rank!r} lacks {missing[:5]}"
        left -= min(need, sum(reading.sizes.get(key, 0) for key in own))
        if missing:
            break


# ------------------------------------------------------------------ any graph
@QUICK
@given(graphs(), BUDGETS)
def test_every_statement_is_true(graph, budget):
    check_graph(graph, budget)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@FULL
@given(graphs(), BUDGETS, BUDGETS)
def test_every_statement_is_true_of_many(graph, budget, another):
    check_graph(graph, budget, another)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in ENVS])
def test_every_statement_is_true_of_an_environment(name):
    """The start values, the reference solution and three random proposals."""
    env = opto_gym.make(name).unwrapped
    if env.uses_model:
        pytest.skip("needs a model")
    found = [env.reset(seed=0)[0]]
    proposals = []
    for seed in range(3):
        env.action_space.seed(seed)
        proposals.append(env.action_space.sample())
    for values in [env.reference_solution(), *proposals]:
        if values:
            found.append(env.step(values)[0])
    for graph, _ in found:
        check_graph(graph, 12_000, 6_000, 3_000, 1_500)


# ------------------------------------------------------------------ the checker
@pytest.mark.parametrize(
    ("said", "untrue"),
    [
        ("add0 = x + 1.5", "add0 = x + 2.5"),
        ("add0=3.0", "add0=3.5"),
        ("# x: where it is\n", "# x: where it was\n"),
        ("[f] Hands on.", "[f] Hands back."),
        ("always 'same'", "always 'some'"),
        ("which gives f1..f", "which gives f2..f"),
        ("26 more rounds", "27 more rounds"),
        ("# argument k of f1..f26: 1; 2; 3; ", "# argument k of f1..f26: 1; 3; 2; "),
        ("# argument k of f1..f26: ", "# argument k of f2..f26: "),
        ("a number", "a text"),
    ],
)
def test_the_checker_refuses(said, untrue):
    hand_on = operator(lambda v, k: "same", name="f", description="Hands on.")
    x = parameter(1.5, "x", description="where it is", constraint="a number")
    y = x + 1.5
    for k in range(30):
        y = hand_on(y, k)
    graph = backward(y)
    sections = graph.sections(EVERYTHING)
    checker = Checker(graph)
    changed = {name: text.replace(said, untrue) for name, text in sections.items()}
    assert changed != sections
    with pytest.raises(Untrue):
        checker.check(changed)


# ------------------------------------------------------------------ what was wrong once
def test_different_boards_are_not_shown_as_one():
    fire = operator(lambda b, k: [["X" if 6 * r + c == k else "." for c in range(6)] for r in range(6)], name="fire")
    board = parameter(0, "start").node
    for k in range(36):
        board = fire(board, k)
    others = backward(board).sections(EVERYTHING)["others"]
    assert "always" not in others
    assert len(set(re.findall(r"grid\([X./]+\)", others))) == 35  # the last is the output


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (lambda f, x, k: x + k, "# argument 2 of add1..add26: 1; 2; 3; 4; "),
        (lambda f, x, k: x + max(1, k), "# argument 2 of add1..add26: 1; 2; 3; 4; "),
        (lambda f, x, k: x + min(1, k), "# argument 2 of add1..add26: always 1"),
        (lambda f, x, k: x + (True if k % 2 else 1), "# argument 2 of add1..add26: True; 1; True; "),
        (lambda f, x, k: f(x, float(k // 5)), "# argument k of f1..f26: 0.0 (4 times); 1.0 (5 times); "),
        (lambda f, x, k: x + 1, None),
        (lambda f, x, k: -x, None),
    ],
)
def test_a_folded_loop_shows_the_literals_that_change(step, line):
    f = operator(lambda x, k: x, name="f", description="")
    x = parameter(1, "x").node
    for k in range(30):
        x = step(f, x, k)
    graph = backward(x)
    for code in (graph.sections(EVERYTHING)["code"], calls(graph, computed(graph), EVERYTHING)):
        lines = [shown for shown in code.splitlines() if shown.startswith("# argument")]
        assert [shown[: len(line)] for shown in lines] == [line] if line else lines == []


def test_a_folded_loop_shows_which_nodes_its_arguments_are_where_no_rule_tells():
    f = operator(lambda x, y: x, name="f", description="")
    x, given = parameter(1, "x").node, [node(k, "in") for k in range(30)]
    for k in range(30):
        x = f(x, given[k * 7 % 30])
    code = backward(x).sections(EVERYTHING)["code"]
    assert re.search(r"^# argument y of f1\.\.f26: (in\d+; ){25}in\d+$", code, re.M)


def test_the_calls_of_a_path_show_what_a_folded_loop_gave():
    f = operator(lambda x, k: k // 13, name="f", description="")
    x = parameter(1, "x").node
    for k in range(30):
        x = f(x, k)
    graph = backward(x)
    assert "\n# f1..f26: 0 (12 times); 1 (13 times); 2\n" in calls(graph, computed(graph), EVERYTHING)


def test_the_calls_of_a_path_explain_boards():
    keep = operator(lambda b, other: b, name="keep", description="")
    graph = backward(keep(parameter([["a", "b"], ["c", "d"]], "board"), 1))
    places = range(len(graph))
    assert calls(graph, places, EVERYTHING).startswith(f"{LEGEND}board = grid(ab/cd)\n")
    assert len(calls(graph, places, 130)) <= 130
    assert LEGEND not in calls(backward(parameter(1, "x") + 1), range(2), EVERYTHING)


def prompt(env, observation) -> str:
    agent = opto_gym.make_agent("OptoPrime", model="none", prompt_budget=4000)
    agent.reset(env.unwrapped.problem, seed=0)
    return agent.messages(observation)[-1]["content"]


@pytest.mark.parametrize("problem", range(20))
def test_the_broken_stage_is_described(problem):
    env = opto_gym.make("BlameAssign-v0", problem=problem).unwrapped
    text = prompt(env, env.reset(seed=0)[0])
    check = next(s for s in env.stages if s.name == env.broken)
    assert f"[check_{check.name}] {check.name} should {check.rule}. Hands its answer on" in text


@pytest.mark.parametrize("length", [100, 1000, 10_000])
def test_the_failed_check_is_shown(length):
    env = opto_gym.make("LongTrace-v0", length=length).unwrapped
    observation = env.reset(seed=0)[0]
    failed = [observation.graph.names[k] for k, n in enumerate(observation.graph.nodes) if verdict(n.value) is False]
    text = prompt(env, observation)
    assert failed
    assert re.search(rf"^\(dict\) {failed[0]}={{'value': \d+, 'right': False}}$", text, re.M)


@pytest.mark.skipif(importlib.util.find_spec("metaworld") is None, reason="metaworld is not installed")
def test_the_feedback_of_a_robot_s_step_is_whole():
    env = opto_gym.make("MetaWorld-PickPlace-v1").unwrapped
    observation = env.reset(seed=0)[0]
    assert str(observation.feedback) in prompt(env, observation)
    assert observation.graph.sections(EVERYTHING)["outputs"] in prompt(env, observation)


@pytest.mark.parametrize(
    ("build", "line"),
    [
        (lambda p: operator(lambda a: {"b", "a", "c"}, name="f")(p), "(set) f0={'a', 'b', 'c'}"),
        (lambda p: operator(lambda a: frozenset(), name="f")(p), "(frozenset) f0=frozenset()"),
        (lambda p: operator(lambda a: [1000.0000001, 1000.0], name="f")(p), "(list) f0=[1000.0000001, 1000.0]"),
        (lambda p: operator(lambda a: [1 / 3, 2 / 3], name="f")(p), "(list) f0=[0.333333, 0.666667]"),
    ],
)
def test_values_as_text(build, line):
    assert backward(build(parameter(1, "p"))).sections()["outputs"] == line


def test_powers_of_negative_numbers():
    assert backward((-2) ** parameter(2, "n").node).sections()["code"] == "pow0 = (-2) ** n"


def test_names_that_end_in_digits_stay_apart():
    n = parameter(1, "p").node
    step, step1 = (operator(lambda a: a, name=name, description="") for name in ("step", "step1"))
    for _ in range(12):
        n = step1(step(n))
    names = backward(n).names
    assert len(set(names)) == len(names)


def test_boards_are_explained_wherever_the_first_one_stands():
    board = parameter([["a", "b"], ["c", "d"]], "board")
    keep = operator(lambda b, other: b, name="keep", description="")
    sections = backward(keep(board, 1)).sections()
    assert sections["variables"] == f"{LEGEND}(list) board=grid(ab/cd)"
    assert LEGEND not in sections["outputs"]


def test_what_a_budget_drops_first():
    """Arithmetic and repeats go before failed checks, errors, parameters and what is said of them."""
    check = operator(lambda a, k: {"value": 7, "right": k != 1}, name="check", description="Holds for small numbers.")
    x = parameter(3, "x", description="the start", constraint="a small number")
    y, checks = x * 1, []
    for k in range(8):
        for _ in range(k + 1):  # no loop: each stretch has another length
            y = y * 3 - k if k % 2 else -(y + k)
        checks.append(check(y, k))
        y = checks[-1]["value"] + node(k, "k")
    graph = backward(batch([*checks, y]))
    whole, less = graph.sections(EVERYTHING), graph.sections(1600)
    for section in ("documentation", "variables", "constraints", "outputs"):
        assert less[section] == whole[section]
    assert "(dict) check1={'value': 7, 'right': False}" in less["others"]
    assert less["others"].count("getitem") < whole["others"].count("getitem")
    assert "lines left out" in less["others"]
