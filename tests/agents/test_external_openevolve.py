"""The authors' openevolve as an agent, on a scripted model."""

from __future__ import annotations

import pytest

import opto_gym
from opto_gym import Code, Number, Parameter, Problem
from opto_gym.leaderboard import TrialFolder, run
from opto_gym.registration import agent_class
from tests.support.author_packages import needs_packages
from tests.support.openai_server import OpenAIServer

pytestmark = [pytest.mark.slow, needs_packages]
WHOLE = {"diff_based_evolution": False}
MIXED = """```python
import math
times, other = 1, 2
times = 5
mark: str = "?"
text = "a longer text"

def twice(text):
    return text * int(math.sqrt(4))

@staticmethod
def change(text):
    return text

def change(text):
    # the last one counts
    return twice(text)

assert change("") == ""
```"""
CHANGE = """import math

times, other = 1, 2

def twice(text):
    return text * int(math.sqrt(4))

assert change("") == ""

def change(text):
    # the last one counts
    return twice(text)
"""


def diff(old, new):
    return f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE"


def go(out, env, server, settings=None, **keywords):
    keywords = {"seeds": 1, "oracle_calls": 3, "model": "fake", "base_url": server.url, "progress": False, **keywords}
    (outcome,) = run([env], [("external/openevolve", settings or {})], out=out, **keywords).trials
    assert (outcome.status, outcome.error) == ("done", None)
    folder = TrialFolder(outcome.path)
    return folder, folder.steps()


def test_diffs_change_the_file_and_what_was_said_is_shown(tmp_path):
    numbers = iter((2, 3, 4))
    with OpenAIServer(lambda body: diff("times = 1", f"times = {next(numbers)}")) as server:
        folder, steps = go(tmp_path, "tests.support.tasks:Mixed", server, {"num_islands": 3})
        bodies = [r["body"] for r in server.requests]
    start = opto_gym.make("tests.support.tasks:Mixed").unwrapped.problem.start
    assert [s.parameters for s in steps] == [start, *({**start, "times": n} for n in (2, 3, 4))]
    assert len(bodies) == len(folder.llm.read_text().splitlines()) == 3
    summary = folder.trial().summary
    assert summary.recommended == {**start, "times": 4}
    assert (summary.spent.oracle_calls, summary.spent.llm_calls) == (3, 3)
    system, user = (m["content"] for m in bodies[0]["messages"])
    assert "Make the text long." in system
    assert "- times (a whole number in [1, 5])" in system
    assert "times = 1\n\nmark = '!'\n\ntext = 'hello'\n\ndef change(text):\n    return text\n" in user
    assert "6 characters for example" in user  # feedback
    assert "change0 = change(" in user  # trace


def test_seeds(tmp_path):
    sent = []
    for k, settings in enumerate(({}, {"send_seed": False})):
        with OpenAIServer(diff("times = 1", "times = {n}")) as server:
            go(tmp_path / str(k), "tests.support.tasks:Mixed", server, settings)
            sent.append({r["body"].get("seed") for r in server.requests})
    assert len(sent[0] - {None}) == 1
    assert sent[1] == {None}


def test_a_rewritten_file_is_read_as_python_would(tmp_path):
    with OpenAIServer(MIXED) as server:
        _, steps = go(tmp_path, "tests.support.tasks:Mixed", server, WHOLE, oracle_calls=1)
    assert steps[1].parameters == {"times": 5, "mark": "?", "text": "a longer text", "change": CHANGE}


def test_a_text_alone_is_the_whole_file(tmp_path):
    with OpenAIServer("```text\na much longer text```") as server:
        _, steps = go(tmp_path, "tests.agents.test_external_textgrad:Words", server, oracle_calls=1)
        system, user = (m["content"] for m in server.requests[0]["body"]["messages"])
    assert [s.parameters for s in steps] == [{"text": "hello"}, {"text": "a much longer text"}]
    assert "Make the text long." in system
    assert "```text\nhello\n```" in user


def test_a_permutation(tmp_path):
    order = list(range(10))[::-1]
    with OpenAIServer(lambda body: f"tour = {order}") as server:
        _, steps = go(tmp_path, ("TSP-v0", {"n": 10}), server, WHOLE, oracle_calls=1)
    assert list(steps[1].parameters.values()) == [order]


def lost(out, answers, settings):
    """What a trial makes of answers that can't be used, and then of a good one: (the steps, the reasons)."""
    in_turn = iter(answers)
    with OpenAIServer(lambda body: next(in_turn)) as server:
        _, steps = go(out, "tests.support.tasks:Mixed", server, settings, oracle_calls=len(answers))
        assert len(server.requests) == len(answers)
    assert len(steps) == 2
    return steps, [reason for s in steps for reason in s.invalid_answers]


def test_a_diff_that_does_not_fit_costs_its_iteration_and_no_oracle_call(tmp_path):
    bad = [
        *("I would make it longer.", "", None, "```python\ntimes = 2\n```"),
        *(diff("times = 7", "times = 2"), diff("times = 1", "times = 1"), "<<<<<<< SEARCH\ntimes = 1\n=======\n"),
    ]
    steps, reasons = lost(tmp_path, [*bad, diff("times = 1", "times = 2")], {"num_islands": 1})
    assert steps[1].parameters["times"] == 2
    assert len(reasons) == len(bad)


def test_a_file_that_holds_no_parameters_costs_its_iteration_and_no_oracle_call(tmp_path):
    bad = [
        "I would make it longer.",
        *(MIXED.replace("times = 5", f"times = {value}") for value in ("", "1 + 1", "{1}", "1j", "(" * 300)),
        MIXED.replace("def change", "async def change"),
        MIXED.replace('mark: str = "?"', "mark: str"),
        MIXED.replace("import math", "import math\0"),
    ]
    steps, reasons = lost(tmp_path, [*bad, MIXED], WHOLE)
    assert steps[1].parameters["times"] == 5
    assert len(reasons) == len(bad)
    assert "does not define change" in str(reasons)


def test_a_value_that_is_none_of_its_parameter_is_for_the_oracle(tmp_path):
    with OpenAIServer(MIXED.replace("times = 5", "times = 1e999")) as server:
        _, steps = go(tmp_path, "tests.support.tasks:Mixed", server, WHOLE, oracle_calls=1)
    assert "times" in steps[1].error


def test_no_call_beyond_the_budget(tmp_path):
    with OpenAIServer(diff("times = 1", "times = 1{n}")) as server:
        _, steps = go(tmp_path, "tests.support.tasks:Mixed", server, oracle_calls=None, llm_calls=2)
        assert len(server.requests) == 2
    assert len(steps) == 3
    assert [s.invalid_answers for s in steps] == [[]] * 3


def test_a_solved_problem_ends_it(tmp_path):
    with OpenAIServer(diff("x = 0", "x = 3")) as server:
        _, steps = go(tmp_path, "tests.support.tasks:Valley", server, oracle_calls=50)
        assert len(server.requests) <= 2  # one may have been on its way
    assert [s.score for s in steps] == [9.0, 0.0]


def test_parameters_that_no_file_can_hold_are_refused():
    kind = agent_class("external/openevolve")
    twice = [Parameter(name, Code("f(x)"), "def f(x):\n    return x\n") for name in ("a", "b")]
    for parameters, said in ((twice, "f"), ([Parameter("lambda", Number(0, 1), 0)], "lambda")):
        problem = Problem("id", {}, "objective", tuple(parameters), (0.0, 1.0))
        assert (
            kind.unsupported_reason(problem) == f"OpenEvolve keeps all parameters in one file, which can't hold {said}"
        )
