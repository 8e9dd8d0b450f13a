"""Tries pipes, devices, links, endless and deep files in place of a record's files, and of those that are written."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from opto_gym.cli.entry import main
from opto_gym.errors import DamagedRecord, RecordError
from opto_gym.leaderboard import RunFolder, TrialFolder, replay, report, resume
from opto_gym.leaderboard.blobs import Blobs
from opto_gym.leaderboard.records import read_trial
from opto_gym.leaderboard.results import load, load_whole
from opto_gym.utils import bounded_json, safe_files
from opto_gym.utils.journal import Journal, read_lines
from tests.support.runs import content, copy_own, go

NAMES = ("trial.json", "steps.jsonl", "tests.jsonl")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of two trials."""
    out = tmp_path_factory.mktemp("whole") / "r"
    go(out, seeds=2, oracle_calls=2)
    return out


@pytest.fixture
def run(whole, tmp_path):
    copy_own(whole, tmp_path / "r")
    return tmp_path / "r"


@pytest.fixture
def trial(run):
    """The first of its trials."""
    return RunFolder(run).trials()[0]


def in_place(path: Path, kind: str, outside: Path) -> None:
    """Puts something else in place of a file."""
    data = path.read_bytes() if path.is_file() else b"{}\n"
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            os.chdir(path.parent)
            made.bind(path.name)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "endless":
        path.write_bytes(data)
        os.truncate(path, 3 * 2**30)
    else:
        outside.write_bytes(data)
        path.symlink_to(outside)


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "endless", "link"])
@pytest.mark.parametrize("name", NAMES)
def test_a_trial_with_another_kind_of_file_is_one_line_and_the_other_is_read(
    run, trial, name, kind, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    in_place(trial / name, kind, tmp_path / "outside")
    data = load_whole(run)
    assert len(data.trials) == 1
    assert list(data.damaged) == [trial.name]
    assert str(trial / name) in data.damaged[trial.name]
    assert "\n" not in data.damaged[trial.name]
    with pytest.raises(DamagedRecord, match=name):
        load(run)
    other = RunFolder(run).trials()[1]
    assert main(["replay", str(trial), str(other)]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert str(trial / name) in said.err
    assert "all 2 calls agree" in said.out


def test_the_report_names_what_is_damaged_and_has_the_rest(run, trial, capsys):
    (trial / "steps.jsonl").unlink()
    os.mkfifo(trial / "steps.jsonl")
    assert main(["report", str(run)]) == 1
    shown = "".join(capsys.readouterr().out.split())
    assert f"isdamaged,andleftout:{trial / 'steps.jsonl'}isanamedpipe" in shown
    page = (run / "report.html").read_text()
    assert f"is damaged, and left out: {trial / 'steps.jsonl'} is a named pipe" in page
    assert RunFolder(run).trials()[1].name in page


@pytest.mark.parametrize("kind", ["link", "second name"])
def test_a_resume_changes_nothing_behind_a_link_in_place_of_what_it_appends_to(run, trial, kind, tmp_path):
    for number, name in enumerate(("steps.jsonl", "tests.jsonl")):
        outside, path = tmp_path / f"outside{number}", trial / name
        shutil.move(path, outside)
        path.symlink_to(outside) if kind == "link" else os.link(outside, path)
    before = [(tmp_path / f"outside{n}").read_bytes() for n in (0, 1)]
    outcome = resume(run, limits={"oracle_calls": 4}, progress=False).trials[0]
    assert [(tmp_path / f"outside{n}").read_bytes() for n in (0, 1)] == before
    assert outcome.status == ("damaged" if kind == "link" else "done")
    if kind == "link":
        assert "is a symbolic link" in outcome.error
        assert read_trial(trial).summary is not None  # the results are still there
    else:
        assert len(TrialFolder(trial).steps()) == 5


WRITTEN = ["report.html", "report.html.part", "lock.txt", "run.json.part"]


@pytest.mark.parametrize("name", [*WRITTEN, ".lock"])
def test_what_is_written_into_a_run_s_folder_is_written_through_no_link(run, name, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(outside)
    report(run)
    try:
        resume(run, limits={"oracle_calls": 3}, progress=False)
    except RecordError as e:
        assert name == ".lock"
        assert "is a symbolic link" in str(e)  # noqa: PT017
    assert outside.read_text() == "mine"


def test_a_link_to_a_file_that_is_not_there_makes_none(run, trial, tmp_path):
    for path in (run / "report.html", trial / "llm.jsonl", run / "lock.txt"):
        path.unlink(missing_ok=True)
        path.symlink_to(tmp_path / f"made by {path.name}")
    report(run)
    resume(run, limits={"oracle_calls": 3}, progress=False)
    assert not list(tmp_path.glob("made by *"))


@pytest.mark.parametrize("below", ["trials", "trial", "blobs"])
def test_a_folder_of_a_record_is_no_link(run, trial, below, tmp_path):
    path = {"trials": run / "trials", "trial": trial, "blobs": trial / "blobs"}[below]
    shutil.move(path, tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    before = sorted(p.stat().st_mtime_ns for p in (tmp_path / "moved").rglob("*"))
    if below == "trials":
        with pytest.raises(DamagedRecord, match="trials is a symbolic link: expected a folder"):
            load(run)
        with pytest.raises(DamagedRecord, match="trials is a symbolic link"):
            resume(run, limits={"oracle_calls": 3}, progress=False)
    else:
        outcome = resume(run, limits={"oracle_calls": 3}, progress=False).trials[0]
        assert outcome.status == "damaged"
        assert f"{path} is a symbolic link" in outcome.error
    assert sorted(p.stat().st_mtime_ns for p in (tmp_path / "moved").rglob("*")) == before


def test_a_run_s_folder_itself_may_be_reached_through_a_link(run, tmp_path):
    (tmp_path / "latest").symlink_to(run)
    assert len(load(tmp_path / "latest")) == 2


@pytest.mark.parametrize("depth", [201, 5000, 10**5])
def test_json_that_is_too_deep_is_damage(trial, depth):
    path = trial / "trial.json"
    path.write_text(f'{{"version": 2, "trial": {"[" * depth}{"]" * depth}}}')
    with pytest.raises(DamagedRecord, match=r"trial\.json is damaged: it is nested more than 200 levels deep"):
        read_trial(trial)


def test_brackets_in_texts_are_no_depth(tmp_path):
    text = '{"x": "' + "[{" * 5000 + r"\" [" + '"}'
    assert safe_files.parse_json(text.encode(), "x") == {"x": "[{" * 5000 + '" ['}


@pytest.mark.parametrize("text", [b'"' + rb"\"" * 10**6, b"[" * 300 + b'"' + b"\\" * 10**6, b'"[' * 10**6])
def test_texts_without_an_end_take_no_long_time(text):
    with pytest.raises(DamagedRecord):
        safe_files.parse_json(text + b"{" * 300, "x")


def test_the_number_of_values_is_bounded(trial):
    (trial / "steps.jsonl").write_bytes(b'{"call": [' + b"[]," * (bounded_json.MOST_VALUES + 1) + b"[]]}\n" * 2)
    with pytest.raises(
        DamagedRecord, match=r"steps\.jsonl, line 1 is damaged: it has 2,000,\d+ values, expected 1,000"
    ):
        TrialFolder(trial).steps()


def test_the_size_of_a_line_is_bounded_and_told(trial, monkeypatch):
    monkeypatch.setattr(safe_files, "MOST_BYTES", 1000)
    (trial / "steps.jsonl").write_bytes(b"{}\n" + b"x" * 1001)
    with pytest.raises(DamagedRecord, match=r"steps\.jsonl, line 2: expected 1,000 bytes at most"):
        read_lines(trial / "steps.jsonl")
    journal = Journal(trial / "steps.jsonl")
    with pytest.raises(RecordError, match=r"it has 1,011 bytes, expected 1,000 at most\. What is recorded is safe"):
        journal.append({"x": "y" * 1002})  # what could not be read is not written
    assert (trial / "steps.jsonl").stat().st_size == 1004


def test_a_blob_unpacks_to_no_more_than_the_bound(tmp_path):
    import resource

    blobs, name = Blobs(tmp_path), "a" * 64
    bomb = gzip.compress(bytes(2**20), 9)
    packer = gzip.GzipFile(tmp_path / f"{name}.json.gz", "wb", 1)
    for _ in range(500):
        packer.write(bytes(2**20))
    packer.close()
    assert len(bomb) * 500 < 64 * 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DamagedRecord, match="unpacks to more than 67,108,864 bytes"):
        blobs.read(name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


@pytest.mark.parametrize("name", ["../../../outside", "/etc/passwd", "", "x" * 65, "a/b", "\x1b[31m"])
def test_a_step_names_no_graph_outside_of_the_blobs(tmp_path, name):
    with pytest.raises(DamagedRecord, match="expected the SHA-256 of a graph"):
        Blobs(tmp_path).read(name)
    with pytest.raises(DamagedRecord, match="expected the SHA-256 of a graph"):
        Blobs(tmp_path).write(name, "{}")


@pytest.mark.parametrize("version", [0, 3, 99, "2", True, 2.0, None, [2], {}, 10**30])
def test_an_unknown_version_is_one_line(run, version, capsys):
    for path in (run / "run.json", *run.glob("trials/*/trial.json")):
        path.write_text(json.dumps({**json.loads(path.read_text()), "version": version}))
    for command in (["report", str(run)], ["run", "--resume", str(run)], ["replay", str(RunFolder(run).trials()[0])]):
        assert main(command) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "does not read" in said


def test_a_foreign_name_among_lost_attempts_is_ignored(trial):
    for name in ("x", "-1", "²", "00", "9" * 40, "1"):
        (trial / "lost" / name).mkdir(parents=True)
    (trial / "lost" / "2").symlink_to("/")
    with pytest.raises(DamagedRecord, match="2 is a symbolic link"):
        TrialFolder(trial).attempts()
    (trial / "lost" / "2").unlink()
    assert [folder.name for folder in TrialFolder(trial).attempts()] == ["1"]


def test_parts_of_files_that_a_kill_left_are_removed(run, trial):
    left = [trial / "trial.json.part", trial / "blobs" / "x.1234.part", trial / "blobs" / "y.json.gz.part"]
    for path in left:
        path.write_bytes(b"x")
    (trial / "blobs" / "z.part").symlink_to("/etc/passwd")
    resume(run, limits={"oracle_calls": 3}, progress=False)
    assert not list(run.rglob("*.part"))
    assert Path("/etc/passwd").exists()


def test_nothing_is_left_in_the_temporary_folder(run, tmp_path, monkeypatch):
    import tempfile

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    report(run)
    resume(run, limits={"oracle_calls": 3}, progress=False)
    assert replay(RunFolder(run).trials()[0]).differences == []
    assert not list((tmp_path / "tmp").iterdir())


def test_a_record_is_read_where_nothing_can_be_written(run, monkeypatch):
    """A reader makes no folder, opens nothing for writing."""
    shutil.rmtree(RunFolder(run).trials()[0] / "blobs")
    before = sorted(p.relative_to(run) for p in run.rglob("*"))
    assert len(load(run)) == 2
    assert sorted(p.relative_to(run) for p in run.rglob("*")) == before


def test_the_same_trial_has_the_same_record_with_and_without_these_bounds(run, whole):
    a, b = RunFolder(run).trials(), RunFolder(whole).trials()
    assert [content(x) for x in a] == [content(x) for x in b]
