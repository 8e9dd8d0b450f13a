"""Raw HTTP requests to an evaluation server."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from opto_gym.agents.external.server import Session

MIXED = {"times": 2, "mark": "?", "text": "hey", "change": "def change(text):\n    return text\n"}
RIGHT = {"add": "def add(a, b):\n    return a + b\n"}


def raw(
    session: Session, path: str, body: bytes | None = None, method: str | None = None, token: str | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(session.base_url.split("/")[2], timeout=60)
    headers = {"authorization": f"Bearer {token or session.token}", "content-type": "application/json"}
    connection.request(method or ("GET" if body is None else "POST"), path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer, said


def ask(session: Session, path: str, data: Any = None, **more: Any) -> Any:
    """The answer, or an error's (status, code)."""
    body = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
    answer, said = raw(session, path, body, **more)
    content = json.loads(said, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) if said else None
    if answer.status < 400:
        return content
    assert set(content["error"]) == {"message", "type", "param", "code"}
    return answer.status, content["error"]["code"]


def evaluate(session: Session, parameters: Any, **more: Any) -> Any:
    return ask(session, "/v1/evaluations", {"parameters": parameters, **more})


def refusal(session: Session, path: str, data: Any) -> str:
    """The message of the error that a malformed request gets."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    answer, said = raw(session, path, body)
    error = json.loads(said)["error"]
    assert (answer.status, error["code"]) == (400, "invalid_request")
    return str(error["message"])
