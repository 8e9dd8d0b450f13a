"""Answers that were cut or empty, decisions to change nothing, and what an answer that can't be used proposes."""

from __future__ import annotations

import json

import pytest

import opto_gym
from opto_gym.agents.textgrad import Criticised
from opto_gym.llm.answer import read_answer
from tests.support.tasks import Valley


def body(*choices, **usage):
    made = [
        {"finish_reason": finish, "message": {"role": "assistant", "content": text, **more}}
        for text, finish, more in choices
    ]
    return json.dumps({"choices": made, "usage": {"prompt_tokens": 5, "completion_tokens": 7, **usage}}).encode()


REQUEST = {"model": "m", "messages": [], "max_tokens": 64}


def answer(*choices, **usage):
    return read_answer(body(*choices, **usage), REQUEST, None, 0.0)


@pytest.mark.parametrize("finish", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_each_choice_has_its_own_reason(finish):
    found = answer(("a", "stop", {}), ("b", finish, {}))
    assert [found.cut(k) for k in range(3)] == [False, True, False]
    assert found.finish_reasons == ("stop", finish)
    assert found.problem is None


@pytest.mark.parametrize(
    ("choice", "usage", "words"),
    [
        (("", "length", {}), {}, "cut after max_tokens=64 tokens (finish_reason 'length'); raise max_tokens"),
        ((None, "stop", {"reasoning_content": "Hm."}), {}, "reasoning alone"),
        ((None, "stop", {"reasoning": "Hm."}), {}, "reasoning alone"),
        (("", "length", {}), {"completion_tokens_details": {"reasoning_tokens": 7}}, "7 tokens went into reasoning"),
        ((None, "stop", {"refusal": "I can't help."}), {}, 'refused to answer: "I can\'t help."'),
        ((None, "content_filter", {}), {}, "content filter"),
        ((None, "stop", {}), {}, "no text (it ended by 'stop')"),
    ],
)
def test_an_empty_answer_says_where_its_tokens_went(choice, usage, words):
    assert words in answer(choice, **usage).problem


class Scripted:
    """A client whose answers are given."""

    model, endpoint = "fake", "scripted"

    def __init__(self, *answers):
        self.answers = list(answers)

    def chat(self, messages, **_):
        text, finish = self.answers.pop(0)
        return answer((text, finish, {}))


def proposals(name, *answers, env=None):
    """The proposals to scripted answers, on the valley; and the reasons of invalid answers."""
    env = env or Valley()
    agent = opto_gym.make_agent(name, model="fake", base_url="http://localhost:9")
    agent.reset(env.problem, seed=0)
    agent.llm = Scripted(*answers)
    observation, made, reasons = env.evaluate(env.problem.start, seed=0).observation, [], []
    for _ in answers:
        agent.invalid_answers = []
        values = agent.propose(observation)
        made.append(values["x"])
        reasons += agent.invalid_answers
        observation = env.evaluate(values, seed=0).observation
    return made, reasons


@pytest.mark.parametrize("name", ["OptoPrime", "OPRO-Trace"])
def test_a_cut_answer_is_invalid_and_names_the_setting(name):
    made, (reason,) = proposals(name, ('{"suggestion": {"x": 5', "length"))
    assert made == [0]
    assert reason.startswith(
        "the answer was cut after max_tokens=8192 tokens (finish_reason 'length'), raise max_tokens"
    )


@pytest.mark.parametrize("name", ["OptoPrime", "OPRO-Trace"])
def test_after_an_invalid_answer_the_last_that_worked_is_proposed(name):
    said = ['{"suggestion": {"x": 5}}', '{"suggestion": {"x": 500}}', "I can't."]  # 500 is not in the space
    made, reasons = proposals(name, *((text, "stop") for text in said))
    assert made == [5, 500, 5]
    assert len(reasons) == 1


@pytest.mark.parametrize("name", ["OptoPrime", "OPRO-Trace", "OPRO"])
@pytest.mark.parametrize(
    "text", ["**TERMINATE**.", '{"suggestion": "TERMINATE"}', "```\nTERMINATE\n```", "No change is needed."]
)
def test_no_change_is_a_decision(name, text):
    assert proposals(name, (text, "stop")) == ([0], [])


@pytest.mark.parametrize("text", ["No change is needed.", "<new_value>\nTERMINATE\n</new_value>", '{"x": "terminate"}'])
def test_textgrad_s_no_change_is_a_decision(text):
    env = Valley()
    agent = opto_gym.make_agent("TextGrad", model="fake", base_url="http://localhost:9")
    agent.reset(env.problem, seed=0)
    agent.llm = Scripted((text, "stop"))
    assert agent.step({"x": ["good"]}) == {"x": 0}
    assert agent.invalid_answers == []


def test_a_cut_criticism_ends_with_its_last_sentence():
    agent = opto_gym.make_agent("TextGrad", model="fake", base_url="http://localhost:9")
    agent.reset(Valley().problem, seed=0)
    agent.llm = Scripted(("<think>hm</think>It is low. Raise it by 1", "length"), ("It is", "length"))
    asked = [Criticised("x", "y", "feedback", ["bad"])]
    assert agent.criticise(asked) == [["It is low."]]
    assert agent.criticise(asked) == [[]]
    assert "max_tokens" in agent.invalid_answers[0]
