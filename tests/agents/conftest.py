from __future__ import annotations

import sys

import pytest

import opto_gym
from opto_gym.llm import Client
from opto_gym.registration import agent_class
from tests.support.openai_server import OpenAIServer
from tests.support.registered import AGENTS
from tests.support.tasks import Mixed
from tests.support.terminal import Typed


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
        *("BinaryLock-v0", "LongTrace-v0", "MetaWorld-Reach-v0"),
    ):
        yield opto_gym.make(name).unwrapped
    env = opto_gym.make("GSM8K-v0", data="sample").unwrapped
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
