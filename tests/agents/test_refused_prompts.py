"""A prompt that a provider refuses is that step's invalid answer; one that is too long is asked once more, shorter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import opto_gym
from opto_gym.agents.toolkit.model_agent import SHORTER, ModelAgent
from opto_gym.agents.toolkit.prompt_budget import count_tokens
from opto_gym.llm import CallRecord, Client
from opto_gym.registration import agent_class
from tests.support.openai_server import OpenAIServer, Page
from tests.support.registered import AGENTS

ASKING = [name for name in AGENTS if issubclass(agent_class(name), ModelAgent)]
TOO_LONG = Page(400, {"error": {"message": "prompt is too long: 9000 tokens > 8192 maximum"}})
FILTERED = Page(400, {"error": {"message": "The prompt was filtered", "code": "content_filter"}})


def prompts(server: OpenAIServer) -> list[int]:
    return [sum(count_tokens(m["content"]) for m in r["body"]["messages"]) for r in server.requests]


def first_proposal(name: str, server: OpenAIServer, record: CallRecord | None = None) -> tuple[Any, dict[str, Any]]:
    env = opto_gym.make("Battleship-v0", oracle_calls=9)
    observation, _ = env.reset(seed=0)
    agent: Any = opto_gym.make_agent(name, model="m", base_url=server.url)
    agent.llm = Client("m", base_url=server.url, record=record)
    agent.reset(env.unwrapped.problem, seed=0)
    return agent, agent.propose(observation)


@pytest.mark.parametrize("name", ASKING)
def test_a_prompt_that_is_too_long_is_asked_once_more_with_a_part_of_its_tokens(name: str, tmp_path: Path):
    with OpenAIServer("{}", script=[TOO_LONG]) as server:
        record = CallRecord(tmp_path / "llm.jsonl", trial="t")
        agent, values = first_proposal(name, server, record)
        long, short = prompts(server)[:2]
        assert 0.1 * long < short <= SHORTER * long + 5
        assert max(prompts(server)[2:], default=0) <= 0.85 * long  # later prompts have that budget, too
        assert not [said for said in agent.invalid_answers if "longer" in said]
        agent.reset(agent.problem, seed=0)
        assert agent.token_budget > long
    again = CallRecord(tmp_path / "llm.jsonl", trial="t", mode="replay")
    assert first_proposal(name, server, again)[1] == values


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize(("page", "said"), [(TOO_LONG, "longer than the model's context"), (FILTERED, "filtered")])
def test_a_refused_prompt_is_an_invalid_answer_with_its_reason(name: str, page: Page, said: str):
    with OpenAIServer(profile=lambda body: page) as server:
        agent, values = first_proposal(name, server)
        assert values == agent.problem.start
        assert said in agent.invalid_answers[0]
        asked = len(server.requests)
        assert asked >= (2 if page is TOO_LONG else 1)


def test_a_question_whose_prompt_is_refused_is_a_wrong_answer():
    def profile(body: dict[str, Any]) -> Any:
        return FILTERED if len(server.requests) == 1 else "ok"

    with OpenAIServer("Answer: 7", profile=profile) as server:
        env = opto_gym.make("GSM8K-v1", data="sample", batch=2)
        env.unwrapped.llm = Client("m", base_url=server.url, role="task")
        observation, _ = env.reset(seed=0)
        assert len(server.requests) == 2
        assert "the endpoint refused the prompt (400: The prompt was filtered" in str(observation.feedback)
        assert "The answer is wrong: '7'" in str(observation.feedback)
