"""The small call before a run: what of its answers ends the run, how soon, and what it costs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from opto_gym.errors import EndpointError
from opto_gym.llm import Budget, Client
from opto_gym.llm.probe import probe

OK = {"choices": [{"message": {"content": "OK"}}], "usage": {"prompt_tokens": 6, "completion_tokens": 1}}
NOBODY = "http://127.0.0.1:9/v1"


class Scripted:
    """A server that gives every request the same answer, after some seconds."""

    def __init__(self, status: int, page: bytes, delay: float) -> None:
        self.requests: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                outer.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                time.sleep(delay)
                self.send_response(status)
                self.send_header("content-length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    servers: list[Scripted] = []

    def make(status: int = 200, said: Any = OK, delay: float = 0.0) -> Scripted:
        page = said if isinstance(said, bytes) else json.dumps(said).encode()
        servers.append(Scripted(status, page, delay))
        return servers[-1]

    yield make
    for server in servers:
        server.server.shutdown()
        server.server.server_close()


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (401, {"error": {"message": "bad key"}}, "401.*--api-key-env"),
        (403, {"error": {"message": "not for you"}}, "403"),
        (402, {"error": {"message": "no credit"}}, "402"),
        (404, {"error": {"message": "model not found"}}, "404.*name of a model there"),
        (405, b"", "405"),
        (429, {"error": {"message": "pay", "type": "insufficient_quota"}}, "insufficient_quota"),
        (200, b"<!doctype html><html>Welcome</html>", "page in place of JSON.*ends in /v1"),
        (404, b"<html>not found</html>", "404"),
    ],
)
def test_what_would_refuse_every_call_is_an_error(scripted: Any, status: int, said: Any, expected: str):
    server, begin = scripted(status, said), time.monotonic()
    with pytest.raises(EndpointError, match=expected) as error:
        probe([Client("m", base_url=server.url)])
    assert server.url in str(error.value)
    assert time.monotonic() - begin < 2
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", [NOBODY, "http://opto-gym.invalid/v1"])
def test_a_host_that_is_not_there(url: str):
    begin = time.monotonic()
    with pytest.raises(EndpointError, match=r"can't be reached.*Is the server up"):
        probe([Client("m", base_url=url)])
    assert time.monotonic() - begin < 2.5


def test_no_key():
    with pytest.raises(EndpointError, match="OPENAI_API_KEY"):
        probe([Client("gpt-4o-mini")])


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (429, {"error": {"message": "busy"}}),
        (500, {"error": {"message": "down"}}),
        (503, b"<html>down</html>"),
        (400, {"error": {"message": "max_tokens is not supported, use max_completion_tokens"}}),
        (422, {"error": {"message": "a field is wrong"}}),
        (200, {"choices": []}),
        (200, b"no JSON"),
        (200, b""),
    ],
)
def test_what_may_pass_is_no_error(scripted: Any, status: int, said: Any):
    server, budget = scripted(status, said), Budget({"llm_calls": 5})
    probe([Client("m", base_url=server.url, budget=budget)])
    assert len(server.requests) == 1
    assert budget.spent["llm_calls"] == (status == 200)


def test_a_slow_answer_is_not_waited_for_and_no_error(scripted: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("opto_gym.llm.probe.PATIENCE", 0.3)
    slow, begin, budget = scripted(401, b"", 1.0), time.monotonic(), Budget({"llm_calls": 5})
    probe([Client("m", base_url=slow.url, budget=budget)])
    assert time.monotonic() - begin < 0.9


def test_it_is_booked_in_the_budget(scripted: Any):
    server, budget = scripted(), Budget({"usd": 1.0, "llm_calls": 2})
    clients = [Client(m, base_url=server.url, budget=budget, price=(1.0, 10.0)) for m in ("a", "b", "c")]
    probe(clients)
    assert {request["model"] for request in server.requests} <= {"a", "b", "c"}
    assert len(server.requests) == 2  # the third did not fit
    assert budget.spent["llm_calls"] == 2
    assert budget.spent["tokens"] == 14
    assert budget.spent["usd"] == pytest.approx(2 * 16e-6)
