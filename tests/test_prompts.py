from __future__ import annotations

import json

import pytest

import opto_gym
from opto_gym.agents.base import Agent
from opto_gym.agents.toolkit.model_agent import ModelAgent
from opto_gym.cli import main
from opto_gym.cli import prompt as prompts
from opto_gym.errors import MissingExtra, OptoGymError
from opto_gym.leaderboard import run
from opto_gym.registration import agent_class
from opto_gym.utils.tokenizer import count_exactly
from tests.support.author_packages import needs_packages
from tests.support.openai_server import OpenAIServer


@pytest.fixture(autouse=True)
def server(monkeypatch):
    with OpenAIServer('{"suggestion": {}}') as s:
        monkeypatch.setenv("OPENAI_BASE_URL", s.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPTO_GYM_MODEL", "scripted")
        yield s


OURS = [name for name in opto_gym.registered_agents() if issubclass(agent_class(name), ModelAgent)]
THEIRS = pytest.param("external/trace-opt-OptoPrime", marks=[pytest.mark.slow, needs_packages])


@pytest.mark.parametrize("agent", [*OURS, THEIRS])
def test_it_is_what_a_trial_sends_first(server, tmp_path, agent):
    shown = prompts.first_request("NumericalOptimization-v0", agent, seed=3)
    assert server.requests == []  # nothing was sent
    settings = {"oracle_calls": 1, "concurrency": 1}  # independent calls arrive in order
    result = run(["NumericalOptimization-v0"], [agent], out=tmp_path / "r", seeds=[3], progress=False, **settings)
    assert result.trials[0].status == "done", result.trials[0].error
    assert server.requests[0]["body"] == shown


@pytest.mark.parametrize(
    "agent", [a if a in ("OptoPrime", "OPRO-Trace") else pytest.param(a, marks=pytest.mark.slow) for a in OURS]
)
def test_a_trace_of_100_000_nodes_gives_a_prompt_within_the_budget(agent):
    arguments, settings = {"length": 100_000}, {"prompt_budget": 4_000}
    request = prompts.first_request("LongTrace-v0", agent, env_arguments=arguments, settings=settings)
    assert sum(count_exactly(m["content"]) for m in request["messages"]) <= 4_000


def test_what_would_be_asked_after_any_call_is_what_was_asked(server, tmp_path, capsys):
    server.reply = lambda body: f'{{"suggestion": {{"x0": {50 + len(server.requests)}}}}}'
    settings = {"memory_size": 2}
    (outcome,) = run(
        ["NumericalOptimization-v0"], [("OptoPrime", settings)], out=tmp_path, seeds=1, oracle_calls=4, progress=False
    ).trials
    asked = [request["body"]["messages"] for request in server.requests]
    assert len(asked) == outcome.steps == 4
    for call in range(4):
        shown = prompts.request_after(outcome.path, call, env="NumericalOptimization-v0", agent="OptoPrime")
        assert shown["messages"] == asked[call]
    forgetful = prompts.request_after(
        outcome.path, 3, env="NumericalOptimization-v0", agent="OptoPrime", settings={"memory_size": 0}
    )
    assert "#Memory" not in forgetful["messages"][1]["content"]
    assert len(server.requests) == 4  # nothing more was sent
    assert main(["prompt", "NumericalOptimization-v0", "OptoPrime", "--after", f"{outcome.path}:2"]) == 0
    assert asked[2][1]["content"] in capsys.readouterr().out


def test_a_call_that_a_trial_does_not_have_is_refused(tmp_path):
    (outcome,) = run(
        ["NumericalOptimization-v0"], ["OptoPrime"], out=tmp_path, seeds=1, oracle_calls=1, progress=False
    ).trials
    for expected, call, agent in (
        ("a call of 0 to 1", 7, "OptoPrime"),
        ("NumericalOptimization-v0 and OptoPrime", 0, "OPRO"),
    ):
        with pytest.raises(OptoGymError, match=f"expected {expected}"):
            prompts.request_after(outcome.path, call, env="NumericalOptimization-v0", agent=agent)
    assert main(["prompt", "NumericalOptimization-v0", "OptoPrime", "--after", str(outcome.path)]) == 2


class Own(Agent):
    """Owns its loop, and asks."""

    uses_model = True

    def optimize(self, problem, oracle):
        oracle(problem.start)
        self.llm.chat([{"role": "user", "content": "#One\n1\n#Two\n2"}])


class Silent(Own):
    """Says that it asks, and does not."""

    def optimize(self, problem, oracle):
        while True:
            oracle(problem.start)


def test_an_agent_that_owns_its_loop(server):
    request = prompts.first_request("NumericalOptimization-v0", f"{__name__}:Own")
    assert [(heading, text) for _, heading, text in prompts.parts(request["messages"])] == [
        ("#One", "#One\n1\n"),
        ("#Two", "#Two\n2"),
    ]
    assert server.requests == []


@pytest.mark.parametrize("agent", ["RandomSearch", f"{__name__}:Silent"])
def test_agents_without_a_model_are_refused(agent):
    with pytest.raises(OptoGymError, match="no model"):
        prompts.first_request("NumericalOptimization-v0", agent)


def test_tokens_are_gpt_4_s():
    assert count_exactly("hello world") == 2
    assert count_exactly("<|endoftext|>") == 7  # as text, whatever it would mean
    assert count_exactly("antidisestablishmentarianism") == 6


def test_the_command(capsys, monkeypatch):
    assert main(["prompt", "Battleship-v0:turns=9", "OptoPrime:memory_size=2", "--seed", "1"]) == 0
    said = capsys.readouterr().out
    assert "--- system" in said
    assert "#Feedback" in said
    assert '"max_tokens": 8192' in said

    def missing(text):
        raise MissingExtra("tiktoken is missing")

    monkeypatch.setattr(prompts, "count_exactly", missing)
    assert main(["prompt", "Battleship-v0", "OptoPrime"]) == 0
    assert "Tokens are not counted: tiktoken is missing" in capsys.readouterr().out
    assert main(["prompt", "Battleship-v0", "RandomSearch"]) == 1


def test_the_table(monkeypatch):
    rows = prompts.token_table(envs=["NumericalOptimization-v0", "Battleship-v0"])
    assert [row[:2] for row in rows[:2]] == [["NumericalOptimization-v0", a] for a in ("OptoPrime", "OPRO-Trace")]
    assert all(system + user == whole for *_, system, user, whole in rows)
    assert rows[0][4] > 2 * rows[1][4]  # the graph is most of the prompt
    assert json.dumps(rows)
