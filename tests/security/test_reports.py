"""Tries reports of texts that are markup, mathematics or control sequences, and reports that can't be written."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from opto_gym.cli.entry import main
from opto_gym.errors import RecordError
from opto_gym.leaderboard import RunFolder, report, resume
from opto_gym.leaderboard import run as start
from opto_gym.leaderboard.comparison import compare
from opto_gym.leaderboard.spec import digest
from opto_gym.problems import Feedback
from opto_gym.utils.text import one_line, visible
from tests.support.agents import Steps
from tests.support.damaged_records import ESCAPE
from tests.support.runs import HERE, go
from tests.support.tasks import Valley


class Named(Steps):
    """Has a text among its settings."""

    def __init__(self, *, label: str = "") -> None:
        super().__init__()


TEXTS = ["$a{b$", r"${x}$ and $\frac{$ \$", "[red]x[/blue] [/] <b>&", f"{ESCAPE}\u202ex"]
CONTROL = {chr(c) for c in (*range(32), *range(127, 160))} - set("\n\t")


class Huge(Valley):
    """A valley whose scores no axis can show."""

    scores = (-1e308, 1e308)

    def judge(self, output, example):
        return Feedback(1e308 if output % 2 else -1e308)


@pytest.fixture
def run(tmp_path):
    go(tmp_path / "r", oracle_calls=2)
    return tmp_path / "r"


def put(run, change):
    """Changes the content of trial.json, and the trial's id with its identity."""
    for path in list(run.glob("trials/*/trial.json")):
        data = json.loads(path.read_text())
        change(data)
        data["trial"] = f"{path.parent.name.rpartition('-')[0]}-{digest(data['identity'])[:12]}"
        path.write_text(json.dumps(data))
        path.parent.rename(path.parent.with_name(data["trial"]))


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_text_of_a_setting_fails_no_report_and_is_never_printed_raw(run, text, capsys):
    def change(data):
        data["spec"]["settings"] = data["identity"]["agent"]["settings"] = {text: text}
        data["spec"]["env_arguments"] = data["identity"]["env"]["arguments"] = {text: [text]}
        data["summary"]["caveats"] = [text]
        data["summary"]["adaptations"] = {text: ["temperature"]}
        data["summary"]["measures"] = {text: 1.0}
        data["summary"]["problem"]["objective"] = text

    put(run, change)
    assert main(["report", str(run)]) == 0
    said = capsys.readouterr()
    assert not CONTROL & set(said.out + said.err)
    assert "\u202e" not in said.out
    page = (run / "report.html").read_text()
    assert "<b>&" not in page.replace("<b>&amp;", "")


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_comparison_of_agents_with_such_settings_is_drawn(tmp_path, text, capsys):
    found = compare(
        f"{HERE}:Steps",
        (f"{__name__}:Named", {"label": text}),
        envs=["tests.support.tasks:Valley"],
        out=tmp_path / "r",
        seeds=2,
        limits={"oracle_calls": 1},
        progress=False,
    )
    assert found.picture.stat().st_size > 1000
    from opto_gym.leaderboard.reporting.comparison_page import show

    show(found)
    assert not CONTROL & set(capsys.readouterr().out)


@pytest.mark.parametrize("text", [f"x{ESCAPE}y", "\x9b31m", "a\rb"])
def test_differences_and_errors_show_control_characters_as_escapes(run, text, capsys):
    steps = next(run.glob("trials/*/steps.jsonl"))
    lines = [json.loads(line) for line in steps.read_text().splitlines()]
    lines[1]["invalid_answers"] = [text]
    lines[2]["error"] = text
    steps.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["replay", str(steps.parent)]) == 1
    put(run, lambda data: data.update(status=text))
    assert main(["replay", str(steps.parent)]) == 1
    assert main(["report", str(run / text)]) == 1
    said = capsys.readouterr()
    assert not CONTROL & set(said.out + said.err)


def test_names_of_folders_show_control_characters_as_escapes(run, tmp_path, capsys):
    trials = run / "trials"
    first = next(trials.iterdir())
    shutil.copytree(first, trials / f"{ESCAPE}{first.name}")
    named = run.rename(tmp_path / f"r{ESCAPE}")
    assert main(["replay", "--trust", *(str(path) for path in (named / "trials").iterdir())]) == 1
    assert main(["report", str(named)]) == 1
    assert main(["run", "--resume", str(named), "--trust", "--quiet", "--oracle-calls", "3"]) == 0
    said = capsys.readouterr()
    assert "\\x1b" in said.out
    assert not CONTROL & set(said.out + said.err)


def test_a_report_that_can_not_be_written_is_one_line(run, capsys):
    (run / "report.html").mkdir()
    assert main(["report", str(run)]) == 1
    said = capsys.readouterr().err
    assert said == f"opto-gym: {run / 'report.html'} can't be written: Is a directory\n"
    assert not (run / "report.html.part").exists()


@pytest.mark.parametrize("error", [30, 28])
@pytest.mark.parametrize("call", ["open", "replace", "fsync"])
def test_a_disk_that_is_full_or_read_only_is_one_line(run, error, call, monkeypatch, capsys):
    def fail(*args, **keywords):
        path = args[0]
        if call == "open" and not (args[1] & os.O_WRONLY or args[1] & os.O_RDWR):
            return original(*args, **keywords)
        raise OSError(error, os.strerror(error), str(path))

    original = getattr(os, call)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        for command in (["report", str(run)], ["run", "--resume", str(run), "--oracle-calls", "3", "--quiet"]):
            status = main(command)
            said = capsys.readouterr().err
            assert "Traceback" not in said
            assert status == 1 or (call == "fsync" and command[0] == "report")  # a report is not waited for
            if status:
                assert "can't be written" in said
    assert report(run).exists()
    assert [t.status for t in resume(run, limits={"oracle_calls": 3}, progress=False).trials] == ["done"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**400, -(2**63) - 1, 2**64])
def test_a_number_that_no_score_or_amount_can_be_is_damage(run, number, capsys):
    path = RunFolder(run).trials()[0] / "trial.json"
    data = json.loads(path.read_text())
    anchors = {"start": 0.0, "best": number, "dated": "", "source": ""}
    changes = [{"seconds": number}, {"evaluations": number}, {"anchors": anchors}]
    if abs(number) < 1e300:  # a float may be that large
        del changes[0], changes[-1]
    for change in changes:
        if "seconds" not in change:
            change = {"summary": {**data["summary"], **change}}
        path.write_text(json.dumps({**data, **change}))
        assert main(["report", str(run)]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "trial.json is damaged" in said


def test_scores_that_no_axis_can_show_are_reported_without_curves(tmp_path):
    made = start([f"{__name__}:Huge"], [f"{HERE}:Steps"], out=tmp_path, seeds=1, oracle_calls=3, progress=False)
    assert [t.status for t in made.trials] == ["done"]
    assert "e+308" in report(tmp_path).read_text()


def test_a_comparison_survives_foreign_lines_in_its_looks(tmp_path):
    what = {"envs": ["tests.support.tasks:Valley"], "out": tmp_path, "seeds": 2, "progress": False}
    what["limits"] = {"oracle_calls": 1}
    first = compare(f"{HERE}:Steps", f"{HERE}:Uneven", **what)
    with (tmp_path / "looks.jsonl").open("a") as file:
        file.write('{}\n{"question": 1}\n{"question": [], "trials": 3}\n')
    assert compare(f"{HERE}:Steps", f"{HERE}:Uneven", **what).look == first.look == 1
    (tmp_path / "looks.jsonl").write_text("[1]\n[2]\n")
    with pytest.raises(RecordError, match=r"looks\.jsonl, line 1 is damaged"):
        compare(f"{HERE}:Steps", f"{HERE}:Uneven", **what)


def test_visible_keeps_what_a_text_may_hold():
    assert visible("a\tb\nc é 🙂") == "a\tb\nc é 🙂"
    assert visible("\x1b[0m\x00\x9f\u202e\r") == r"\x1b[0m\x00\x9f\u202e\r"
    assert one_line("a\nb", 3) == "a…b"
