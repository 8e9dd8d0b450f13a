"""Records as typed data: version 2 there and back, version 1 through the converter, damage named."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import msgspec
import pytest

from opto_gym.errors import RecordError
from opto_gym.leaderboard import RunFolder, TrialFolder, run
from opto_gym.leaderboard.amounts import Limits
from opto_gym.leaderboard.schema import VERSION, AnswerReading, SandboxRecord, StepRecord, from_plain, plain, to_plain
from opto_gym.sandbox import Sandbox
from tests.support.records import a_step
from tests.support.tasks import Adder

RECORDS = Path(__file__).parents[1] / "records"
ADDER = "tests.support.tasks:Adder"


@pytest.fixture(scope="module")
def version_2(tmp_path_factory):
    """A trial that today's code has recorded."""
    out = tmp_path_factory.mktemp("run")
    (outcome,) = run([ADDER], ["RandomSearch"], out=out, seeds=1, oracle_calls=3, progress=False).trials
    return outcome.path


@pytest.fixture
def version_1(tmp_path):
    """A trial that was recorded by the first version."""
    with tarfile.open(RECORDS / "own.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    return next(tmp_path.glob("trials/Adder-Choosing*"))


@pytest.mark.parametrize("most", ["L0", "L1", "L2", "L3"])
def test_what_any_level_of_the_sandbox_reports_fits_the_record(most):
    with Sandbox(level="L0", most=most) as box:
        report = box.in_force()
    record = msgspec.structs.asdict(msgspec.convert(report, SandboxRecord))
    assert {name: record[name] for name in report} == report


def test_today_s_records_come_back_as_they_were_written(version_2):
    folder = TrialFolder(version_2)
    trial = folder.trial()
    assert trial.version == VERSION
    assert plain(to_plain(trial)) == json.loads((version_2 / "trial.json").read_text())
    lines = [json.loads(line) for line in (version_2 / "steps.jsonl").read_text().splitlines()]
    assert [plain(to_plain(step)) for step in folder.steps()] == lines
    assert to_plain(RunFolder(version_2.parents[1]).plan)["trials"][0]["limits"] == {"oracle_calls": 3}


def test_a_step_holds_the_scores_and_errors_of_its_examples(version_2):
    for step in TrialFolder(version_2).steps():
        assert len(step.scores) == len(step.errors) == len(step.examples) == Adder.batch
        assert step.score == pytest.approx(sum(step.scores) / len(step.scores))


def test_what_version_1_lacks_reads_as_not_recorded(version_1):
    folder = TrialFolder(version_1)
    trial, steps = folder.trial(), folder.steps()
    assert trial.version == VERSION
    assert (trial.identity.rules, trial.identity.env.source) == (1, None)
    assert trial.summary.invalid_answers == 0
    for name in ("scores", "errors", "optimizer_calls", "answers", "parents"):
        assert {getattr(step, name) for step in steps} == {None}
    assert [step.call for step in steps] == list(range(len(steps)))
    assert RunFolder(version_1.parents[1]).plan.trials[0].limits == Limits(oracle_calls=6.0)


def test_the_optional_fields_are_written_and_read():
    step = a_step(
        scores=[0.5],
        errors=[None],
        optimizer_calls=["k"],
        answers=[AnswerReading(call="k", read={"x": 1}), AnswerReading(call="l", refused="no number")],
        parents=[0],
    )
    assert from_plain(plain(to_plain(step)), StepRecord, "here") == step
    assert to_plain(step)["spent"] == {"tokens": 3.0}


@pytest.mark.filterwarnings("ignore:records have attributes now:DeprecationWarning")
def test_the_keys_of_version_1_are_read_for_one_release(version_2):
    folder = TrialFolder(version_2)
    step, trial = folder.steps()[1], folder.summary()
    with pytest.warns(DeprecationWarning, match=r"read \.invalid_answers"):
        assert step["invalid"] == step.invalid_answers
    with pytest.warns(DeprecationWarning, match=r"read \.summary"):
        assert trial["summary"]["spent"]["oracle_calls"] == 3
    with pytest.warns(DeprecationWarning, match=r"read \.status"):
        assert {**trial}["status"] == "done"
    assert trial.get("nothing", 7) == 7
    with pytest.warns(DeprecationWarning, match="nothing"), pytest.raises(KeyError, match="nothing"):
        step["nothing"]


@pytest.mark.parametrize("version", [0, 3, "2", None, [2]])
def test_an_unknown_version_is_refused(version_1, version):
    path = version_1 / "trial.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": version}))
    with pytest.raises(RecordError, match=r"trial\.json is of version .* does not read"):
        TrialFolder(version_1).trial()


KINDS = [1, "text", [], {}, None, True, 1.5]


@pytest.mark.parametrize("wrong", KINDS, ids=repr)
@pytest.mark.parametrize("version", [1, 2])
def test_a_field_of_another_type_is_named_with_its_file(version_1, version_2, version, wrong, tmp_path):
    """Each field of each file in turn; a type that the field may have is no damage."""
    source = version_1 if version == 1 else version_2
    folder = TrialFolder(tmp_path / "copy")
    for name, read in (("trial.json", folder.trial), ("steps.jsonl", folder.steps), ("tests.jsonl", folder.tests)):
        for other in ("trial.json", "steps.jsonl", "tests.jsonl"):
            (folder.path / other).write_bytes((source / other).read_bytes())
        text = (source / name).read_text()
        data = json.loads(text if name == "trial.json" else text.splitlines()[0])
        for field in data:
            (folder.path / name).write_text(json.dumps({**data, field: wrong}) + "\n")
            try:
                read()
            except RecordError as e:
                assert name in str(e)  # noqa: PT017


def test_a_damaged_line_is_named(version_2, tmp_path):
    folder = TrialFolder(tmp_path)
    line = json.loads((version_2 / "steps.jsonl").read_text().splitlines()[0])
    (tmp_path / "steps.jsonl").write_text(json.dumps(line) + "\n" + json.dumps({**line, "score": "good"}) + "\n")
    with pytest.raises(RecordError, match=r"steps\.jsonl, line 2 is damaged: .*`\$\.score`"):
        folder.steps()
