"""What the graph is worth, in tasks made to show it: locks, broken pipelines, long traces."""

from __future__ import annotations

import itertools
import time
from collections import Counter

import pytest

import opto_gym
from opto_gym import trace
from opto_gym.baselines.blame import to_blame
from opto_gym.envs.pipelines import FAULTS, faults, pipeline, possible_repairs, right_function
from opto_gym.wrappers import MaskGraph

MASK = ["code", "documentation", "inputs", "others"]  # the paper's


def made(name, **arguments):
    return opto_gym.make(name, **arguments).unwrapped


# ------------------------------------------------------------------ the lock
def test_a_lock_opens_for_its_combination_alone():
    env = made("BinaryLock-v0", digits=5, problem=4)
    opened = []
    for digits in itertools.product((0, 1), repeat=5):
        e = env.evaluate(dict(zip(env.problem.start, digits, strict=True)))
        assert e.score == float(e.success)
        if e.success:
            opened.append(list(digits))
    assert opened == [list(env.reference_solution().values())]
    assert any(opened[0])


def test_a_masked_lock_says_the_same_whatever_its_combination():
    """The labels are all that differs, and each is as frequent as any other, whichever digit is wrong."""
    guess = {f"d{i}": i % 2 for i in range(4)}
    graphs, labels, wrong = set(), Counter(), Counter()
    for problem in range(800):
        env = made("BinaryLock-v0", digits=4, problem=problem)
        e = env.evaluate(guess)
        if e.success:
            continue
        graphs.add(e.graph.masked(MASK).to_json())
        label = str(e.feedback).removeprefix("The lock stays closed. Check K").removesuffix(" failed.")
        labels[int(label)] += 1
        only = [
            k for k, (x, y) in enumerate(zip(guess.values(), env.reference_solution().values(), strict=True)) if x != y
        ]
        if len(only) == 1:
            wrong[only[0], int(label)] += 1
    assert len(graphs) == 1
    assert set(labels) == {0, 1, 2, 3}
    assert max(labels.values()) < 1.4 * min(labels.values())
    assert len(wrong) == 16  # any label for any digit


def test_the_wrapper_masks_a_lock():
    env = MaskGraph(opto_gym.make("BinaryLock-v0"), MASK)
    (graph, _), _ = env.reset(seed=0)
    assert [graph.names[k] for k in range(len(graph))] == [*env.unwrapped.problem.start, "check0"]
    assert not any(n.inputs for n in graph.nodes)
    assert not any(op.description for op in graph.operators if op.kind == "operator")


def test_labels_are_drawn_anew_for_each_combination():
    env = made("BinaryLock-v0", digits=6)
    first = [env.evaluate(env.problem.start).feedback for _ in range(2)]
    assert first[0] == first[1]
    others = {str(env.evaluate({**env.problem.start, f"d{i}": 1}).feedback) for i in range(6)}
    assert len(others) > 1


@pytest.mark.parametrize("arguments", [{"digits": 1}, {"digits": 65}, {"digits": 2.0}, {"problem": -1}])
def test_a_lock_refuses_bad_arguments(arguments):
    with pytest.raises(ValueError, match="BinaryLock: expected"):
        made("BinaryLock-v0", **arguments)


# ------------------------------------------------------------------ faults
SOURCE = "def stage_a(xs):\n    return [x + 3 for x in xs[1:] if x < 7]\n"


def test_faults_are_of_four_kinds_and_parse():
    found = faults(SOURCE)
    kinds = Counter(kind for kind, _ in found)
    assert kinds == {"wrong constant": 12, "off by one": 2, "swapped comparison": 3, "missing return": 1}
    assert set(kinds) == set(FAULTS)
    assert len({source for _, source in found}) == len(found)
    for _, source in found:
        compile(source, "fault", "exec")
        assert source != SOURCE


def test_every_fault_can_be_mended():
    for _, source in faults(SOURCE):
        assert SOURCE in possible_repairs(source)


def test_a_hundred_pipelines_show_their_fault_on_every_input():
    drawn = [pipeline(problem, 6) for problem in range(100)]
    assert {p.fault for p in drawn} == set(FAULTS)
    assert {p.broken for p in drawn} == {s.name for s in drawn[0].stages}
    assert len({str(p) for p in drawn}) == 100
    for p in drawn:
        assert (len(p.train), len(p.test)) == (3, 20)
        for numbers in (*p.train, *p.test):
            right = wrong = numbers
            for stage in p.stages:
                right = right_function(stage)(right)
                wrong = right_function(stage, p.broken_value if stage.name == p.broken else None)(wrong) or []
            assert right
            assert right != wrong


def test_a_pipeline_is_the_same_when_it_is_made_again():
    first = pipeline(3, 5)
    pipeline.cache_clear()
    assert pipeline(3, 5) == first


# ------------------------------------------------------------------ broken pipelines
@pytest.mark.parametrize("problem", range(4))
def test_the_checks_blame_the_broken_stage(problem):
    env = made("BlameAssign-v0", problem=problem)
    e = env.evaluate(env.problem.start)
    assert (e.score, e.error) == (0.0, None)
    assert to_blame(e.graph) == env.broken
    assert "Wrong. Expected [" in str(e.feedback)
    mended = env.evaluate(env.reference_solution())
    assert mended.success
    assert to_blame(mended.graph) is None


def test_masked_pipelines_keep_parameters_and_results_alone():
    for problem in range(4):
        env = made("BlameAssign-v0", problem=problem)
        graph = env.evaluate(env.problem.start).graph.masked(MASK)
        assert [graph.names[k] for k in range(len(graph))] == [*env.problem.start, "batch0"]
        text = graph.to_json()
        assert "right" not in text
        assert "should" not in text


def test_what_a_stage_gives_is_looked_at_before_it_is_used():
    env = made("BlameAssign-v0")
    for bad in ("'text'", "None", "[True]", "[0.5]", "[[1]]", "[10**15]", "[0] * 1001"):
        e = env.evaluate({**env.reference_solution(), "stage_a": f"def stage_a(xs):\n    return {bad}\n"})
        assert e.error is None
        assert to_blame(e.graph) == "stage_a"


def test_pictures_show_the_blame():
    env = opto_gym.make("BlameAssign-v0", render_mode="ansi")
    env.reset(seed=0)
    broken = env.unwrapped.broken
    assert f"{broken}: wrong\n" in env.render()
    assert env.render().count(": right") == 5
    start = env.unwrapped.problem.start
    env.step({**start, "stage_a": "def stage_a(xs):\n    return 1 / 0\n"})
    assert env.render().count(": not run") == 6


@pytest.mark.parametrize("arguments", [{"stages": 2}, {"stages": 11}, {"stages": "6"}, {"problem": -1}])
def test_a_pipeline_refuses_bad_arguments(arguments):
    with pytest.raises(ValueError, match="BlameAssign: expected"):
        made("BlameAssign-v0", **arguments)


# ------------------------------------------------------------------ long traces
@pytest.mark.parametrize("length", [100, 101, 102, 1000, 12345])
def test_a_trace_has_its_length(length):
    env = made("LongTrace-v0", length=length)
    assert length - 2 <= len(env.evaluate(env.problem.start).graph) <= length


def test_the_fault_is_the_same_at_every_length():
    for problem in range(5):
        envs = [made("LongTrace-v0", length=n, problem=problem) for n in (100, 3000)]
        starts, solutions = [e.problem.start for e in envs], [e.reference_solution() for e in envs]
        assert starts[0] == starts[1]
        assert solutions[0] == solutions[1]
        wrong = [name for name in starts[0] if starts[0][name] != solutions[0][name]]
        assert [to_blame(e.evaluate(starts[0]).graph) for e in envs] == wrong * 2


def test_no_other_constant_makes_the_output_right():
    env = made("LongTrace-v0", length=100)
    start = env.problem.start
    right = [(n, v) for n in start for v in range(10) if env.evaluate({**start, n: v}).success]
    assert right == [(n, v) for n, v in env.reference_solution().items() if v != start[n]]


def test_a_masked_long_trace_keeps_constants_and_output_alone():
    env = made("LongTrace-v0", length=500)
    graph = env.evaluate(env.problem.start).graph.masked(MASK)
    assert [graph.names[k] for k in range(len(graph))] == [*env.problem.start, "getitem0"]
    assert "right" not in graph.to_json()


@pytest.mark.slow
def test_a_hundred_thousand_nodes_take_seconds_at_most():
    env = made("LongTrace-v0", length=100_000)
    begin = time.process_time()
    e = env.evaluate(env.problem.start)
    assert time.process_time() - begin < 4
    assert trace.TraceGraph.from_json(e.graph.to_json()) == e.graph
    assert len(e.graph.to_pseudocode(8000)) <= 8000


@pytest.mark.parametrize("arguments", [{"length": 99}, {"length": 100_001}, {"length": 1e3}, {"problem": -1}])
def test_a_long_trace_refuses_bad_arguments(arguments):
    with pytest.raises(ValueError, match="LongTrace: expected"):
        made("LongTrace-v0", **arguments)
