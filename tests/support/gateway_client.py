"""A package's side of the gateway: OpenAI's own client, and raw requests."""

from __future__ import annotations

import http.client
import json
from typing import Any

import openai
import pytest

from opto_gym.llm.gateway import Access

ASK: list[Any] = [{"role": "user", "content": "Name a colour."}]


def user(access: Access, **settings: Any) -> openai.OpenAI:
    """The package's side: OpenAI's own client, with its own retries."""
    transport = openai.DefaultHttpxClient(trust_env=False, verify=False)  # no TLS here: its set-up is slow
    return openai.OpenAI(base_url=access.base_url, api_key=access.token, http_client=transport, **settings)


def ask(access: Access, **request: Any) -> Any:
    with user(access) as llm:
        return llm.chat.completions.create(**{"model": "test-model", "messages": ASK, **request})


def refusal(access: Access, **request: Any) -> tuple[int, str]:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(access, **request)
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    return caught.value.status_code, str(caught.value.code)


def post(access: Access, body: bytes, path: str = "/v1/chat/completions", token: str | None = None) -> tuple[int, Any]:
    """The status and the JSON of a raw request."""
    connection = http.client.HTTPConnection(access.base_url.split("/")[2], timeout=60)
    headers = {"authorization": f"Bearer {token or access.token}", "content-type": "application/json"}
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, json.loads(data)
