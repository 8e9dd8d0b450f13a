"""Malformed answers through every reader and every agent with a model; `scripts/malformed.py` is the same at length."""

from __future__ import annotations

import itertools

import pytest

import opto_gym
from opto_gym.agents.external.base import External
from opto_gym.registration import agent_class
from tests.support.answer_readers import broken, judged, readers
from tests.support.malformed_answers import VALUES, Everything, malformed
from tests.support.openai_server import OpenAIServer

READERS = dict(readers())
AGENTS = [
    name
    for name in opto_gym.registered_agents()
    if agent_class(name).uses_model and not issubclass(agent_class(name), External)
]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")]


def test_the_same_answers_for_a_seed():
    assert list(malformed(300, seed=1)) == list(malformed(300, seed=1)) != list(malformed(300, seed=2))


@pytest.mark.parametrize("reader", READERS)
def test_no_answer_breaks_a_promise_of_its_reader(reader):
    outcomes = [READERS[reader](text) for _, text in malformed(1500, seed=10_000)]
    assert [o.broken for o in outcomes if o.broken] == []
    assert any(not o.reasons for o in outcomes)
    assert any(o.reasons for o in outcomes) or reader == "a candidate of gepa's"


@pytest.mark.parametrize("reader", READERS)
def test_no_answer_takes_more_than_linear_time(reader):
    forms = ["{}", '{{"suggestion": {{"w": {}', "<variable><name>{}", "<new_value>{}</new_value>"]
    atoms = [
        " ",
        "<reasoning>",
        "<variable><name>w</name><value>",
        "<new_value>",
        "```\n",
        "w: [",
        "[{",
        "9",
        "not ",
        "(A)",
    ]
    for atom, form in itertools.product(atoms, forms):
        text = form.format(atom * (50_000 // len(atom)))
        assert READERS[reader](text).seconds < 1.25, (atom, form)  # about 0.05; where it is quadratic, 2.5 and more


@pytest.mark.parametrize("agent", AGENTS)
def test_no_answer_breaks_a_promise_of_an_agent_over_http(agent):
    env, said = Everything(), {"text": ""}
    start = env.evaluate(env.problem.start, seed=0).observation
    with OpenAIServer(lambda body: said["text"]) as server:
        settings = {"max_calls": 12} if agent == "TextGrad" else {}
        made = opto_gym.make_agent(agent, model="fake", base_url=server.url, **settings)
        for k, (kind, text) in enumerate(malformed(150, seed=20_000)):
            if k % 20 == 0:
                made.reset(env.problem, seed=0)
            said["text"], made.invalid_answers, before = text, [], len(server.requests)
            values = made.propose(start)
            fault = broken(env, values, made.invalid_answers)
            assert fault is None, (kind, text)
            assert len(server.requests) > before


@pytest.mark.parametrize("agent", ["OptoPrime", "OPRO-Trace"])
def test_bad_values_are_the_environment_s_to_judge(agent):
    env, wrong = Everything(), 0
    for _, text in malformed(800, seed=30_000):
        values = READERS[agent](text).values
        if any(p.space.invalid_reason(values[p.name]) for p in env.problem.parameters) and wrong < 25:
            wrong += 1
            assert judged(env, values) is None
    assert wrong > 10


def test_a_text_of_another_program_is_judged_too():
    env = Everything()
    for text in ("\ud800", "\0", "9" * 5000, "nan", "def f(:", ""):
        assert judged(env, READERS["a candidate of gepa's"](text).values) is None
    assert judged(env, VALUES) is None
