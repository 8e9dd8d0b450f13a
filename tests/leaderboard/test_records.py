"""Files of a run under damage of every kind."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opto_gym.errors import RecordError
from opto_gym.leaderboard import RunFolder, TrialFolder, resume
from opto_gym.leaderboard.schema import plain, to_plain
from opto_gym.utils.journal import Journal, read_lines
from tests.support.records import a_step
from tests.support.runs import content, go

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
records = st.lists(st.dictionaries(st.text(max_size=5), json_values, max_size=4), min_size=1, max_size=6)


def written(folder: str, lines: list) -> Path:
    path = Path(folder) / "x.jsonl"
    journal = Journal(path)
    for line in lines:
        journal.append(line)
    journal.close()
    return path


@given(records)
def test_what_is_written_is_read(lines):
    with tempfile.TemporaryDirectory() as folder:
        assert read_lines(written(folder, lines)) == lines


@settings(max_examples=50)
@given(records, st.data())
def test_a_file_cut_at_any_byte_is_a_prefix_and_goes_on(lines, data):
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, lines)
        whole = path.read_bytes()
        keep = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:keep])
        left = whole[:keep].count(b"\n")
        assert read_lines(path) == lines[:left]
        journal = Journal(path)
        journal.append({"new": 1})
        journal.close()
        assert read_lines(path) == [*lines[:left], {"new": 1}]


@settings(max_examples=50)
@given(records.filter(lambda lines: len(lines) > 1), st.data())
def test_damage_before_the_last_line_is_never_silent(lines, data):
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, lines)
        parts = path.read_bytes().split(b"\n")[:-1]
        number = data.draw(st.integers(0, len(parts) - 2))
        parts[number] = b"\0" * len(parts[number])  # a block that never reached the disk
        path.write_bytes(b"\n".join(parts) + b"\n")
        with pytest.raises(RecordError, match=f"x.jsonl, line {number + 1}"):
            read_lines(path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return go(out, oracle_calls=5).trials[0].path


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["steps.jsonl", "tests.jsonl"]), st.integers(0, 10**6))
def test_a_trial_cut_at_any_byte_comes_to_the_same_end(finished, name, at):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "r"
        shutil.copytree(finished.parents[1], out)
        path = out / "trials" / finished.name
        whole = (path / name).read_bytes()
        (path / name).write_bytes(whole[: at % (len(whole) + 1)])
        summary = json.loads((path / "trial.json").read_text())
        (path / "trial.json").write_text(json.dumps({**summary, "status": "running"}))
        resume(out, progress=False, trust=True)
        assert content(path) == content(finished)


def test_blobs_are_checked(tmp_path):
    folder = TrialFolder(go(tmp_path, oracle_calls=1).trials[0].path)
    name = folder.steps()[0].graph
    path = folder.path / "blobs" / f"{name}.json.gz"
    before = path.read_bytes()
    path.write_bytes(before[:-4])
    with pytest.raises(RecordError, match="damaged"):
        folder.blob(name)
    path.unlink()
    with pytest.raises(RecordError, match="missing"):
        folder.blob(name)


def test_the_same_graph_is_the_same_bytes(tmp_path):
    a, b = (go(tmp_path / n, oracle_calls=2).trials[0].path / "blobs" for n in "ab")
    assert {p.name: p.read_bytes() for p in a.iterdir()} == {p.name: p.read_bytes() for p in b.iterdir()}


def test_files_that_are_no_records(tmp_path):
    (tmp_path / "run.json").write_text("[1]")
    with pytest.raises(RecordError, match="expected a JSON object, got list"):
        RunFolder(tmp_path).plan
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RecordError, match="damaged"):
        resume(tmp_path)


@pytest.mark.parametrize("moved", range(4))
def test_a_record_is_set_aside_whole_wherever_it_is_killed(tmp_path, monkeypatch, moved):
    names = ("llm.jsonl", "tests.jsonl", "steps.jsonl")
    for name in names:
        (tmp_path / name).write_text('{"call": 1}\n')
    replace, left = Path.replace, [moved]

    def dying(path, target):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        try:
            TrialFolder(tmp_path).archive_attempt()
        except KeyboardInterrupt:
            pass
    folder = TrialFolder(tmp_path)
    folder.archive_attempt()
    folder.archive_attempt()  # there is nothing more
    assert folder.attempts() == [tmp_path / "lost" / "1"]
    assert [read_lines(tmp_path / "lost" / "1" / name) for name in names] == [[{"call": 1}]] * 3
    assert folder.steps() == []
    folder.add_step(a_step(call=1), "{}")
    folder.close()
    TrialFolder(tmp_path).archive_attempt()  # an attempt that asked no model
    assert len(folder.attempts()) == 2
    assert read_lines(tmp_path / "lost" / "2" / "steps.jsonl") == [plain(to_plain(a_step(call=1)))]
