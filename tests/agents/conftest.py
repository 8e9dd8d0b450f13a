from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import opto_gym
from opto_gym import OptoEnv
from opto_gym.agents.external.server import EvaluationServer, Session
from opto_gym.leaderboard.oracle import RecordedOracle
from opto_gym.leaderboard.records import TrialFolder
from opto_gym.llm import Budget, Client
from opto_gym.llm.limiter import set_concurrency
from opto_gym.registration import agent_class
from tests.support.openai_server import OpenAIServer
from tests.support.program_trials import family, threads
from tests.support.registered import AGENTS
from tests.support.tasks import Mixed
from tests.support.terminal import Typed


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out the fuzzed servers where the unit tests run without the plug-in that fuzzes them."""
    fuzzed = collection_path.name == "test_protocol_fuzzed.py"
    return True if fuzzed and not config.pluginmanager.hasplugin("schemathesis") else None


@pytest.fixture(scope="module")
def server():
    """A model whose suggestions are usable by every agent, for the parameters of all tasks below."""
    with OpenAIServer(
        '{"suggestion": {"x0": {n}, "x": {n}, "text": "t{n}", "reason": "def reason(map):\\n    return {n}"}}'
    ) as s:
        yield s


def tasks(server):
    """Tasks of every family, each made when it is its turn; the last has a model inside."""
    yield Mixed()
    for name in (
        *("NumericalOptimization-v0", "Battleship-v0", "LinearRegression-v0", "TSP-v0", "Traffic-v0"),
        *("BinaryLock-v0", "LongTrace-v0", "MetaWorld-Reach-v1"),
    ):
        yield opto_gym.make(name).unwrapped
    env = opto_gym.make("GSM8K-v1", data="sample").unwrapped
    env.llm = Client("fake", base_url=server.url, role="task")
    yield env


@pytest.fixture(params=AGENTS)
def made(request, server, monkeypatch):
    """(a function that makes one of the registered agents, an environment that it can work on)."""
    cls = agent_class(request.param)
    if cls.in_terminal:  # the real terminal is in test_human.py
        monkeypatch.setattr(sys, "stdin", Typed("start\nrun\n" * 100))
    keywords = {"model": "fake", "base_url": server.url} if cls.uses_model else {}
    env = next(task for task in tasks(server) if cls.unsupported_reason(task.problem) is None)
    server.script.clear()
    server.requests.clear()
    return (lambda: opto_gym.make_agent(request.param, **keywords)), env


@pytest.fixture
def homes(tmp_path_factory, monkeypatch):
    """The folder in which programs have their homes; no test leaves anything there, nor a process or thread."""
    before, homes = threads(), tmp_path_factory.mktemp("homes")
    monkeypatch.setenv("TMPDIR", str(homes))
    monkeypatch.setattr("tempfile.tempdir", str(homes))
    yield homes
    assert family() == []
    assert threads() <= before
    assert list(homes.iterdir()) == []


@pytest.fixture(scope="module")
def evaluation_server() -> Iterator[EvaluationServer]:
    with EvaluationServer() as s:
        yield s


@pytest.fixture
def serve(evaluation_server: EvaluationServer, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """A function that opens a trial of an environment: under limits, with an oracle as the harness has it."""
    opened: list[Session] = []

    def serve(env: OptoEnv, client: Client | None = None, *, limits: Any = (), **more: Any) -> Session:
        folder = TrialFolder(tmp_path / str(len(opened)))
        oracle = RecordedOracle(env, Budget(dict(limits)), folder, seed=0)
        opened.append(evaluation_server.open(client, env.problem, oracle, **more))
        return opened[-1]

    yield serve
    for session in opened:
        session.close()


@pytest.fixture(autouse=True)
def one_call_at_a_time() -> Iterator[None]:
    """Scripted answers come in the order of the requests. tests/leaderboard/test_side_by_side.py has calls at once."""
    set_concurrency(1)
    yield
    set_concurrency()
