from __future__ import annotations

from collections.abc import Iterator

import pytest

from opto_gym.llm import client
from tests.support.openai_server import OpenAIServer


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the developer's machine, and short pauses between attempts."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(client, "_FIRST_PAUSE", 0.005)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as s:
        yield s
