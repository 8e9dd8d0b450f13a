from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opto_gym.errors import BudgetSpent, EndpointError, RecordError, ReplayMismatch
from opto_gym.llm import Budget, CallRecord, Client
from opto_gym.llm.calls import read_call
from opto_gym.llm.record import read_calls
from tests.support.openai_server import OpenAIServer

NOBODY = "http://127.0.0.1:9/v1"


def ask(llm: Client, prompt: str, **settings: Any) -> str:
    return llm.chat([{"role": "user", "content": prompt}], **settings).text


def client(url: str, path: Path, mode: str = "resume", trial: str = "t", **settings: Any) -> Client:
    return Client("m", base_url=url, record=CallRecord(path, trial=trial, mode=mode), price=(1.0, 2.0), **settings)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llm.jsonl"


def test_a_replay_gives_the_same_without_the_endpoint(server: OpenAIServer, path: Path):
    server.reply, server.script = "sample {n}", [500, "ok", "torn"]
    first = client(server.url, path)
    texts = [ask(first, p, temperature=1.0) for p in ("a", "b", "a", "a")]
    assert len(set(texts)) == 4  # samples of one prompt stay samples
    url = server.url
    server.close()
    second = client(url, path, "replay")
    assert [ask(second, p, temperature=1.0) for p in ("a", "b", "a", "a")] == texts
    totals, again = first.ledger.totals(), second.ledger.totals()
    assert {k: v for k, v in totals.items() if k != "seconds"} == {k: v for k, v in again.items() if k != "seconds"}
    assert totals["seconds"] == pytest.approx(again["seconds"], abs=1e-3)
    assert all(a.replayed for a in second.ledger.attempts)
    spent, spent_again = first.budget.spent, second.budget.spent
    assert all(spent[name] == pytest.approx(spent_again[name]) for name in spent if name != "seconds")


def test_order_does_not_matter(server: OpenAIServer, path: Path):
    server.reply = lambda body: f"{body['messages'][0]['content']} {len(server.requests)}"
    first = client(server.url, path)
    texts = {(p, i): ask(first, p) for p in "abc" for i in range(3)}
    url = server.url
    server.close()
    second = client(url, path, "replay")
    results: dict[str, list[str]] = {}

    def again(p: str) -> None:
        results[p] = [ask(second, p) for _ in range(3)]

    threads = [threading.Thread(target=again, args=(p,)) for p in "cab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(p, i): results[p][i] for p in "abc" for i in range(3)} == texts


def test_a_line_holds_all_of_a_call(server: OpenAIServer, path: Path):
    server.script = [503]
    ask(client(server.url, path), "hello there", max_tokens=9)
    (line,) = [json.loads(text) for text in path.read_text().splitlines()]
    expected = {
        "n": 0,
        "call": 1,
        "role": "optimizer",
        "model": "m",
        "endpoint": server.url,
        "request": {"model": "m", "messages": [{"role": "user", "content": "hello there"}], "max_tokens": 9},
        "bound": [19, 9],
        "texts": ["ok"],
        "finish_reason": "stop",
        "tokens_in": 2,
        "tokens_out": 1,
        "counted": "usage",
        "usd": 4e-6,
        "problem": None,
        "error": None,
    }
    assert {k: line[k] for k in expected} == expected
    assert line["failed_attempts"][0]["error"] == "503: scripted 503 (scripted)"
    assert set(line) - set(expected) == {"key", "seconds", "time", "failed_attempts"}


@pytest.mark.parametrize("change", ["trial", "role", "temperature", "prompt", "times"])
def test_another_call_is_no_hit(server: OpenAIServer, path: Path, change: str):
    ask(client(server.url, path), "one\ntwo\nthree")
    llm = client(
        server.url,
        path,
        "replay",
        trial="u" if change == "trial" else "t",
        role="task" if change == "role" else "optimizer",
    )
    if change == "times":
        ask(llm, "one\ntwo\nthree")
    with pytest.raises(ReplayMismatch) as error:
        ask(
            llm,
            "one\nTWO\nthree" if change == "prompt" else "one\ntwo\nthree",
            **{"temperature": 1.0} if change == "temperature" else {},
        )
    said = {"prompt": "+two".replace("two", "TWO"), "temperature": '"temperature": 1.0', "times": "not 2 times"}
    assert said.get(change, "was recorded, but not") in str(error.value)
    assert len(server.requests) == 1


def test_an_empty_record_says_so(path: Path):
    with pytest.raises(ReplayMismatch, match="no call is recorded"):
        ask(client(NOBODY, path, "replay"), "a")


def test_resuming_pays_only_for_what_is_new(server: OpenAIServer, path: Path):
    server.reply = "{n}"
    first = client(server.url, path, budget=Budget({"llm_calls": 10}))
    ask(first, "a"), ask(first, "b")
    budget = Budget({"llm_calls": 3})
    second = client(server.url, path, budget=budget)
    assert [ask(second, p) for p in "abc"] == ["1", "2", "3"]
    assert len(server.requests) == 3
    assert [a.replayed for a in second.ledger.attempts] == [True, True, False]
    with pytest.raises(BudgetSpent):  # where the uninterrupted trial would have stopped
        ask(second, "d")
    assert len(path.read_text().splitlines()) == 3


def test_a_replay_ends_where_the_budget_ended(server: OpenAIServer, path: Path):
    for mode in ("resume", "replay"):
        llm = client(server.url, path, mode, budget=Budget({"tokens": 40}))
        ask(llm, "a", max_tokens=20)
        ask(llm, "b", max_tokens=20)
        with pytest.raises(BudgetSpent):
            ask(llm, "c", max_tokens=40)
    assert len(server.requests) == 2


def test_a_failed_call_is_recorded_and_made_again_on_resume(server: OpenAIServer, path: Path):
    server.script = [500, "torn"]
    with pytest.raises(EndpointError) as first:
        ask(client(server.url, path, attempts=2), "a")
    with pytest.raises(EndpointError) as second:
        ask(client(server.url, path, "replay"), "a")
    assert str(second.value) == str(first.value)
    resumed = client(server.url, path)
    assert ask(resumed, "a") == "ok"
    assert [a.error is None for a in resumed.ledger.attempts] == [False, False, True]
    again = client(server.url, path, "replay")
    assert ask(again, "a") == "ok"
    assert again.ledger.totals()["errors"] == 2
    assert again.budget.spent["tokens"] == resumed.budget.spent["tokens"] > 1024  # the lost attempt is in it


def test_problems_are_replayed(server: OpenAIServer, path: Path):
    server.script = [b'{"choices": []}', (400, {"message": "maximum context length"})]
    first, again = client(server.url, path), client(server.url, path, "replay")
    for p in "ab":
        messages = [{"role": "user", "content": p}]
        problem = first.chat(messages).problem
        assert problem
        # the record was empty when `again` read it
        with pytest.raises(ReplayMismatch):
            again.chat(messages)
    third = client(server.url, path, "replay")
    assert [third.chat([{"role": "user", "content": p}]).problem is None for p in "ab"] == [False, False]
    assert len(third.ledger.attempts) == len(first.ledger.attempts) == 2


def test_damage_in_the_middle_names_file_and_line(server: OpenAIServer, path: Path):
    llm = client(server.url, path)
    for p in "abc":
        ask(llm, p)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:-9] + b"\n" + lines[2])
    with pytest.raises(RecordError, match=r"llm\.jsonl, line 2"):
        CallRecord(path, trial="t")


@pytest.fixture(scope="module")
def recorded() -> bytes:
    with OpenAIServer("{n} é ☃") as server, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "llm.jsonl"
        llm = client(server.url, path)
        for p in "aba":
            ask(llm, p)
        return path.read_bytes()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_torn_tail_is_dropped_and_cut_off(recorded: bytes, data: st.DataObject):
    cut = data.draw(st.integers(0, len(recorded)))
    whole = recorded[:cut].count(b"\n")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "llm.jsonl"
        path.write_bytes(recorded[:cut])
        record = CallRecord(path, trial="t")
        lines = [json.loads(line) for line in recorded.splitlines()]
        found = [record.find(line["key"], line["n"]) for line in lines]
        assert [line is not None for line in found] == [True] * whole + [False] * (3 - whole)
        for line in lines[whole:]:
            record.write(read_call(line, path))
        record.close()
        assert path.read_bytes() == recorded


WORKER = """
import sys
from pathlib import Path
from opto_gym.llm import CallRecord, Client
llm = Client("m", base_url=sys.argv[1], record=CallRecord(Path(sys.argv[2]), trial="t"))
for i in range(40):
    print(llm.chat([{"role": "user", "content": f"{i % 7}"}], temperature=1.0).text, flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment_nothing_recorded_is_paid_twice(path: Path):
    kills, rng = 8, random.Random(0)
    with OpenAIServer("{n}", script=[("delay", 0.02)] * 100) as server:
        command = [sys.executable, "-c", WORKER, server.url, str(path)]
        for _ in range(kills):
            before = len(server.requests)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            while len(server.requests) < before + 3 and process.poll() is None:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.08))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert len(done.stdout.splitlines()) == len(set(done.stdout.splitlines())) == 40
        assert 40 <= len(server.requests) <= 40 + kills  # the call in flight, at most
        paid = len(server.requests)
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == done.stdout
        assert len(server.requests) == paid


def test_the_old_names_of_bookings_are_still_there(server: OpenAIServer, path: Path):
    first = client(server.url, path)
    ask(first, "a")
    (line,) = (json.loads(text) for text in path.read_text().splitlines())
    again = client(server.url, path)
    with pytest.warns(DeprecationWarning, match="book_recorded"):
        again.repeat([line["key"]])
    assert again.ledger.totals()["tokens_in"] == first.ledger.totals()["tokens_in"] > 0
    with pytest.warns(DeprecationWarning, match="book_lost"):
        again.lose([read_call(line, path)])
    assert again.ledger.totals(lost=True)["calls"] == 1


# ---- the address is no part of a key


def test_a_server_that_moves_is_not_asked_again(server: OpenAIServer, path: Path):
    server.reply = "sample {n}"
    texts = [ask(client(server.url, path), p) for p in ("a", "b")]
    assert [ask(client(NOBODY, path), p) for p in ("a", "b")] == texts
    assert [line.endpoint for line in read_calls(path)] == [server.url] * 2


def test_a_label_tells_servers_apart(server: OpenAIServer, path: Path):
    ask(client(server.url, path), "a")
    ask(client(server.url, path, label="8-bit"), "a")
    ask(client(server.url, path, label="8-bit"), "a")
    assert len(server.requests) == 2
    assert len({line["key"] for line in map(json.loads, path.read_text().splitlines())}) == 2


def old_line(url: str, n: int, text: str, **more: Any) -> str:
    """A line as the versions wrote it whose keys had the address in them."""
    request = {"model": "m", "messages": [{"role": "user", "content": "a"}], "max_tokens": 1024}
    parts = json.dumps([request, url, "optimizer", "t"], sort_keys=True, separators=(",", ":"))
    key = hashlib.sha256(parts.encode()).hexdigest()
    line = {"key": key, "n": n, "call": 1, "role": "optimizer", "model": "m", "endpoint": url, "request": request}
    return json.dumps({**line, "bound": [9, 1024], "texts": [text], "counted": "usage", **more}) + "\n"


def test_old_keys_are_computed_again(server: OpenAIServer, path: Path):
    failed = {"status": None, "error": "torn", "seconds": 1.0, "lost": True}
    old = [
        old_line("http://one/v1", 1, "second"),
        old_line("http://one/v1", 0, "", error="gone", failed_attempts=[failed]),
        old_line("http://one/v1", 0, "first"),
        old_line("http://two/v1", 0, "third"),
    ]
    path.write_text("".join(old))
    llm = client(server.url, path)
    server.reply = "new"
    assert [ask(llm, "a") for _ in range(4)] == ["first", "second", "third", "new"]
    assert len(server.requests) == 1
    assert sum(a.error is not None for a in llm.ledger.attempts) == 1
    again = client(NOBODY, path, "replay")
    assert [ask(again, "a") for _ in range(4)] == ["first", "second", "third", "new"]


def test_old_keys_in_steps_still_find_their_calls(path: Path):
    path.write_text(old_line("http://one/v1", 0, "first"))
    llm = client(NOBODY, path)
    llm.book_recorded([json.loads(path.read_text())["key"]])
    assert llm.ledger.totals()["calls"] == 1
