"""Tries: endpoints that redirect the prompt, never end a response, lie about usage, and stretch every wait."""

from __future__ import annotations

import gzip
import json
import resource
import socket
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from opto_gym.errors import BudgetSpent, EndpointError
from opto_gym.llm import Budget, CallMonitor, Client, attempts, transport
from opto_gym.llm.endpoint import AttemptFailed, Endpoint
from opto_gym.llm.request import token_bound
from tests.support.hostile_server import GOOD, HostileServer, dripping, response

ASK = [{"role": "user", "content": "THE-PROMPT: name a colour."}]
KEY = "sk-canary-0123456789"
LONG = 120  # seconds until the end of a server that drips


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(attempts, "_FIRST_PAUSE", 0.005)


def client(url: str, **settings: Any) -> Client:
    return Client("m", base_url=url, api_key=KEY, **{"attempts": 1, **settings})


def chat(url: str, **settings: Any) -> str:
    return client(url, **settings).chat(ASK, max_tokens=20).text


# ---- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_gets_neither_prompt_nor_key(status: int):
    with HostileServer(lambda c, _: c.sendall(response())) as other:
        to = {"Location": other.url.replace("127.0.0.1", "localhost") + "/chat/completions"}
        with HostileServer(lambda c, _: c.sendall(response(b"", status, to))) as endpoint:
            with pytest.raises(EndpointError, match=f"{status}: it redirects to http://localhost:{other.port}") as e:
                chat(endpoint.url, attempts=3)
            assert (len(endpoint.requests), other.requests) == (1, [])
            assert e.value.status == status


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "//localhost:{port}/v1",
        "http://127.0.0.1:{other}/v1/chat/completions",
        "https://127.0.0.1:{port}/v1/chat/completions",
        "http://127.0.0.1:{port}@localhost:{other}/",
        "http://127.0.0.1.evil.example/",
        "http://[::1]:{port}/",
        "ftp://127.0.0.1:{port}/",
        "http://127.0.0.1:99999999/",
        "http://\x01\x02",
        "file:///etc/passwd",
    ],
)
def test_another_port_scheme_or_spelling_is_another_origin(status: int, location: str):
    with (
        HostileServer(lambda c, _: c.sendall(response())) as other,
        HostileServer(lambda c, r: answer(c, r)) as endpoint,
    ):

        def answer(c: socket.socket, _: bytes) -> None:
            to = location.format(port=endpoint.port, other=other.port)
            c.sendall(response(b"", status, {"Location": to}))

        with pytest.raises(EndpointError):
            chat(endpoint.url)
        assert (len(endpoint.requests), other.requests) == (1, [])


def test_a_slash_at_the_end_is_no_attack():
    """The same origin with the same method: what web frameworks answer where a slash is missing."""

    def answer(c: socket.socket, request: bytes) -> None:
        ready = request.startswith(b"POST /v1/chat/completions/ ")
        c.sendall(response() if ready else response(b"", 307, {"Location": "/v1/chat/completions/"}))

    with HostileServer(answer) as endpoint:
        assert chat(endpoint.url) == "blue"
        assert all(b"THE-PROMPT" in request for request in endpoint.requests)


def test_a_redirect_in_a_circle_ends():
    to = {"Location": "/v1/chat/completions"}
    with HostileServer(lambda c, _: c.sendall(response(b"", 307, to))) as endpoint:
        with pytest.raises(EndpointError):
            chat(endpoint.url)
        assert len(endpoint.requests) < 10


# ---- size


def endless(head: bytes, part: bytes) -> Any:
    def answer(c: socket.socket, _: bytes) -> None:
        c.sendall(head)
        for _ in range(4096):
            c.sendall(part)

    return answer


def unpacked_zeros(size: int, pack: Any) -> bytes:
    return bytes(pack.compress(b"0" * size) + pack.flush())


ENDLESS = {
    "a body to the end of the connection": endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 2**18),
    "chunks": endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"40000\r\n" + b"x" * 2**18 + b"\r\n"),
    "a length of a terabyte": endless(b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n", b" " * 2**18),
    "an error": endless(b"HTTP/1.1 500 No\r\n\r\n", b"x" * 2**18),
    "headers": endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 2**18 + b"\r\n"),
    "many headers": endless(b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n" * 2**15),
    "interim responses": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2**14),
    "trailers": endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Y: z\r\n" * 2**15),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_response_without_end(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "LONGEST_RESPONSE", 4 * 2**20)
    with HostileServer(ENDLESS[kind]) as endpoint:
        begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(EndpointError):
            chat(endpoint.url, timeout=90)
        assert time.monotonic() - begin < 60
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KB; without a bound, 1 GB arrives
        assert len(endpoint.requests) == 1


def test_the_default_bound_is_64_mb():
    assert transport.LONGEST_RESPONSE == 64 * 2**20
    long = json.dumps({**GOOD, "padding": "x" * 10 * 2**20}).encode()
    with HostileServer(lambda c, _: c.sendall(response(long))) as endpoint:
        assert chat(endpoint.url) == "blue"


@pytest.mark.parametrize("how", ["gzip", "deflate", "raw deflate"])
def test_a_small_response_that_unpacks_to_256_mb(how: str):
    packs = {"gzip": 31, "deflate": 15, "raw deflate": -15}
    body = unpacked_zeros(2**28, zlib.compressobj(1, wbits=packs[how]))
    assert len(body) < 2**22
    headers = {"Content-Encoding": how.removeprefix("raw ")}
    with HostileServer(lambda c, _: c.sendall(response(body, headers=headers))) as endpoint:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(EndpointError, match="its response is longer than 64 MB"):
            chat(endpoint.url)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 250_000


@pytest.mark.parametrize("how", ["gzip", "deflate", "raw deflate"])
def test_a_packed_response_is_read(how: str):
    wbits = {"gzip": 31, "deflate": 15, "raw deflate": -15}[how]
    pack = zlib.compressobj(wbits=wbits)
    body = pack.compress(json.dumps(GOOD).encode()) + pack.flush()
    headers = {"Content-Encoding": how.removeprefix("raw ")}
    with HostileServer(lambda c, _: c.sendall(response(body, headers=headers))) as endpoint:
        assert chat(endpoint.url) == "blue"


@pytest.mark.parametrize("how", ["br", "zstd", "gzip, gzip", "nonsense", "compress", "\x1b[2J"])
def test_a_packing_that_was_not_offered(how: str):
    body = gzip.compress(gzip.compress(json.dumps(GOOD).encode()))
    with (
        HostileServer(lambda c, _: c.sendall(response(body, headers={"Content-Encoding": how}))) as endpoint,
        pytest.raises(EndpointError) as e,
    ):
        chat(endpoint.url)
    assert "\x1b" not in str(e.value)


def test_a_body_that_is_not_packed_as_it_says():
    with (
        HostileServer(lambda c, _: c.sendall(response(b"no", headers={"Content-Encoding": "gzip"}))) as endpoint,
        pytest.raises(EndpointError, match="can't be unpacked"),
    ):
        chat(endpoint.url)


# ---- time


DRIPPING = {
    "a body": dripping(b"HTTP/1.1 200 OK\r\n\r\n"),
    "headers": dripping(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "a status line": dripping(b"HTTP/1.1 200 ", b"O"),
    "interim responses": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early hints": dripping(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
    "silence": lambda c, _: time.sleep(LONG),
    "silence after headers": lambda c, _: (
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        time.sleep(LONG),
    ),
    "an error": dripping(b"HTTP/1.1 500 No\r\n\r\n"),
    "packed": dripping(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"0")[:10], b"\0"),
}


@pytest.mark.parametrize("kind", DRIPPING)
def test_a_response_that_drips_ends_with_its_time(kind: str):
    with HostileServer(DRIPPING[kind]) as endpoint:
        begin = time.monotonic()
        with pytest.raises(EndpointError):
            chat(endpoint.url, timeout=0.5)
        assert time.monotonic() - begin < LONG / 4
        # the request itself ends too, not only the wait for it
        wait_until(lambda: not any(thread.name == "opto-gym-request" for thread in threading.enumerate()))
        wait_until(lambda: "silence" in kind or not endpoint.open)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG / 2
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("kind", DRIPPING)
def test_a_budget_of_seconds_holds(kind: str):
    with HostileServer(DRIPPING[kind]) as endpoint:
        begin = time.monotonic()
        with pytest.raises((BudgetSpent, EndpointError)):
            chat(endpoint.url, timeout=600, attempts=6, budget=Budget({"seconds": 0.5}))
        assert time.monotonic() - begin < LONG / 4


WAITS = {
    "a year": "31536000",
    "400 digits": "9" * 400,
    "infinity": "inf",
    "a power": "1e400",
    "not a number": "nan",
    "negative": "-5",
    "a date in a year": "Fri, 31 Dec 2099 23:59:59 GMT",
    "an odd zone": "Fri, 31 Dec 2099 23:59:59 +9999999999",
    "a zone of 400 digits": "Fri, 31 Dec 2099 23:59:59 +" + "9" * 400,
    "the end of the calendar": "Fri, 31 Dec 9999 23:59:59 -2359",
    "its begin": "Mon, 01 Jan 0001 00:00:00 +2359",
    "text": "soon",
    "empty": "",
}


@pytest.mark.parametrize("header", ["Retry-After", "retry-after-ms"])
@pytest.mark.parametrize("wait", WAITS)
def test_a_wait_without_end(wait: str, header: str, monkeypatch: pytest.MonkeyPatch):
    with HostileServer(lambda c, _: c.sendall(response({"error": "wait"}, 429, {header: WAITS[wait]}))) as endpoint:
        begin = time.monotonic()
        with pytest.raises((BudgetSpent, EndpointError)):
            chat(endpoint.url, attempts=2, budget=Budget({"seconds": 0.5}))
        assert time.monotonic() - begin < LONG / 4
        with pytest.raises(AttemptFailed) as e:
            Endpoint("m", endpoint.url, KEY, 5).post({"model": "m", "messages": ASK})
        assert e.value.retry_after is None or e.value.retry_after >= 0


# ---- usage

LIES: list[Any] = [-1, -(10**400), 10**400, 10**18, 10**7, 1.5, 12.0, True, "12", "9" * 400, [5], {"n": 5}, 1e300]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: str(lie)[:20])
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens"])
def test_usage_that_cannot_be(lie: Any, field: str):
    said: list[str] = []
    body = {**GOOD, "usage": {"prompt_tokens": 5, "completion_tokens": 1, field: lie}}
    with HostileServer(lambda c, _: c.sendall(response(body))) as endpoint:
        llm = client(endpoint.url, budget=Budget({"tokens": 1000}), monitor=CallMonitor(said.append))
        bound = sum(token_bound({"messages": ASK, "max_tokens": 20}))
        answers = [llm.chat(ASK, max_tokens=20) for _ in range(3)]
        assert {answer.counted for answer in answers} == {"bound"}
        assert llm.budget.spent["tokens"] == 3 * bound
        assert llm.ledger.totals()["tokens_in"] + llm.ledger.totals()["tokens_out"] == 3 * bound
        assert len(said) == 1
        assert "reports a usage of 'm' that can't be" in said[0]


def test_usage_that_can_be_is_believed():
    with HostileServer(lambda c, _: c.sendall(response())) as endpoint:
        answer = client(endpoint.url).chat(ASK, max_tokens=20)
        assert (answer.tokens_in, answer.tokens_out, answer.counted) == (5, 1, "usage")


def test_a_lie_beside_an_error_in_a_200():
    body = {
        "error": {"message": "upstream is gone", "code": 502},
        "usage": {"prompt_tokens": 10**400, "completion_tokens": 1},
    }
    with HostileServer(lambda c, _: c.sendall(response(body))) as endpoint:
        llm = client(endpoint.url, budget=Budget({"tokens": 1000}))
        with pytest.raises(EndpointError):
            llm.chat(ASK, max_tokens=20)
        assert llm.budget.spent["tokens"] == sum(token_bound({"messages": ASK, "max_tokens": 20}))


@pytest.mark.parametrize("lie", [10**400, -5, "9" * 400, True, 1e300], ids=lambda lie: str(lie)[:20])
def test_lies_in_the_details_of_the_usage(lie: Any):
    details = {"completion_tokens_details": {"reasoning_tokens": lie}, "prompt_tokens_details": {"cached_tokens": lie}}
    body = {**GOOD, "usage": {"prompt_tokens": 5, "completion_tokens": 1, **details}}
    with HostileServer(lambda c, _: c.sendall(response(body))) as endpoint:
        answer = client(endpoint.url, price=(1.0, 2.0)).chat(ASK, max_tokens=20)
        assert (answer.reasoning_tokens, answer.cached_tokens in (None, True)) == (None, True)
        assert answer.usd == pytest.approx(7e-6)


@pytest.mark.parametrize("lie", [10**400, "12", -5, None, 1.5], ids=lambda lie: str(lie)[:20])
def test_lies_about_one_of_several_answers(lie: Any):
    """The endpoint gives one completion for a request; the usages of several are summed."""
    body = {**GOOD, "usage": {"prompt_tokens": lie, "completion_tokens": 1}}
    with HostileServer(lambda c, _: c.sendall(response(body))) as endpoint:
        answer = client(endpoint.url).complete({"messages": ASK, "max_tokens": 20, "n": 3})
        assert answer.texts == ("blue",) * 3


def test_the_call_before_a_run_believes_no_lie_either():
    body = {**GOOD, "usage": {"prompt_tokens": 10**400, "completion_tokens": -1}}
    with HostileServer(lambda c, _: c.sendall(response(body))) as endpoint:
        llm = client(endpoint.url, budget=Budget({"tokens": 1000}))
        llm.probe()
        assert 0 < llm.budget.spent["tokens"] < 100


# ---- what is printed

ESCAPES = "\x1b]0;owned\x07 \x1b[2J \x9b31m \x7f \u202e \u2028 \r\x08"


@pytest.mark.parametrize(
    "where", ["an error", "an error in a 200", "no completion", "a finish reason", "a page", "a kind"]
)
def test_no_terminal_escape_is_printed(where: str):
    said: list[str] = []
    bodies: dict[str, tuple[Any, int]] = {
        "an error": ({"error": {"message": ESCAPES}}, 418),
        "an error in a 200": ({"error": {"message": ESCAPES, "code": 500}}, 200),
        "no completion": ({"said": ESCAPES}, 200),
        "a finish reason": ({"choices": [{"finish_reason": ESCAPES, "message": {"content": None}}]}, 200),
        "a page": (f"<html><title>{ESCAPES}</title>{ESCAPES}".encode(), 503),
        "a kind": ({"error": {"message": "no", "type": ESCAPES}}, 503),
    }
    body, status = bodies[where]
    with HostileServer(lambda c, _: c.sendall(response(body, status, {"Retry-After": "6"}))) as endpoint:
        monitor = CallMonitor(said.append)
        try:
            llm = client(endpoint.url, attempts=2, monitor=monitor, budget=Budget({"seconds": 5.5}))
            said.append(str(llm.chat(ASK, max_tokens=20).problem))
        except (EndpointError, BudgetSpent) as e:
            said.append(str(e))
    assert said
    assert not [line for line in said if set(line) & set(ESCAPES) - {" ", *"owned0123456789;[]mJ"}]
