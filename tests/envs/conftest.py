from __future__ import annotations

import hashlib

import pytest

from tests.support.openai_server import OpenAIServer


def scripted(body):
    """An answer that depends on the whole request, and on nothing else."""
    seed = hashlib.sha256(str(body["messages"]).encode()).digest()[0]
    return f"Let me think. Answer: ({'ABCD'[seed % 4]})"


@pytest.fixture(scope="session")
def endpoint():
    with OpenAIServer(scripted) as server:
        yield server


@pytest.fixture(autouse=True)
def scripted_model(endpoint, monkeypatch):
    """Models inside environments are a real server's on loopback, which always gives the same answers."""
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPTO_GYM_MODEL", "scripted")
