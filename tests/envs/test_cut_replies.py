"""Replies that end by length: what the cut touches does not count, and the feedback names the setting."""

from __future__ import annotations

import pytest

import opto_gym
from opto_gym.llm import Answer, Client

QUESTION = {"input": "How many?", "target": "125"}
LAST_NUMBER = '''def extract_answer(prompt_template, question, response):
    """Takes the last number."""
    import re
    return re.findall(r"[0-9]+", response)[-1]
'''
ASK_AGAIN = '''def extract_answer(prompt_template, question, response):
    """Asks again."""
    return ask_model(response)
'''


class Cut(Client):
    """A client whose model says the given texts, the last of which is cut."""

    def __init__(self, *texts):
        super().__init__("scripted", base_url="http://localhost")
        self.texts = list(texts)

    def chat(self, messages, **_):
        text = self.texts.pop(0)
        return Answer(text, (text,), "stop" if self.texts else "length", 0, 0, 0.0, None, "none")


def evaluate(name, *texts, target="125", **values):
    env = opto_gym.make(name, data="sample", max_tokens=77).unwrapped
    env.llm = Cut(*texts)
    return env.evaluate({**env.problem.start, **values}, examples=[{**QUESTION, "target": target}])


@pytest.mark.parametrize(
    ("reply", "target", "score"),
    [
        ("So it is\n#### 125\n", "125", 1.0),
        (r"So it is \boxed{125} and", "125", 1.0),
        ("#### 125", "125", 0.0),
        ("The answer is 12", "12", 0.0),
        ("Answer: 125\n\nLet me check", "125", 1.0),
    ],
)
def test_a_cut_reply_is_read_up_to_what_had_ended(reply, target, score):
    e = evaluate("GSM8K-v1", reply, target=target)
    assert (e.score, e.error) == (score, None)
    assert ("at the limit of 77 tokens (max_tokens)" in str(e.feedback)) == (score == 0)


@pytest.mark.parametrize(
    ("reply", "values", "target", "score"),
    [
        ("Answer: 12", {}, "12", 0.0),
        ("Answer: 12", {"extract_answer": LAST_NUMBER}, "12", 0.0),
        ("Answer: 125\nSince", {}, "125", 1.0),
        ("Answer: 125\nSince", {"extract_answer": LAST_NUMBER}, "125", 1.0),
        ("5 and 12", {"extract_answer": LAST_NUMBER}, "12", 0.0),
    ],
)
def test_code_can_take_no_answer_from_where_a_reply_was_cut(reply, values, target, score):
    e = evaluate("BBH-object_counting-v1", reply, target=target, **values)
    assert (e.score, e.error) == (score, None)
    assert ("at the limit of 77 tokens (max_tokens)" in str(e.feedback)) == (score == 0)


def test_replies_to_the_code_s_own_calls_may_be_cut_too():
    e = evaluate("BBH-object_counting-v1", "Answer: 7", "12", target="12", extract_answer=ASK_AGAIN)
    assert (e.score, e.error) == (0.0, None)
    assert "What the cut touches does not count." in str(e.feedback)


def test_an_empty_reply_names_the_setting():
    said = str(evaluate("GSM8K-v1", "").feedback)
    assert "(max_tokens) before it said anything" in said
    assert "No answer was found in it" in said


def test_the_first_version_scores_a_cut_reply_as_it_did_and_says_nothing_of_the_cut():
    assert evaluate("GSM8K-v0", "The answer is 125").score == 1.0
    e = evaluate("GSM8K-v0", "The answer is 12")
    assert e.score == 0.0
    assert "max_tokens" not in str(e.feedback)


def test_an_example_s_cut_is_not_the_next_one_s():
    env = opto_gym.make("GSM8K-v1", data="sample").unwrapped
    env.llm = Cut("Answer: 12", "Answer: 13")
    first = env.evaluate(env.problem.start, examples=[QUESTION])
    env.llm.texts.append("never asked")
    assert "max_tokens" not in str(first.feedback)
    env.llm = Cut("Answer: 12")
    env.evaluate(env.problem.start, examples=[QUESTION])
    env.llm = Cut("Answer: 12", "")
    assert "max_tokens" not in str(env.evaluate(env.problem.start, examples=[QUESTION]).feedback)
