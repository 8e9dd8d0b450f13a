"""Tries to end a trial, or to hold it up, by what proposed code returns or raises: values of every kind of Python."""

from __future__ import annotations

import json
import re
import tracemalloc

import numpy as np
import pytest

import opto_gym
from opto_gym.cli.prompt import first_request
from opto_gym.leaderboard import report, run
from opto_gym.trace import ExecutionError, TraceGraph, backward, node, operator, parameter
from opto_gym.trace.display import write
from opto_gym.trace.values import Cut, snapshot, thaw
from tests.support.hostile_values import LEAVES, CodeEnv, HostileEnv, HostileValue, hostile_values

HERE = "tests.support.hostile_values"
PLAIN = [{"a": k, "b": 2, "c": 3} for k in range(700)]


def rendered(graph: TraceGraph) -> str:
    """The pseudo-code of a graph, after a look at every other way to show it."""
    assert TraceGraph.from_json(graph.to_json()) == graph
    assert all(write(n.value) for n in graph.nodes)
    for budget in (300, 8_000, 200_000):
        assert len(graph.to_pseudocode(budget)) <= budget
    for text in (graph.to_mermaid(), graph.to_graphviz(), graph.masked(["inputs", "code"]).to_pseudocode()):
        assert 0 < len(text) <= 8_000
    json.dumps(graph.to_json())
    return graph.to_pseudocode(200_000)


def shown(value) -> str:
    """What is shown of a value that an operator gives."""
    make = operator(lambda x: value, name="make", description="Makes it.")
    return rendered(backward(make(parameter(1, "p"))))


# ------------------------------------------------------------------ in this process, as one's own program
@pytest.mark.parametrize("kind", LEAVES)
def test_a_value_of_any_kind_is_shown(kind):
    values = [v for v in hostile_values(200) if v.kind == kind][: len(LEAVES[kind].split("\n")) - 2]
    assert values
    for value in values:
        evaluation = HostileEnv(source=value.function("make", "x")).evaluate({"x": 2.0})
        assert rendered(evaluation.graph)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_values_inside_each_other_and_exceptions_that_hold_them_are_shown(seed):
    for value in list(hostile_values(160, seed))[-8:]:
        assert rendered(HostileEnv(source=value.function("make", "x")).evaluate({"x": 2.0}).graph)


@pytest.mark.parametrize("error", ["KeyError", "ValueError", "RuntimeError"])
def test_a_message_of_gigabytes_is_not_made(error):
    statement = f"raise {error}([[{{i: 'x' * 10_000 for i in range(1000)}}] * 1000] * 1000)"
    evaluation = HostileEnv(source=HostileValue("", statement).function("make", "x")).evaluate({"x": 2.0})
    assert f"{error}) (its message is too long to be shown)" in rendered(evaluation.graph)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("UnicodeDecodeError('utf-8', b'x' * 20_000_000, 0, 1, 'no')", "can't decode byte"),
        ("Short([0] * 20_000)", "few"),
    ],
)
def test_a_short_message_is_shown_whatever_the_arguments_are(error, said):
    statement = f"Short = type('Short', (Exception,), {{'__str__': lambda e: 'few words'}}); raise {error}"
    evaluation = HostileEnv(source=HostileValue("", statement).function("make", "x")).evaluate({"x": 2.0})
    assert said in rendered(evaluation.graph)


def test_one_long_text_at_many_places_is_not_copied():
    source = HostileValue("", "return ['x' * 10_000_000] * 1000").function("make", "x")
    tracemalloc.start()
    try:
        assert rendered(HostileEnv(source=source).evaluate({"x": 2.0}).graph)
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20  # all of it has 10 GB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("agent", ["OptoPrime", "OPRO", "OPRO-Trace", "TextGrad"])
@pytest.mark.parametrize("statement", ["return [{'a': i, 'b': 2, 'c': 3} for i in range(700)]", "raise Error()"])
def test_agents_write_prompts_of_it(agent, statement):
    source = HostileValue("", statement).function("make", "x")
    settings = {"model": "any", "base_url": "http://127.0.0.1:9/v1"}
    request = first_request(f"{HERE}:HostileEnv", agent, env_arguments={"source": source}, settings=settings)
    assert request["messages"]
    json.dumps(request).encode()


def test_a_run_with_such_values_is_recorded_and_reported(tmp_path):
    source = HostileValue("", "return {Hostile: cycle(), 1: '\\ud800<b>', 2: [nan] * 9000}").function("make", "x")
    env = (f"{HERE}:HostileEnv", {"source": source})
    result = run([env], ["RandomSearch"], seeds=1, oracle_calls=2, out=tmp_path, progress=False)
    assert [t.status for t in result.trials] == ["done"]
    assert "<b>'" not in report(tmp_path).read_text(encoding="utf-8")


# ------------------------------------------------------------------ what is cut is counted
def test_a_large_dictionary_keeps_its_beginning_and_counts_the_rest():
    value = thaw(snapshot({f"k{n}": n for n in range(2_500)}))
    assert [value[f"k{n}"] for n in range(2_000)] == list(range(2_000))
    assert list(value)[2_000:] == ["500 more items"]
    assert "'k0': 0" in shown({f"k{n}": n for n in range(2_500)})


def test_dictionaries_beyond_the_bound_of_a_list_count_what_they_lack():
    value = thaw(snapshot(PLAIN))
    assert value[:400] == PLAIN[:400]
    assert len(value) == 700
    assert list(value[-1]) == ["3 more items"]
    assert "3 more items: ..." in shown(PLAIN)


def test_odd_keys_are_kept_while_they_fit_and_counted_where_they_do_not():
    assert thaw(snapshot({n: str(n) for n in range(600)})) == {n: str(n) for n in range(600)}
    value = thaw(snapshot({n: n for n in range(5_000)}))
    kept = len(value) - 1
    assert list(value)[-1] == f"{5_000 - kept} more items"
    assert list(value)[:kept] == list(range(kept))


def test_records_of_earlier_versions_are_read_where_a_pair_was_cut_to_one_item():
    old = {"$dict": [["a", 1], [{"$cut": "2 more items"}], [{"$cut": "2 more items"}]]}
    assert thaw(old) == {"a": 1, Cut("2 more items"): "..."}


@pytest.mark.parametrize(
    "array", [np.zeros((100, 10)), np.zeros((30, 30, 1)), np.zeros((1,) * 40), np.zeros((0, 3)), np.array(3.5)]
)
def test_arrays_are_whole(array):
    value = thaw(snapshot(array))
    assert value.shape == array.shape
    assert (value == array).all()


def test_an_array_that_does_not_fit_is_described_not_cut_inside():
    whole, *others = thaw(snapshot([np.arange(900), np.arange(900), np.zeros((10**6, 0))]))
    assert len(whole) == 900
    assert others == ["<numpy.ndarray of shape (900,) and int64>", "<numpy.ndarray of shape (1000000, 0) and float64>"]


def test_a_damaged_array_does_not_fill_the_memory():
    with pytest.raises(opto_gym.errors.TraceError, match="snapshot"):
        thaw({"$ndarray": ["<U1000000000", [1], ["a"]]})


def test_objects_that_look_alike_stay_as_many_as_they_are():
    value = thaw(snapshot({object(): 1, object(): 2}))
    assert list(value) == ["<object>", "<object> no. 2"]
    assert len(thaw(snapshot({object(), object(), object()}))) == 3


def test_the_digits_of_huge_integers_count_as_text():
    value = thaw(snapshot([10**4_000] * 200))
    assert value[0] == 10**4_000
    assert value[-1] == "<int of 13288 bits>"
    assert len(json.dumps(snapshot([10**4_000] * 200))) < 200_000


# ------------------------------------------------------------------ no method of a value is called
def test_a_class_that_raises_whatever_it_is_asked_is_named():
    space: dict = {}
    exec(HostileValue("", "return Hostile()").function("make", "x"), space)
    assert "<Hostile>" in shown(space["Hostile"]()).replace("builtins.", "")


def test_an_exception_whose_text_can_t_be_had_is_feedback():
    def fail(x):
        class Mute(ValueError):
            def __str__(self):
                raise RuntimeError

        raise Mute

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - it has no message
        operator(fail)(parameter(1, "p"))
    assert isinstance(caught.value, ExecutionError)
    assert "(its message can't be shown)" in rendered(backward(caught.value.exception_node))


def test_one_list_at_a_thousand_billion_places_is_looked_at_once():
    value: list = []
    for _ in range(45):
        value = [value, value]
    first, second = operator(name="first")(lambda x: value), operator(name="second")(lambda v, x: x)
    assert rendered(backward(second(first(parameter(1, "p")), value)))
    assert "more items" in rendered(backward(second(value, parameter(1, "p"))))


def test_proposed_code_gets_a_copy_of_a_shared_list_in_linear_time():
    @operator(trainable=True)
    def change(values):
        values[0][0].append(1)
        return 1

    value: list = []
    for _ in range(45):
        value = [value, value]
    assert change(node(value)).data == 1
    assert value[0][0][0] is value[0][0][1]
    assert len(value[0][0]) == 2


# ------------------------------------------------------------------ in the sandbox
def sandboxed(statement: str):
    return CodeEnv().evaluate({"make": HostileValue("", statement).function("make", "x")})


@pytest.mark.parametrize(
    "statement",
    [
        "return [{'a': i, 'b': 2, 'c': 3} for i in range(700)]",
        "return {'k%d' % i: {'a': i} for i in range(1500)}",
        "return [[i] for i in range(5000)]",
        "return ['\\ud800'] * 5000",
        "return deep(99)",
    ],
)
def test_a_large_answer_is_no_error(statement):
    evaluation = sandboxed(statement)
    assert evaluation.error is None
    assert rendered(evaluation.graph)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("return [[]] * 250000", "OutputLimit|TimeLimit"),
        ("return [[]] * 60000", "over 50000 lists and dictionaries"),
        ("return deep(5000)", "nested more than 100 deep|RecursionError"),
        ("return Hostile()", "hostile|not plain data"),
        ("return {1: 2}", "keys must be text"),
        ("return 10**5000", "4300 digits"),
        ("raise Error()", "can't be shown"),
        ("raise Slotted(1, 2)", "Slotted"),
        ("return 'x' * 10_000_000", "OutputLimit"),
    ],
)
def test_an_answer_that_is_refused_is_feedback(statement, said):
    evaluation = sandboxed(statement)
    assert evaluation.score == 0.0
    assert evaluation.error is not None
    assert re.search(said, evaluation.error)
    assert rendered(evaluation.graph)
