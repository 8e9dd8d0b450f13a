"""How long a client waits: the time of a whole attempt, pauses, and the end of both."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opto_gym.errors import BudgetSpent, EndpointError, ReplayMismatch
from opto_gym.llm import Budget, CallMonitor, CallRecord, Client
from tests.support.hostile_server import HostileServer, dripping
from tests.support.openai_server import OpenAIServer

ASK = [{"role": "user", "content": "Name a colour."}]
NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture
def drip() -> Iterator[Callable[..., HostileServer]]:
    """Makes servers that answer a byte or a line now and then."""
    with contextlib.ExitStack() as servers:
        yield lambda *form: servers.enter_context(HostileServer(dripping(*form, pause=0.1, seconds=10.0)))


HEADERS = b"HTTP/1.1 200 OK\r\n", b"X-Wait: 1\r\n"
BODY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n", b" "
SILENCE = b"", b""


@pytest.mark.parametrize("form", [HEADERS, BODY, SILENCE], ids=["headers", "body", "silence"])
def test_a_timeout_bounds_the_whole_attempt(drip: Any, form: tuple[bytes, bytes]):
    server = drip(*form)
    llm, begin = Client("m", base_url=server.url, timeout=0.5, attempts=6), time.monotonic()
    with pytest.raises(EndpointError, match=r"no answer in 2 attempts; the last: (no answer within 0.5 s|.*[Tt]ime)"):
        llm.chat(ASK)
    assert time.monotonic() - begin < 3
    assert len(server.requests) == 2  # one more after a time-out, whatever `attempts` says
    assert [a.counted for a in llm.ledger.attempts] == ["bound", "bound"]
    assert llm.budget.spent["tokens"] == 2 * sum((llm.ledger.attempts[0].tokens_in, llm.ledger.attempts[0].tokens_out))


def test_an_attempt_takes_no_more_than_the_seconds_left(drip: Any, server: OpenAIServer, tmp_path: Path):
    record, begin = CallRecord(tmp_path / "llm.jsonl", trial="t"), time.monotonic()
    llm = Client("m", base_url=drip(*BODY).url, budget=Budget({"seconds": 0.6}), record=record)
    with pytest.raises(BudgetSpent, match=r"seconds|time"):
        llm.chat(ASK)
    assert time.monotonic() - begin < 3
    (line,) = map(json.loads, (tmp_path / "llm.jsonl").read_text().splitlines())
    assert line["interrupted"]
    assert [a["lost"] for a in line["failed_attempts"]] == [True]
    server.script, begin = [(429, {"retry-after": "9"})], time.monotonic()
    with pytest.raises(BudgetSpent, match=r"seconds|time"):  # nor does a pause
        Client("m", base_url=server.url, budget=Budget({"seconds": 0.3})).chat(ASK)
    assert time.monotonic() - begin < 3
    assert len(server.requests) == 1


def test_what_an_interrupted_call_cost_is_booked_when_it_is_resumed(server: OpenAIServer, tmp_path: Path):
    path, monitor = tmp_path / "llm.jsonl", CallMonitor()
    server.script = [("delay", 3)]
    first = Client("m", base_url=server.url, record=CallRecord(path, trial="t"), monitor=monitor)
    threading.Timer(0.3, monitor.abandon).start()
    begin = time.monotonic()
    with pytest.raises(BudgetSpent, match="stopped"):
        first.chat(ASK)
    assert time.monotonic() - begin < 2
    replayed = Client("m", base_url=NOBODY, record=CallRecord(path, trial="t", mode="replay"))
    with pytest.raises(ReplayMismatch):  # the original made no other attempt: there is nothing to answer
        replayed.chat(ASK)
    second = Client("m", base_url=server.url, record=CallRecord(path, trial="t"))
    assert second.chat(ASK).text == "ok"
    lost, answered = second.ledger.attempts
    assert (lost.counted, lost.replayed, answered.counted) == ("bound", True, "usage")


def test_a_stop_ends_pauses_and_begins_nothing(server: OpenAIServer):
    server.script = [(429, {"retry-after": "25"})]
    said: list[str] = []
    monitor = CallMonitor(said.append)
    llm, begin = Client("m", base_url=server.url, monitor=monitor), time.monotonic()
    threading.Timer(0.3, monitor.stop).start()
    with pytest.raises(BudgetSpent, match="stopped"):
        llm.chat(ASK)
    with pytest.raises(BudgetSpent, match="stopped"):
        llm.chat(ASK)
    assert time.monotonic() - begin < 2
    assert len(server.requests) == 1
    assert len(said) == 1
    assert "waiting 25 s" in said[0]
    assert "429" in said[0]


@pytest.mark.parametrize(("asked", "waited"), [("3600", 60.0), ("7", 7.0)])
def test_retry_after_is_bounded_and_shown(server: OpenAIServer, monkeypatch: Any, asked: str, waited: float):
    pauses: list[float] = []
    said: list[str] = []
    monitor = CallMonitor(said.append)
    monkeypatch.setattr(monitor.stopped, "wait", pauses.append)
    server.script = [(429, {"retry-after": asked})] * 2
    Client("m", base_url=server.url, monitor=monitor).chat(ASK)
    assert pauses == [waited, waited]
    assert len(said) == 1  # the second so soon after the first is not said
    assert f"it asks for {asked} s" in said[0]
    server.script = [(429, {"retry-after-ms": "40"})]
    Client("m", base_url=server.url, monitor=monitor).chat(ASK)
    assert pauses[2:] == [0.04]


def test_what_is_in_flight_is_said_in_words(server: OpenAIServer):
    server.script = [("delay", 0.5)] * 2
    monitor = CallMonitor()
    llm = Client("m", base_url=server.url, monitor=monitor)
    threads = [threading.Thread(target=llm.chat, args=(ASK,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(server.requests) < 2:
        time.sleep(0.01)
    assert monitor.in_flight() == f"2 calls of 'm' at {server.url} (0 s so far)"
    for thread in threads:
        thread.join()
    assert monitor.in_flight() == ""


@pytest.mark.parametrize("settings", [{"timeout": 0}, {"timeout": -1.0}, {"timeout": float("inf")}, {"attempts": 0}])
def test_wrong_times_are_refused(settings: dict[str, Any]):
    with pytest.raises(ValueError, match="expected"):
        Client("m", base_url=NOBODY, **settings)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_forked_process_has_threads_of_its_own_for_requests():
    with OpenAIServer("ok") as server:
        llm = Client("m", base_url=server.url, api_key="none")
        assert llm.chat(ASK).text == "ok"  # its thread is free now, and will not be there in the child
        child = multiprocessing.get_context("fork").Process(
            target=lambda: os._exit(Client("m", base_url=server.url, api_key="none").chat(ASK).text != "ok")
        )
        child.start()
        child.join(30)
        alive = child.is_alive()
        child.kill()
        assert (alive, child.exitcode) == (False, 0)
