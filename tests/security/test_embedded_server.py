"""Tries: other programs that ask the embedded model's server, read what it exposes, or find its port."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opto_gym.llm import local


class Parameters(SimpleNamespace):
    """Takes what xllamacpp's own parameters take."""

    def __init__(self) -> None:
        super().__init__(model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace())


class Listener:
    """In place of the server, which takes seconds to start: it listens where it is told."""

    made: Any = None

    def __init__(self, parameters: Any) -> None:
        type(self).made = parameters
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(parameters.hostnames[0])
        self.listener.listen()
        self.listening_address = "unix:" + parameters.hostnames[0]
        mode = os.stat(os.path.dirname(parameters.hostnames[0])).st_mode & 0o777
        assert mode == 0o700


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[local.Server]:
    fake = SimpleNamespace(CommonParams=Parameters, Server=Listener)
    monkeypatch.setitem(sys.modules, "xllamacpp", fake)
    monkeypatch.setattr(local, "model_path", lambda name="smollm2": tmp_path)
    monkeypatch.setattr(local, "_sha256", lambda path: local.MODELS["smollm2"].sha256)
    made = local.Server()
    yield made
    made.close()


def test_it_has_a_key_of_its_own_and_few_endpoints(server: local.Server):
    parameters = Listener.made
    assert parameters.api_keys == [server.api_key]
    assert len(server.api_key) >= 32
    off = (parameters.endpoint_slots, parameters.endpoint_props, parameters.endpoint_metrics, parameters.ui)
    assert not any(off)
    other = local.Server()
    assert other.api_key != server.api_key
    other.close()


def listening() -> set[str]:
    """The sockets of this process that listen on a port."""
    ports = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    everywhere = {f"socket:[{fields[9]}]" for fields in ports if fields[3] == "0A"}
    own = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return everywhere & {os.readlink(path) for path in own if os.path.lexists(path)}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process connect to a socket without a path")
def test_no_other_process_has_an_address(server: local.Server):
    path, before = Listener.made.hostnames[0], listening()
    other = local.Server()
    assert listening() <= before  # the other tests of this process may have servers
    other.close()
    assert not os.path.exists(os.path.dirname(path))
    with socket.socket(socket.AF_UNIX) as own:
        own.connect(server.socket)  # this process has one
    program = (
        "import socket, sys\nfor path in sys.argv[1:]:\n s = socket.socket(socket.AF_UNIX)\n try: s.connect(path)\n"
    )
    program += " except OSError as e: print('refused')\n else: print('connected')"
    done = subprocess.run(
        [sys.executable, "-c", program, path, str(server.socket)],
        capture_output=True,
        text=True,
        check=True,
        close_fds=False,
    )
    assert done.stdout.split() == ["refused", "refused"]


def test_a_server_that_does_not_start_leaves_nothing(
    server: local.Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
):
    monkeypatch.setattr(sys.modules["xllamacpp"], "Server", lambda parameters: 1 / 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        local.Server()
    assert list(tmp_path.iterdir()) == []


# ---- the real server


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/completion"),
        ("POST", "/tokenize"),
        ("POST", "/apply-template"),
        ("GET", "/v1/models"),
        ("GET", "/slots"),
        ("GET", "/props"),
        ("GET", "/metrics"),
        ("GET", "/lora-adapters"),
        ("POST", "/slots/0?action=erase"),
    ],
)
@pytest.mark.parametrize("key", [None, "", "none", "x" * 43])
def test_nothing_without_the_key(method: str, path: str, key: str | None):
    server = local.server()
    connection = local.UnixConnection(server.socket, server.base_url)
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "content": "x", "prompt": "x"}).encode()
    headers = {"Content-Type": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    connection.request(method, path, body if method == "POST" else None, headers)
    answer: http.client.HTTPResponse = connection.getresponse()
    assert answer.status == 401
    connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/slots", "/metrics", "/tools", "/cors-proxy", "/"])
def test_what_is_not_used_is_off(path: str):
    server = local.server()
    connection = local.UnixConnection(server.socket, server.base_url)
    connection.request("GET", path, headers={"Authorization": f"Bearer {server.api_key}"})
    assert connection.getresponse().status in (403, 404, 501)
    connection.close()
