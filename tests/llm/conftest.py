from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from opto_gym.llm import Client, attempts
from opto_gym.llm.gateway import Access, Gateway
from tests.support.openai_server import OpenAIServer


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the developer's machine, and short pauses between attempts, ours and those of OpenAI's client."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(attempts, "_FIRST_PAUSE", 0.005)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.005)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as g:
        yield g


@pytest.fixture
def register(gateway: Gateway, server: OpenAIServer) -> Callable[..., Access]:
    """A function that registers a client of the scripted server."""

    def register(**settings: Any) -> Access:
        return gateway.register(Client("test-model", base_url=server.url, api_key="sk-the-real-key", **settings))

    return register
