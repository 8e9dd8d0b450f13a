"""Tries: floods of the gateway's port, bodies that never end, no descriptors, web pages, tokens of other trials."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from opto_gym.llm import Client, gateway, serving
from opto_gym.llm.gateway import LONGEST_BODY, Access, Gateway
from tests.support.gateway_client import ASK, ask, post
from tests.support.openai_server import OpenAIServer


@pytest.fixture
def access(server: OpenAIServer) -> Iterator[Access]:
    with Gateway() as g, g.register(client(server)) as a:
        yield a


def client(server: OpenAIServer) -> Client:
    return Client("test-model", base_url=server.url, api_key="sk-the-real-key")


def port(access: Access) -> int:
    return int(access.base_url.split(":")[2].split("/")[0])


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


FLOOD = """
import resource, socket, sys
port, number, sent = int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
held = []
for _ in range(number):
    s = socket.socket()
    s.settimeout(0.5)
    try:
        s.connect(("127.0.0.1", port))
        s.sendall(sent)
    except OSError:
        pass
    held.append(s)
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def flood(access: Access, number: int, sent: bytes = b"") -> Iterator[None]:
    """Another program's connections, which send something and stay."""
    command = [sys.executable, "-c", FLOOD, str(port(access)), str(number), sent.hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"ready\n"
        yield
        other.stdin.close()


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET", b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "],
    ids=["nothing", "a word", "half"],
)
def test_idle_connections_give_way(access: Access, sent: bytes, capfd: pytest.CaptureFixture[str]):
    before = descriptors()
    with flood(access, 1200, sent):
        assert descriptors() - before < serving.CONNECTIONS + 50
        assert ask(access).choices[0].message.content == "ok"
    assert len(capfd.readouterr().err) < 10_000


@pytest.mark.slow
def test_ten_thousand_idle_connections(access: Access, capfd: pytest.CaptureFixture[str]):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 11_000:
        pytest.skip("this machine does not let a process have so many connections")
    before = descriptors()
    with flood(access, 10_000):
        assert descriptors() - before < serving.CONNECTIONS + 50
        assert ask(access).choices[0].message.content == "ok"
    assert len(capfd.readouterr().err) < 10_000


def test_without_descriptors_requests_wait(access: Access, capfd: pytest.CaptureFixture[str]):
    """The process has none left for a while, whoever took them."""
    assert ask(access).choices
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    said: list[Any] = []
    waiting = socket.socket()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() + 1, limits[1]))
        taken = []
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        waiting.connect(("127.0.0.1", port(access)))  # its descriptor was there before
        waiting.sendall(b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        time.sleep(0.5)
        for number in taken:
            os.close(number)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    waiting.settimeout(20)
    said.append(waiting.recv(100))
    waiting.close()
    assert said[0].startswith(b"HTTP/1.1 401")
    assert len(capfd.readouterr().err) < 10_000


def test_a_share_of_the_descriptors_is_left_to_the_run(access: Access, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (90, 90))
    before = descriptors()
    with flood(access, 200):
        assert descriptors() - before < 45
        assert ask(access).choices


@pytest.mark.slow
def test_unfinished_bodies_take_bounded_memory(access: Access, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway, "BODY_SECONDS", 3.0)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {access.token}\r\n"
    sent = f"{head}Content-Length: {LONGEST_BODY}\r\n\r\n".encode()
    before = resident()
    held = [socket.create_connection(("127.0.0.1", port(access))) for _ in range(60)]
    threads = [threading.Thread(target=send_slowly, args=(s, sent)) for s in held]
    for thread in threads:
        thread.start()
    begin = time.monotonic()
    while time.monotonic() - begin < 2:
        assert resident() - before < 200 * 2**20  # they hold 900 MB
        time.sleep(0.1)
    assert post(access, json.dumps({"model": "test-model", "messages": ASK}).encode())[0] == 200
    for s in held:
        s.close()
    for thread in threads:
        thread.join()


def send_slowly(connection: socket.socket, head: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.settimeout(5)
        connection.sendall(head)
        for _ in range(15):
            connection.sendall(b" " * 2**20)


def resident() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def test_a_body_that_never_comes_ends(access: Access, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway, "BODY_SECONDS", 0.3)
    status, said = raw(access, {"Content-Length": "1000", "Authorization": f"Bearer {access.token}"}, b"{")
    assert (status, said["error"]["code"]) == (408, "request_timeout")


@pytest.mark.parametrize("length", ["-1", "1e9", "9" * 30, "+5", "0x10", "5, 6"])
def test_an_odd_length(access: Access, length: str):
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        status, _ = raw(access, {"Content-Length": length, "Authorization": f"Bearer {access.token}"}, b"{}")
        assert status in (400, 413)
    assert ask(access).choices


def raw(access: Access, headers: dict[str, str], body: bytes = b"") -> tuple[int, Any]:
    """The status and the JSON of a request with these headers alone."""
    given = {"Host": f"127.0.0.1:{port(access)}", "Content-Length": str(len(body)), **headers}
    lines = ["POST /v1/chat/completions HTTP/1.1", *(f"{name}: {value}" for name, value in given.items() if value)]
    with socket.create_connection(("127.0.0.1", port(access)), timeout=20) as s:
        s.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        answer = http.client.HTTPResponse(s)
        answer.begin()
        return answer.status, json.loads(answer.read())


CHAT = json.dumps({"model": "test-model", "messages": ASK}).encode()


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1:1", "0.0.0.0", "[::1]", "localhost.", " "],
)
def test_another_host_is_refused(access: Access, server: OpenAIServer, host: str):
    status, _ = raw(access, {"Host": host, "Authorization": f"Bearer {access.token}"}, CHAT)
    assert status == 400
    assert server.requests == []


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1", "http://localhost:1", "file://", "x"]
)
def test_a_web_page_is_refused(access: Access, server: OpenAIServer, origin: str):
    status, said = raw(access, {"Origin": origin, "Authorization": f"Bearer {access.token}"}, CHAT)
    assert (status, said["error"]["code"]) == (403, "foreign_origin")
    assert server.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "127.0.0.1", "LOCALHOST"])
def test_a_program_of_this_machine_is_served(access: Access, host: str):
    host = host.format(port(access))
    assert raw(access, {"Host": host, "Authorization": f"Bearer {access.token}"}, CHAT)[0] == 200


def test_a_token_opens_its_own_trial_alone(server: OpenAIServer):
    with Gateway() as one, Gateway() as other:
        with one.register(client(server)) as a, one.register(client(server)) as b, other.register(client(server)) as c:
            assert post(a, CHAT)[0] == 200
            assert [x.client.ledger.totals()["calls"] for x in (a, b, c)] == [1, 0, 0]
            for token in (
                c.token,
                a.token[:-1],
                a.token + "x",
                a.token.swapcase(),
                "",
                " ",
                "*",
                f"{a.token} {c.token}",
            ):
                assert post(a, CHAT, token=token or "-")[0] == (200 if token == a.token else 401)
            assert post(c, CHAT, token=a.token)[0] == 401
        assert post(a, CHAT)[0] == 401  # its trial has ended


def test_a_key_in_a_programs_request_is_not_recorded(access: Access, server: OpenAIServer):
    """A program that found the key somewhere, such as in the environment of its parent."""
    ask(access, messages=[{"role": "user", "content": "my parent's key is sk-the-real-key"}])
    assert "sk-the-real-key" not in str(server.requests[0]["body"])


def test_many_at_once_are_all_served(access: Access):
    """Normal work: more at once than before the bounds are no reason to refuse."""
    said: list[int] = []
    each: Callable[[], None] = lambda: said.append(post(access, CHAT)[0])  # noqa: E731
    threads = [threading.Thread(target=each) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [200] * 100
