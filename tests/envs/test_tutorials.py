from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opto_gym
from opto_gym.envs.tutorials.batch_regression import BatchRegression
from opto_gym.envs.tutorials.greeting import TEST_NAMES, TRAIN_NAMES, Greeting
from opto_gym.envs.tutorials.negotiation import (
    NAMES,
    RESOURCES,
    Negotiation,
    best_plans,
    is_possible,
    max_points,
    named_resources,
    new_game,
    next_state,
    rule_based_action,
    total_points,
)
from opto_gym.envs.tutorials.strange_sort import StrangeSortList, number_lists, strange
from opto_gym.reading.actions import read_action
from tests.support.openai_server import OpenAIServer


# ------------------------------------------------------------------ the greeting
def test_test_customers_have_other_names():
    assert not set(TRAIN_NAMES) & set(TEST_NAMES)
    splits = Greeting.splits
    for split, names in (("train", TRAIN_NAMES), ("test", TEST_NAMES)):
        assert {c["name"] for c in splits[split]} == set(names)
        assert len(splits[split]) == 100
        assert [c["language"] for c in splits[split]].count("es") == 50
        assert all(c["name"] in c["query"] for c in splits[split])


@pytest.mark.parametrize(
    ("greeting", "score"),
    [
        ("Hello, Mary Ann!", 1.0), ("Hello Mary Ann", 1.0), ("  Hello,\nMary Ann.", 1.0), ("Hola, Mary Ann!", 0.5),
        ("Hello, Mary!", 0.5), ("Hello!", 0.5), ("Hello, Mary Ann Hola", 0.5), ("Mary Ann, hello!", 0.0), ("", 0.0),
        ("HelloMary Ann", 0.0), ("Hello, I am Mary Ann.", 0.5), ("Hola", 0.0),
    ],
)  # fmt: skip
def test_greetings_are_judged(greeting, score):
    example = {"query": "Hi, I am Mary Ann.", "name": "Mary Ann", "language": "en"}
    f = Greeting().judge(greeting, example)
    assert (f.score, f.success) == (score, score == 1.0)
    assert ("should be: Hello, Mary Ann!" in str(f)) == (score < 1)


def test_names_that_are_no_text_and_long_ones():
    env = Greeting()
    values = env.reference_solution()
    e = env.evaluate({**values, "extract_name": "def extract_name(query):\n    return 7\n"})
    assert "(TypeError) expected the name to be text, got int" in e.error
    long = {**values, "english": "{name}" * 33, "spanish": "{name}" * 33}
    e = env.evaluate({**long, "extract_name": "def extract_name(query):\n    return 'x' * 10**5\n"})
    assert e.error is None
    assert len(e.graph.to_json()) < 300_000
    fields = "{0.__class__} {name.__class__} {}"
    e = env.evaluate({**values, "english": fields, "spanish": fields})
    assert "class '" not in e.graph.to_json()


# ------------------------------------------------------------------ the strange order
@given(st.lists(st.integers(), max_size=9))
def test_the_strange_order(numbers):
    ordered, rest = strange(numbers), list(numbers)
    for k, n in enumerate(ordered):
        assert n == (max if k % 2 else min)(rest)
        rest.remove(n)
    assert rest == []


def test_every_example_is_unsolved_at_the_start():
    for seed in range(300):
        lists = number_lists(seed)
        assert [sorted(n) == strange(n) for n in lists] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("body", "score"), [("return lst", 0.2), ("return None", 0.0), ("return (1, 2)", 0.0), ("return 'x' * 300", 0.0)]
)
def test_wrong_answers_are_shown(body, score):
    env = StrangeSortList()
    seed = next(s for s in range(99) if len(number_lists(s)[0]) == 1)
    e = env.evaluate({"strange_sort_list": f"def strange_sort_list(lst):\n    {body}\n"}, examples=[seed])
    assert e.error is None
    assert e.score == score
    assert f"{round(5 * score)} of 5 lists are right." in str(e.feedback)
    assert f"It should give {strange(number_lists(seed)[1 if score else 0])}" in str(e.feedback)
    assert len(str(e.feedback)) < 2000


def test_the_order_can_be_kept_out_of_the_observation():
    env = StrangeSortList(feedback=["reward"])
    graph, feedback = env.evaluate(env.problem.start, examples=[3]).observation
    for numbers in number_lists(3)[1:]:
        assert str(strange(numbers)) not in graph.to_pseudocode() + str(feedback)


# ------------------------------------------------------------------ the regression
@pytest.mark.parametrize("features", [1, 2, 8])
def test_every_regression_is_sound(features):
    hidden = set()
    for problem in range(0, 100, 1 if features == 2 else 10):
        env = BatchRegression(problem=problem, features=features)
        start, solved = env.evaluate(env.problem.start), env.evaluate(env.reference_solution())
        assert start.score > 0.1
        assert (solved.score, solved.success) == (0.0, True)
        assert all(v and abs(v) <= 5 for v in env.hidden)
        hidden.add(tuple(env.hidden))
    assert features == 1 or len(hidden) == len(range(0, 100, 1 if features == 2 else 10))


def test_batches_differ_and_test_is_held_out():
    env = BatchRegression()
    graphs = {env.evaluate(env.problem.start, seed=k).graph.content_hash for k in range(20)}
    assert len(graphs) == 20
    assert not set(env.splits["test"]) & set(env.splits["train"])
    e = env.evaluate({"w1": 0, "w2": 0, "b": 0}, examples=[5])
    assert "too" in str(e.feedback)
    assert e.score == float(str(e.feedback).split()[2].rstrip("."))


# ------------------------------------------------------------------ the negotiation
plans = st.lists(st.sampled_from([*RESOURCES, "keep", "no Gold!", "nothing"])).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), plans, plans)
def test_trades_move_resources_and_lose_none(problem, alice, bob):
    env = Negotiation(problem=problem)
    e = env.evaluate({"alice": alice, "bob": bob})
    assert e.error is None
    held = e.metrics["inventories"]
    totals = np.array([[held[name][r] for r in RESOURCES] for name in NAMES])
    before = np.array(env.inventories)
    assert (totals.sum(0) == before.sum(0)).all()  # of each resource
    assert (totals.sum(1) == before.sum(1)).all()  # in each hand, as trades are of equal quantities
    assert (totals >= 0).all()
    assert e.score == (totals**2).sum() / max_points(env.inventories) <= 1
    assert e.success == (e.score == 1)
    assert "Not possible" not in str(e.feedback)


@pytest.mark.parametrize("problems", [range(8), pytest.param(range(8, 100), marks=pytest.mark.slow)])
def test_every_negotiation_is_sound(problems):
    for k in problems:
        env = Negotiation(problem=k)
        assert 0.3 < env.evaluate(env.problem.start).score <= 1 / 1.5
        assert env.evaluate(env.reference_solution()).score == 1
        assert best_plans(env.inventories)[0] == max_points(env.inventories)


def test_plans_are_read_in_the_order_of_words():
    assert named_resources("Get GOLD first; then wood. Gold!") == ["gold", "wood"]
    assert named_resources("golden stones") == []


def test_players_by_rules():
    game = new_game(((3, 0, 2), (0, 4, 1)))
    assert rule_based_action("nothing", game) == {"action": "end"}
    offer = rule_based_action("stone", game)
    assert offer == {"action": "offer", "give": "wood", "get": "stone", "quantity": 3}
    game = next_state(game, offer)
    assert rule_based_action("wood", game) == {"action": "accept"}
    assert rule_based_action("stone, wood", game) == {"action": "reject"}
    refused = next_state(game, {"action": "reject"})
    assert rule_based_action("stone", refused)["give"] == "gold"
    traded = next_state(game, {"action": "accept"})
    assert traded["inventories"] == {
        "Alice": {"wood": 0, "stone": 3, "gold": 2}, "Bob": {"wood": 3, "stone": 1, "gold": 1}
    }  # fmt: skip
    assert total_points(traded) == 9 + 4 + 9 + 1 + 1


@pytest.mark.parametrize(
    "action",
    [
        {}, {"action": "steal"}, {"action": "accept"}, {"action": "reject"}, {"action": "offer"},
        {"action": "offer", "give": "wood", "get": "stone", "quantity": 4},
        {"action": "offer", "give": "wood", "get": "wood", "quantity": 1},
        {"action": "offer", "give": "wood", "get": "stone", "quantity": 0},
        {"action": "offer", "give": "wood", "get": "stone", "quantity": True},
        {"action": "offer", "give": ["wood"], "get": {}, "quantity": 1},
    ],
)  # fmt: skip
def test_what_is_not_possible_ends_trading(action):
    game = new_game(((3, 0, 2), (0, 4, 1)))
    assert not is_possible(game, action)
    assert next_state(game, action)["ended"] == 1
    assert next_state(game, action)["inventories"] == game["inventories"]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ('{"action": "end"}', {"action": "end"}),
        ('Sure!\n```json\n{"action": "accept", "note": 1}\n```', {"action": "accept"}),
        ('{"give": "x"} {"action": "reject"}', {"action": "reject"}),
        ("{broken} I accept.", {}),
        ("", {}),
        ('{"action": 5}', {}),
    ],
)
def test_a_model_s_answer_is_read(text, action):
    assert read_action(text) == action


def test_a_model_plays_both_players(monkeypatch):
    inventories = Negotiation().inventories

    def answer(body):
        said = body["messages"][1]["content"]
        assert "My plan" in said
        if "offers to" in said:
            return '{"action": "accept"}'
        offered = {"action": "offer", "give": "wood", "get": "stone", "quantity": 6}
        return json.dumps(offered) if '"Alice": {"wood": 6' in said else 'Let us end: {"action": "end"}'

    with OpenAIServer(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        env = Negotiation(players="model")
        assert env.uses_model
        assert env.nondeterministic
        assert env.reference_solution() is None
        e = env.evaluate({"alice": "My plan: {0.__class__}", "bob": "My plan"})
    assert inventories == ((6, 6, 0), (1, 6, 2))
    assert e.success
    assert "Alice gave 6 wood for 6 stone" in str(e.feedback)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("reply", "first", "newest"),
    [
        ('I could {"action": "reject"}, but: {"action": "end"}', "reject", "end"),
        ('<think>{"action": "reject"}</think>{"action": "end"}', "reject", "end"),
        ('{"action": "offer", "arguments": {"give": "wood", "get": "stone", "quantity": 6}}', "do nothing", "offer"),
        ('{"action": "end"}', "end", "end"),
        ("Hm.", "do nothing", "do nothing"),
    ],
)
def test_each_version_reads_a_model_s_actions_by_its_own_rules(reply, first, newest, monkeypatch):
    """A record of players by a model replays equal only with the reader that its version had."""
    said = {
        "end": lambda text: "Not possible" not in text,
        "reject": lambda text: "Alice wanted to reject" in text,
        "do nothing": lambda text: "Alice wanted to do nothing known" in text,
        "offer": lambda text: "6 wood for 6 stone" in text,
    }
    with OpenAIServer(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        for version, action in (("v0", first), ("v1", newest)):
            env = opto_gym.make(f"Negotiation-{version}", players="model").unwrapped
            assert said[action](str(env.evaluate(env.problem.start).feedback)), version


def test_a_model_that_says_nothing_ends_trading():
    env = Negotiation(players="model")  # the scripted model of these tests
    e = env.evaluate(env.problem.start)
    assert "Not possible: Alice wanted to do nothing known; Bob wanted to do nothing known." in str(e.feedback)
    assert e.error is None


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (None, "(RuntimeError) the model gave no reply: "),
        (json.dumps({"action": "dance" * 50}), f"Not possible: Alice wanted to {'dance' * 4}; Bob"),
    ],
)
def test_what_a_model_can_t_mean_is_said(reply, said, monkeypatch):
    with OpenAIServer(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        env = Negotiation(players="model")
        assert said in str(env.evaluate(env.problem.start).feedback)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Greeting(batch=0), "expected batch to be a whole number of 1 or more, got 0"),
        (lambda: StrangeSortList(batch=1.0), "expected batch to be a whole number of 1 or more, got 1.0"),
        (lambda: BatchRegression(problem=100), "0 to 99"),
        (lambda: BatchRegression(features=9), "1 to 8 features"),
        (lambda: Negotiation(problem="x"), "0 to 99"),
        (lambda: Negotiation(players="people"), "rules"),
    ],
)
def test_wrong_arguments_are_said(make, said):
    with pytest.raises(ValueError, match=said):
        make()
