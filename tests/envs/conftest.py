from __future__ import annotations

import pytest

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
