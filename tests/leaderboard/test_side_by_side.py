"""Examples that run side by side where a model is inside the task: the results are those of one by one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from opto_gym.agents.base import Agent
from opto_gym.leaderboard import TrialFolder, replay, resume, run
from opto_gym.llm import Client
from opto_gym.llm.limiter import Limiter, limiter_of, set_concurrency
from tests.support.openai_server import OpenAIServer
from tests.support.runs import content
from tests.support.soak import SOAK
from tests.support.tasks import AskedInside

ENDLESS = "def read(answer):\n    while True:\n        pass\n"
SLOW_AT_EVEN = "def read(answer):\n    while int(answer) % 2 == 0:\n        pass\n    return answer\n"


class Fixed(Agent):
    """Proposes prompts and code that are given."""

    def run(self):
        yield
        for k in range(9):
            yield {"prompt": f"Count to {k}.", "read": "def read(answer):\n    return answer[::-1]\n"}


@pytest.fixture(autouse=True)
def adaptive():
    yield
    set_concurrency()


@pytest.fixture
def server():
    """A model that answers late and out of order, and differently each time."""
    numbers = iter(range(10**6))
    lock = threading.Lock()

    def reply(body):
        time.sleep(random.uniform(0, 0.005))
        with lock:
            next(numbers)
        return str(sum(body["messages"][0]["content"].encode()))

    with OpenAIServer(reply) as s:
        yield s


def go(out, server, concurrency, **settings):
    settings = {"oracle_calls": 3, "test_scores": "end", "concurrency": concurrency, "progress": False, **settings}
    return run(
        ["tests.support.tasks:AskedInside"], [f"{__name__}:Fixed"], out=out, seeds=1, model="fake",
        base_url=server.url, **settings,
    ).trials[0]  # fmt: skip


def calls(path):
    return sorted((line.key, line.n, line.place, line.texts) for line in TrialFolder(path).calls())


def test_the_record_is_that_of_one_by_one(server, tmp_path):
    one = go(tmp_path / "one", server, 1)
    several = go(tmp_path / "several", server, 20)
    assert content(one.path) == content(several.path)
    assert calls(one.path) == calls(several.path)
    spent = [[step.spent.tokens for step in TrialFolder(t.path).steps()] for t in (one, several)]
    assert spent[0] == spent[1]
    for concurrency in (1, 20):
        set_concurrency(concurrency)
        assert replay(several.path).differences == []


def test_examples_run_side_by_side(tmp_path):
    at_once, most, lock = 0, 0, threading.Lock()

    def reply(body):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.05)
        with lock:
            at_once -= 1
        return "7"

    with OpenAIServer(reply) as s:
        go(tmp_path / "a", s, None, oracle_calls=1, test_scores="never")
        assert most == 8
        most = 0
        go(tmp_path / "b", s, 3, oracle_calls=1, test_scores="never")
        assert most == 3
        most = 0
        go(tmp_path / "c", s, 1, oracle_calls=1, test_scores="never")
        assert most == 1


@pytest.mark.parametrize("code", [ENDLESS, SLOW_AT_EVEN])
def test_time_outs_in_a_row_give_the_result_of_one_by_one(code, server, monkeypatch):
    monkeypatch.setattr("opto_gym.sandbox.results.Limits.seconds", 0.3, raising=False)
    results = []
    for concurrency in (1, 20):
        set_concurrency(concurrency)
        env = AskedInside()
        env.llm = Client("fake", base_url=server.url, api_key="none", role="task")
        found = env.evaluate({"prompt": "Count.", "read": code}, examples=list(range(6)))
        results.append((found.graph.content_hash, [str(r.feedback) for r in found.per_example]))
    assert results[0] == results[1]


def test_the_first_error_in_the_order_of_the_examples_is_raised(server):
    class Broken(AskedInside):
        def forward(self, p, example):
            time.sleep(0.05 * (3 - example))
            if example:
                raise RuntimeError(f"example {example}")
            return super().forward(p, example)

    env = Broken()
    env.llm = Client("fake", base_url=server.url, api_key="none", role="task")
    with pytest.raises(RuntimeError, match="example 1"):
        env.evaluate(env.problem.start, examples=[0, 1, 2, 3])


@pytest.mark.parametrize("limit", [24, *(pytest.param(n, marks=pytest.mark.slow) for n in (5, 30, 49))])
def test_a_budget_that_ends_among_examples_ends_the_trial_at_the_same_step(limit, server, tmp_path):
    outcomes = []
    for concurrency in (1, 20):
        outcome = go(tmp_path / str(concurrency), server, concurrency, llm_calls=limit, oracle_calls=9)
        steps = TrialFolder(outcome.path).steps()
        outcomes.append((outcome.status, TrialFolder(outcome.path).trial().ended, [s.graph for s in steps]))
    assert outcomes[0] == outcomes[1]


KILLED = """
import sys
from tests.leaderboard.test_side_by_side import go
from types import SimpleNamespace
go(sys.argv[1], SimpleNamespace(url=sys.argv[2]), 20, test_scores="each", oracle_calls=4)
"""


@pytest.mark.slow
@pytest.mark.parametrize("round", range(50 if SOAK else 10))
def test_nothing_recorded_is_paid_twice_after_a_kill(round, server, tmp_path):
    environment = {**os.environ, "OPENAI_API_KEY": "none"}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "r"), server.url], env=environment)
    waiting = random.Random(round).randrange(1, 150)
    while len(server.requests) < waiting and process.poll() is None:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.1)  # for requests on their way
    (path,) = (tmp_path / "r" / "trials").iterdir()
    recorded = {(line.key, line.n) for line in TrialFolder(path).calls()}
    before = len(server.requests)
    outcome = resume(tmp_path / "r", progress=False, concurrency=20).trials[0]
    assert outcome.status == "done", outcome.error
    lines = [(line.key, line.n) for line in TrialFolder(path).calls()]
    assert len(lines) == len(set(lines))
    assert len(server.requests) - before == len(lines) - len(recorded)
    assert before - len(recorded) <= 20  # those that were under way
    whole = go(tmp_path / "whole", server, 1, test_scores="each", oracle_calls=4)
    assert content(path) == content(whole.path)


# ---- the limiter
def answer(limiter, n, *, too_many=False):
    """Ends n requests that are under way at the same time."""
    tickets = []
    for _ in range(n):
        context = limiter.request()
        tickets.append((context, context.__enter__()))
    for context, ticket in tickets:
        ticket.is_too_many = too_many
        context.__exit__(None, None, None)


def test_the_limit_grows_while_answers_come_and_halves_at_refusals():
    limiter = Limiter()
    assert limiter.limit == 20
    answer(limiter, 10)
    assert limiter.limit == 20  # not all were used
    for _ in range(9):
        answer(limiter, limiter.limit)
    assert 25 <= limiter.limit <= 100
    high = limiter.limit
    answer(limiter, high, too_many=True)
    assert limiter.limit == high // 2  # once for all that were under way
    for _ in range(12):
        answer(limiter, limiter.limit, too_many=True)
    assert limiter.limit == 1


def test_a_fixed_limit_stays():
    limiter = Limiter(3)
    answer(limiter, 3, too_many=True)
    answer(limiter, 3)
    assert (limiter.limit, limiter.most) == (3, 3)


def test_no_more_requests_than_the_limit_are_under_way():
    limiter, at_once, most, lock = Limiter(4), 0, 0, threading.Lock()

    def work():
        nonlocal at_once, most
        with limiter.request():
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.002)
            with lock:
                at_once -= 1

    threads = [threading.Thread(target=work) for _ in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert most == 4


def test_the_embedded_model_gets_one_call_at_a_time():
    set_concurrency(50)
    assert limiter_of("local").most == 1
    assert limiter_of("http://a").most == 50
    with pytest.raises(ValueError, match="1 or more"):
        set_concurrency(0)


def test_a_run_leaves_no_limit_behind(server, tmp_path):
    go(tmp_path / "one", server, 1, oracle_calls=1)
    assert limiter_of("http://a").limit == 20
    set_concurrency(7)
    go(tmp_path / "two", server, 1, oracle_calls=1)
    assert limiter_of("http://a").limit == 7


def test_the_progress_says_what_runs(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("opto_gym.leaderboard.progress.LINE_SECONDS", 0.0)
    go(tmp_path, server, 20, oracle_calls=1, progress=True)
    said = [line.split(": ", 1)[1] for line in capsys.readouterr().err.splitlines() if line[-1:].isdigit()]
    for what, n in {"the start values": 8, "oracle call 1": 8, "scoring the start values": 12}.items():
        assert [f"{what} {k}/{n}" for k in range(1, n + 1)] == [line for line in said if line.startswith(f"{what} ")]


def test_places_are_recorded(server, tmp_path):
    path = go(tmp_path, server, 20, oracle_calls=1, test_scores="never").path
    places = [json.loads(line)["place"] for line in (path / "llm.jsonl").read_text().splitlines()]
    assert all(place.startswith("oracle call ") and ", example " in place for place in places)
    assert len(set(places)) == 2 * 8 * 3  # the start values and one call, 8 examples, three questions
