"""The authors' trace-opt as agents, on a scripted model."""

from __future__ import annotations

import json
import re

import pytest

from opto_gym.leaderboard import TrialFolder, replay, run
from tests.support.author_packages import needs_packages
from tests.support.openai_server import OpenAIServer

pytestmark = [pytest.mark.slow, needs_packages]
AGENTS = ("external/trace-opt-OptoPrime", "external/trace-opt-OPRO")
MIXED = {"times": 5, "mark": "?", "text": "a longer text", "change": "def change(text):\n    return text * 2"}


def suggests(values):
    """A model that suggests these values, under the names by which trace-opt shows the parameters."""

    def reply(body):
        user = body["messages"][1]["content"]
        shown = {
            name: found[0]
            for name in values
            if (found := re.findall(rf"(?:\) |\")((?:__code_)?{name}\d+)[=:\"]", user))
        }
        return json.dumps({"reasoning": "Longer.", "suggestion": {shown[name]: values[name] for name in shown}})

    return reply


def go(out, env, server, agent, **keywords):
    keywords = {"seeds": 1, "oracle_calls": 2, "model": "fake", "base_url": server.url, "progress": False, **keywords}
    (outcome,) = run([env], [(agent, {"max_tokens": 100})], out=out, **keywords).trials
    assert (outcome.status, outcome.error) == ("done", None)
    folder = TrialFolder(outcome.path)
    return folder, folder.steps()


@pytest.mark.parametrize("agent", AGENTS)
def test_each_kind_gets_better_and_all_is_on_record(tmp_path, agent):
    with OpenAIServer(suggests(MIXED)) as server:
        folder, steps = go(tmp_path, "tests.support.tasks:Mixed", server, agent)
        asked = [r["body"] for r in server.requests]
    assert {name: value.strip() if name == "change" else value for name, value in steps[1].parameters.items()} == MIXED
    assert steps[1].score == 132 > steps[0].score == 6
    assert len(asked) == 2 == folder.trial().summary.ledger.optimizer.calls
    assert {body["max_tokens"] for body in asked} == {100}
    seen = asked[0]["messages"][1]["content"]
    assert "6 characters for example" in seen
    assert ("#Code" in seen and "mul" in seen) == (agent == AGENTS[0])  # the trace, in their words
    assert replay(folder.path).differences == []


def test_a_value_that_is_used_twice_and_answers_that_their_parser_raises_at(tmp_path):
    answers = ['{"suggestion": {"x00": null}}', "TERMINATE", "no JSON", "", '{"suggestion": {"x00": 2.5}}']
    in_turn = iter(answers)
    with OpenAIServer(lambda body: next(in_turn)) as server:  # the start values' output is x0 * x0 and more
        _, steps = go(tmp_path, "NumericalOptimization-v0", server, AGENTS[0], oracle_calls=len(answers))
    assert [s.parameters["x0"] for s in steps] == [*[-1.0] * 5, 2.5]
    assert [len(s.invalid_answers) for s in steps] == [0, 1, 0, 0, 0, 0]


def test_no_call_beyond_the_budget(tmp_path):
    with OpenAIServer(suggests(MIXED)) as server:
        folder, steps = go(tmp_path, "tests.support.tasks:Mixed", server, AGENTS[0], oracle_calls=None, llm_calls=3)
        assert len(server.requests) == 3
    assert len(steps) == 4
    assert folder.trial().ended == "budget: llm_calls"
