from __future__ import annotations

import pytest

import opto_gym
from tests.support.env_contract import FULL
from tests.support.openai_server import OpenAIServer, letter_by_request


@pytest.fixture(scope="session")
def endpoint():
    with OpenAIServer(letter_by_request) as server:
        yield server


@pytest.fixture(autouse=True)
def scripted_model(endpoint, monkeypatch):
    """Models inside environments are a real server's on loopback, which always gives the same answers."""
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPTO_GYM_MODEL", "scripted")


@pytest.fixture(params=FULL)
def env(request):
    """Each of the registered environments, one a class."""
    return opto_gym.make(request.param, oracle_calls=3).unwrapped
