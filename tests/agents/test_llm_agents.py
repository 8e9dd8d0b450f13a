from __future__ import annotations

import json

import pytest

import opto_gym
from opto_gym import Feedback, Part, TraceFeedback, trace
from opto_gym.utils.tokenizer import count_exactly
from tests.support.openai_server import OpenAIServer
from tests.support.tasks import Adder, Mixed

GOOD = json.dumps({"reasoning": "r", "answer": "", "suggestion": {"add": "def add(a, b):\n    return a + b\n"}})
SECTIONS = [
    "Instruction",
    "Code",
    "Documentation",
    "Variables",
    "Constraints",
    "Inputs",
    "Others",
    "Outputs",
    "Feedback",
]


def made(name, server, **settings):
    agent = opto_gym.make_agent(name, model="fake", base_url=server.url, **settings)
    env = Adder()
    agent.reset(env.problem, seed=0)
    return agent, env


def observe(env, values=None, seed=0):
    return env.evaluate(values or env.problem.start, seed=seed).observation


@pytest.mark.parametrize("name", ["OptoPrime", "OPRO-Trace"])
def test_a_good_answer_is_proposed(name):
    with OpenAIServer(GOOD) as server:
        agent, env = made(name, server)
        assert env.evaluate(agent.propose(observe(env))).score == 1.0
        assert agent.invalid_answers == []


@pytest.mark.parametrize("name", ["OptoPrime", "OPRO-Trace"])
@pytest.mark.parametrize("answer", ["no", None, b"not json", b'{"choices": []}', '{"suggestion": {"add": 5}}'])
def test_an_unusable_answer_proposes_the_last_good_parameters(name, answer):
    with OpenAIServer(GOOD, script=["ok", answer if isinstance(answer, bytes) else "ok"]) as server:
        agent, env = made(name, server)
        first = agent.propose(observe(env))
        server.reply = answer if not isinstance(answer, bytes) else GOOD
        assert agent.propose(observe(env, first)) == first
        assert len(agent.invalid_answers) == 1
        assert len(server.requests) == 2


def test_terminate_keeps_the_parameters_and_is_no_mistake():
    with OpenAIServer(" TERMINATE\n") as server:
        agent, env = made("OptoPrime", server)
        assert agent.propose(observe(env)) == env.problem.start
        assert agent.invalid_answers == []


def test_optoprime_s_prompt_has_the_paper_s_sections_in_order():
    with OpenAIServer(GOOD) as server:
        env = Mixed()
        agent = opto_gym.make_agent("OptoPrime", model="fake", base_url=server.url)
        agent.reset(env.problem, seed=0)
        agent.propose(observe(env))
        system, user = (m["content"] for m in server.requests[0]["body"]["messages"])
    heads = [line[1:] for line in user.splitlines() if line.startswith("#") and line[1:] in SECTIONS]
    assert heads == [s for s in SECTIONS if s in heads]
    assert {"Instruction", "Code", "Variables", "Constraints", "Outputs", "Feedback"} <= set(heads)
    assert [s for s in SECTIONS if f"#{s}:" in system] == heads
    assert "Make the text long." in user
    assert "(code) change:" in user
    assert "6 characters for example" in user


def test_opro_sees_all_of_the_past_and_no_graph():
    with OpenAIServer(GOOD) as server:
        agent, env = made("OPRO-Trace", server)
        values = agent.propose(observe(env))
        agent.propose(observe(env, values))
        user = server.requests[1]["body"]["messages"][1]["content"]
    assert user.count('{"variables"') == 2
    assert user.index("return 0") < user.index("return a + b")  # oldest first
    assert "#Code" not in user


@pytest.mark.parametrize("size", [0, 1, 3])
def test_memory_is_a_fifo(size):
    with OpenAIServer(GOOD) as server:
        agent, env = made("OptoPrime", server, memory_size=size)
        for _ in range(5):
            agent.propose(observe(env))
        last = server.requests[-1]["body"]["messages"][1]["content"]
    assert last.count('{"variables"') == size


@pytest.fixture(scope="module")
def long_observation():
    """A trace of 50,000 operations on a long text, and long feedback."""
    x = trace.parameter("def add(a, b):\n    return 0\n" * 300, "add")
    y = trace.node(0, "zero") + 0
    for k in range(50_000):
        y = (y + x.count(str(k))) if k % 1000 == 0 else y + 1.5
    return TraceFeedback(trace.backward(y + x.count("a"), [x]), Feedback(0.0, (Part("reward", "long " * 20_000),)))


@pytest.mark.parametrize("name", ["OptoPrime", "OPRO-Trace"])
@pytest.mark.parametrize("budget", [1_000, *(pytest.param(n, marks=pytest.mark.slow) for n in (1_500, 4_000))])
def test_prompts_stay_within_their_budget_whatever_the_trace(name, budget, long_observation):
    with OpenAIServer(GOOD) as server:
        agent, _ = made(name, server, prompt_budget=budget, **({"memory_size": 5} if name == "OptoPrime" else {}))
        for _ in range(4):
            agent.propose(long_observation)
        sizes = [sum(count_exactly(m["content"]) for m in r["body"]["messages"]) for r in server.requests]
        text = server.requests[-1]["body"]["messages"][1]["content"]
    assert max(sizes) <= budget
    assert "more" in text  # what is cut is said


@pytest.mark.parametrize("name", ["OptoPrime", "OPRO-Trace"])
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("prompt_budget", 100),
        ("max_tokens", 0),
        ("max_tokens", "many"),
        ("memory_size", -1),
        ("memory_size", True),
        ("parser", "strict"),
    ],
)
def test_settings_that_can_t_work_are_refused(name, setting, value):
    error = TypeError if name == "OPRO-Trace" and setting == "memory_size" else ValueError
    with pytest.raises(error, match=setting):
        opto_gym.make_agent(name, model="fake", **{setting: value})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["OptoPrime", "OPRO-Trace"])
@pytest.mark.parametrize("env", ["Battleship-v0", "NumericalOptimization-v0"])
def test_on_the_embedded_model(name, env):
    task = opto_gym.make(env).unwrapped
    agent = opto_gym.make_agent(name, model="local", max_tokens=200, prompt_budget=1250)
    agent.reset(task.problem, seed=0)
    values = agent.propose(observe(task))
    assert set(values) == set(task.problem.start)
    assert agent.llm.ledger.totals()["tokens_out"] > 0
    assert task.evaluate(values).score is not None
