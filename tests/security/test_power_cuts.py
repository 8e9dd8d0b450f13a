"""Tries what a power cut leaves: blobs, steps and tests that are empty, torn or gone, in trials that are done too."""

from __future__ import annotations

import json
import os

import pytest

from opto_gym.cli.entry import main
from opto_gym.errors import DamagedRecord
from opto_gym.leaderboard import TrialFolder, replay, report, resume
from opto_gym.leaderboard.blobs import Blobs
from opto_gym.leaderboard.results import load, load_whole
from opto_gym.utils import safe_files
from tests.support.openai_server import OpenAIServer
from tests.support.records import a_step
from tests.support.runs import ask, content, copy_own, count, go


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A done trial of four calls."""
    return go(tmp_path_factory.mktemp("whole") / "r", oracle_calls=4).trials[0].path


@pytest.fixture
def trial(whole, tmp_path):
    copy_own(whole.parents[1], tmp_path / "r")
    return tmp_path / "r" / "trials" / whole.name


def tear(path, how):
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "torn": data[: len(data) // 2], "zeros": bytes(len(data))}[how])


def running(trial):
    """Makes a trial look as if it had been killed."""
    record = json.loads((trial / "trial.json").read_text())
    (trial / "trial.json").write_text(json.dumps({**record, "status": "running"}))


@pytest.mark.parametrize("how", ["empty", "torn", "zeros", "gone"])
@pytest.mark.parametrize("which", ["last", "first", "all"])
def test_a_blob_that_a_power_cut_took_is_made_again(trial, whole, how, which):
    names = {"last": slice(-1, None), "first": slice(1), "all": slice(None)}[which]
    for step in TrialFolder(trial).steps()[names]:
        path = trial / "blobs" / f"{step.graph}.json.gz"
        if path.exists() and path.stat().st_size:
            tear(path, how)
    running(trial)
    assert [t.status for t in resume(trial.parents[1], progress=False).trials] == ["done"]
    assert content(trial) == content(whole)
    assert {p.name: p.read_bytes() for p in (trial / "blobs").iterdir()} == {
        p.name: p.read_bytes() for p in (whole / "blobs").iterdir()
    }
    assert replay(trial).differences == []


def test_a_larger_budget_goes_on_over_a_torn_blob(trial, tmp_path):
    tear(trial / "blobs" / f"{TrialFolder(trial).steps()[2].graph}.json.gz", "empty")
    resume(trial.parents[1], limits={"oracle_calls": 6}, progress=False)
    undisturbed = go(tmp_path / "undisturbed", oracle_calls=6).trials[0].path
    assert content(trial) == content(undisturbed)
    assert replay(trial).differences == []


def test_a_graph_that_comes_out_otherwise_is_damage_and_the_results_stay(trial):
    step = TrialFolder(trial).steps()[2]
    (trial / "blobs" / f"{step.graph}.json.gz").unlink()
    path = trial / "steps.jsonl"
    path.write_text(path.read_text().replace(step.graph, "0" * 64))
    before = json.loads((trial / "trial.json").read_bytes())
    outcome = resume(trial.parents[1], limits={"oracle_calls": 6}, progress=False).trials[0]
    assert outcome.status == "damaged"
    assert f"{'0' * 64}.json.gz is missing" in outcome.error
    assert json.loads((trial / "trial.json").read_bytes()) == before


@pytest.mark.parametrize("content_of_it", [b"", b"\x1f\x8b", b"x", None])
def test_a_blob_is_written_again_unless_it_is_whole(tmp_path, content_of_it):
    name = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # the SHA-256 of {}
    path = tmp_path / f"{name}.json.gz"
    if content_of_it is not None:
        path.write_bytes(content_of_it)
    Blobs(tmp_path).write(name, "{}")
    assert Blobs(tmp_path).read(name) == "{}"
    before = path.stat().st_mtime_ns, path.stat().st_ino
    Blobs(tmp_path).write(name, "{}")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


@pytest.mark.parametrize("how", ["empty", "torn", "gone", "zeros"])
@pytest.mark.parametrize("name", ["steps.jsonl", "tests.jsonl"])
def test_a_done_trial_that_lacks_lines_is_reported_as_damaged_and_mended(trial, whole, name, how, capsys):
    tear(trial / name, how)
    run = trial.parents[1]
    with pytest.raises(DamagedRecord, match="holds no trial that is whole") as caught:
        load_whole(run)
    assert str(trial / name) in str(caught.value)
    assert main(["report", str(run)]) == 1
    assert name in capsys.readouterr().err
    resume(run, progress=False)
    assert content(trial) == content(whole)
    assert report(run).exists()
    assert load(run)


def test_a_trial_whose_agent_starts_again_is_not_paid_for_once_more(tmp_path):
    with OpenAIServer(count) as server:
        path = ask(tmp_path / "r", server).path
        asked = len(server.requests)
        tear(path / "steps.jsonl", "torn")
        resume(tmp_path / "r", progress=False)
        assert len(server.requests) == asked  # all answers are in llm.jsonl
    assert len(TrialFolder(path).steps()) == 7


@pytest.fixture
def synced(monkeypatch):
    """The order in which files are written and waited for."""
    order = []
    fsync, write = os.fsync, os.write

    def name(fd):
        return os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))

    def recorded(what, function):
        def call(fd, *data):
            order.append((what, name(fd)))
            return function(fd, *data)

        return call

    monkeypatch.setattr(os, "fsync", recorded("sync", fsync))
    monkeypatch.setattr(os, "write", recorded("write", write))
    return order


def test_a_graph_is_on_the_disk_before_its_step(tmp_path, synced):
    folder = TrialFolder(tmp_path)
    folder.add_step(a_step(graph="a" * 64), "{}")
    waited = [name for what, name in synced if what == "sync"]
    blob = waited.index(f"{'a' * 64}.json.gz")
    assert blob < waited.index("blobs") < len(waited) - 1 - waited[::-1].index("steps.jsonl")
    folder.close()


def test_all_is_on_the_disk_before_a_trial_is_said_to_be_done(tmp_path, synced):
    go(tmp_path / "r", oracle_calls=3)
    files = [(what, name) for what, name in synced if name.startswith(("steps", "tests", "trial.json"))]
    done = len(files) - 1 - files[::-1].index(("sync", "trial.json.part"))
    for name in ("steps.jsonl", "tests.jsonl"):
        last = len(files) - 1 - files[::-1].index(("write", name))
        assert last < files.index(("sync", name), last) < done


def test_waiting_for_the_disk_takes_a_small_part_of_the_time(tmp_path, monkeypatch):
    now, waits = [100.0], []

    def slow(path):
        waits.append(path)
        now[0] += 0.5 * (path.name == "blobs")

    with monkeypatch.context() as patch:
        patch.setattr("opto_gym.leaderboard.records.time.monotonic", lambda: now[0])
        patch.setattr(safe_files, "sync", slow)
        folder = TrialFolder(tmp_path)
        for number in range(1000):
            now[0] += 0.1
            folder.add_step(a_step(call=number, graph=f"{number:064}"), "{}")
        waited = 0.5 * sum(path.name == "blobs" for path in waits)
        assert 0.02 < waited / (now[0] - 100.0) < 0.06
        folder.close()
    assert sum(path.suffix == ".gz" for path in waits) == 1000
