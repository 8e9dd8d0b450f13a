"""Tries to pass changed records off as results: each field of each file, dropped, doubled and invented lines.

Each forgery must be named by a replay in one line; with nothing changed, the same trials replay without a difference.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil

import pytest

from opto_gym.cli import main
from opto_gym.errors import RecordError
from opto_gym.leaderboard import replay
from opto_gym.leaderboard.spec import digest
from tests.support.forging import (
    both,
    call,
    doubled,
    dropped,
    lines,
    on,
    proposed,
    removed,
    renamed,
    scored,
    spent,
    step,
    swapped,
    trial,
    without,
    write_lines,
)
from tests.support.honest_trials import RECORDS, cut_off, honest_trials


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return honest_trials(tmp_path_factory.mktemp("honest"))


KINDS = (
    *("plain", "end", "never", "code", "drawn", "lasting", "threads", "failed", "lost", "model", "budget", "tokens"),
    *("money", "capped", "resumed", "retried", "task", "one by one", "task budget", "old lost", "old"),
)


@pytest.fixture(autouse=True)
def _recorded_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(RECORDS))


@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_trial_has_no_difference(honest, kind):
    outcome = replay(honest[kind], trust=True)
    assert outcome.differences == []
    assert (outcome.incomplete is not None) == (kind == "failed")


BEST = {"x": 3}
OWN_ANCHORS = {"start": 9.0, "best": 0.0, "dated": "2026-01", "source": "me"}


def invented(path):
    """Deletes the calls and writes a perfect score."""
    (path / "steps.jsonl").unlink()
    both(trial("summary.recommended_score", 0.0), trial("summary.recommended", BEST))(path)


def invented_whole(path):
    """Deletes the calls and whatever would tell of them."""
    removed("steps.jsonl")(path)
    both(trial("summary.oracle_calls", 0), trial("summary.evaluations", 0), trial("summary.recommendations", []))(path)
    both(trial("summary.spent.oracle_calls", 0), trial("summary.spent.evaluations", 0), trial("ended", "agent"))(path)
    write_lines(path / "tests.jsonl", [lines(path / "tests.jsonl")[0] | {"parameters_hash": digest(BEST)}])


def recommended(path):
    """Replaces the recommended parameters, and adds their score on test."""
    both(trial("summary.recommended", BEST), trial("summary.recommended_score", 0.0))(path)
    last = lines(path / "tests.jsonl")[-1]
    better = {"parameters_hash": digest(BEST), "score": 0.0, "reward": 0.0, "scores": [0.0]}
    on("tests.jsonl", lambda data: [*data, last | better])(path)
    trial("summary.recommendations", lambda old: [*old[:-1], [old[-1][0], digest(BEST)]])(path)


def foreign_curve(path):
    """Lets every call point to a line of foreign parameters in tests, which are the best."""
    best = {"parameters_hash": digest(BEST), "score": 0.0, "reward": 0.0, "scores": [0.0]}
    on("tests.jsonl", lambda data: [*data, data[-1] | best])(path)
    for number in range(1, 7):
        step(number, parameters_hash=digest(BEST))(path)


def cut_short(path):
    """Ends a trial after its best call, as if the budget had been smaller."""
    on("steps.jsonl", lambda data: data[:5])(path)
    both(trial("summary.oracle_calls", 4), trial("summary.evaluations", 4), trial("summary.spent.oracle_calls", 4))(
        path
    )
    both(trial("summary.spent.evaluations", 4), trial("summary.recommendations", lambda old: old[:5]))(path)
    last = lines(path / "steps.jsonl")[-1]["parameters_hash"]
    score = next(line["score"] for line in lines(path / "tests.jsonl") if line["parameters_hash"] == last)
    trial("summary.current_score", score)(path)


def other_blob(path):
    blob = path / "blobs" / f"{lines(path / 'steps.jsonl')[2]['graph']}.json.gz"
    blob.write_bytes(gzip.compress(b'{"nodes": []}'))


def other_graph(path):
    text = b'{"nodes": []}'
    name = hashlib.sha256(text).hexdigest()
    (path / "blobs" / f"{name}.json.gz").write_bytes(gzip.compress(text))
    step(2, graph=name)(path)


def other_examples(path):
    """Replaces those of call 1, whose line is not the first where threads race."""

    def change(data):
        next(line for line in data if line["call"] == 1)["examples"] = [0, 1, 2]

    on("steps.jsonl", change)(path)


def other_request(path):
    def change(data):
        request = data[2]["request"]
        data[2]["request"] = {**request, "messages": [{"role": "user", "content": "what is the best x?"}]}

    on("llm.jsonl", change)(path)


def a_call_more(path):
    """Adds a model call with a key that is right, and what it costs."""

    def change(data):
        request = {**data[0]["request"], "messages": [{"role": "user", "content": "more"}]}
        key = digest([request, "optimizer", path.name])
        return [*data, {**data[0], "request": request, "key": key, "bound": [16, 5]}]

    on("llm.jsonl", change)(path)
    more = lines(path / "llm.jsonl")[0]
    for name, number in (
        ("calls", 1),
        ("attempts", 1),
        ("tokens_in", more["tokens_in"]),
        ("tokens_out", more["tokens_out"]),
    ):
        trial(f"summary.ledger.optimizer.{name}", lambda old, number=number: old + number)(path)
    trial("summary.ledger.optimizer.seconds", lambda old: old + more["seconds"])(path)
    trial("summary.spent.llm_calls", lambda old: old + 1)(path)
    trial("summary.spent.tokens", lambda old: old + more["tokens_in"] + more["tokens_out"])(path)


def in_lost(edit, name="1"):
    return lambda path: edit(path / "lost" / name)


UP = lambda old: (old or 0) + 1  # noqa: E731
FORGERIES = [
    # ---- invented and cut trials
    ("plain", "calls deleted, perfect score", invented, "oracle_calls is 6, steps.jsonl has 0"),
    ("plain", "calls deleted, counts too", invented_whole, "not even the call of the start values"),
    ("model", "calls deleted", invented, "steps.jsonl has 0"),
    ("plain", "recommended replaced", recommended, "recommended was"),
    ("lost", "recommended replaced where the agent can't go on", recommended, "recommended was"),
    ("plain", "the whole curve", foreign_curve, "parameters_hash is not that of the parameters"),
    ("plain", "a lucky prefix", cut_short, "2 of them are left"),
    ("plain", "a lucky prefix, limit too", both(cut_short, trial("limits.oracle_calls", 4)), "problem was"),
    ("threads", "a lucky prefix", cut_short, "2 of them are left"),
    ("model", "a lucky prefix", both(cut_short, trial("ended", "agent")), "ledger|ended was"),
    ("plain", "no summary", without("summary"), "there is no summary"),
    ("plain", "no steps", removed("steps.jsonl"), "steps.jsonl has 0"),
    ("model", "no model calls", removed("llm.jsonl"), "ledger: optimizer calls is 6"),
    ("plain", "no scorings", removed("tests.jsonl"), "start_score is 9.0, which tests.jsonl does not say"),
    # ---- fields of steps.jsonl
    ("plain", "call", step(3, call=9), "call is|not of the calls"),
    ("plain", "calls exchanged", both(step(3, call=4), step(4, call=3)), "call 4: call was 4, is 3"),
    ("plain", "key", step(3, key="0" * 64), "key is not the hash"),
    ("plain", "n", step(4, n=1), "call 4: n is 1"),
    ("plain", "parameters", step(3, parameters={"x": 2}), "call 3: parameters_hash is not"),
    ("plain", "parameters, hash and key", proposed(3, x=2), "not in the record"),
    ("lost", "parameters, hash and key, where the agent can't go on", proposed(3, x=2), "call 3: score was"),
    ("plain", "parameters_hash", step(3, parameters_hash=digest({"x": 2})), "call 3: parameters_hash is not"),
    ("code", "split", step(1, split="val"), "key is not the hash"),
    ("code", "examples that the agent chose", step(1, examples=[0, 2]), "key is not the hash"),
    ("drawn", "examples that are drawn", other_examples, "call 1: examples was"),
    ("lasting", "an example that follows from the last call", step(2, examples=[{"at": 90}]), "call 2: examples was"),
    ("plain", "score", step(3, score=0.5), "call 3: score was 0.5"),
    ("lost", "score, where the agent can't go on", step(3, score=0.5), "call 3: score was 0.5"),
    ("failed", "score of a failed trial", step(1, score=0.5), "call 1: score was 0.5"),
    ("old", "score in an old record", step(3, score=0.5), "call 3: score was 0.5"),
    ("plain", "reward", step(3, reward=0.0), "call 3: reward was 0.0"),
    ("plain", "success", step(3, success=True), "call 3: success was True"),
    ("plain", "error", step(3, error="(ValueError) no"), "errors is 0|error was"),
    ("plain", "feedback", step(3, feedback=lambda old: old | {"parts": []}), "call 3: feedback was"),
    ("plain", "graph", step(3, graph="0" * 64), "call 3: graph was"),
    ("plain", "graph and blob", other_graph, "call 2: graph was"),
    ("plain", "blob", other_blob, "is damaged"),
    ("lasting", "metrics", step(2, metrics={"at": 99}), "call 2: metrics was"),
    ("task", "task_calls", step(1, task_calls=lambda old: old[1:]), "call 1: task_calls was"),
    ("task", "order of task_calls", step(1, task_calls=lambda old: old[::-1]), "call 1: task_calls was"),
    ("model", "invalid_answers", step(2, invalid_answers=["no number"]), "call 2: invalid_answers was"),
    ("plain", "spent evaluations", spent(3, evaluations=4), "call 3: spent evaluations was"),
    ("plain", "spent oracle_calls", spent(3, oracle_calls=-1), "call 3: spent oracle_calls was"),
    ("model", "spent tokens", spent(3, tokens=-4), "call 3: spent tokens was"),
    ("task", "spent llm_calls", spent(1, llm_calls=-4), "call 1: spent llm_calls was"),
    ("money", "spent usd", spent(1, usd=1.0), "call 1: spent usd was"),
    ("lost", "spent after a lost attempt", spent(2, oracle_calls=-2), "call 2: spent oracle_calls was 1, the trial's"),
    ("code", "scores of the examples", step(1, scores=[1.0, 1.0]), "call 1: scores was"),
    ("code", "errors of the examples", step(1, errors=["no", None]), "call 1: errors was"),
    ("model", "optimizer_calls", step(2, optimizer_calls=[]), "call 2: optimizer_calls was"),
    ("plain", "parents", step(2, parents=[1]), "call 2: parents was"),
    ("plain", "token_factor", step(2, token_factor=2.0), "call 2: token_factor was"),
    # ---- lines of steps.jsonl
    ("plain", "reordered", swapped("steps.jsonl", 2, 4), "not in the order"),
    ("model", "reordered", swapped("steps.jsonl", 2, 4), "not in the order"),
    ("plain", "a step doubled", doubled("steps.jsonl", 3), "2 lines have this number"),
    ("plain", "a step dropped", dropped("steps.jsonl", 3), "oracle_calls is 6, steps.jsonl has 5"),
    ("plain", "the last step dropped", dropped("steps.jsonl", -1), "oracle_calls is 6, steps.jsonl has 5"),
    ("threads", "a step dropped", dropped("steps.jsonl", 3), "oracle_calls is 6, steps.jsonl has 5"),
    # ---- tests.jsonl
    ("plain", "score on test", scored(1, score=0.0, scores=[0.0], reward=0.0), "test at call 1: score was 0.0"),
    ("end", "score on test at the end", scored(1, score=0.0, scores=[0.0]), "test at call 6: score was 0.0"),
    ("resumed", "score on test at an earlier end", scored(0, score=0.0, scores=[0.0]), "score was 0.0"),
    ("plain", "reward on test", scored(1, reward=0.0), "test at call 1: reward was"),
    ("code", "scores on test", scored(1, scores=[1.0, 0.0, 0.0, 0.0, 0.0]), "not the mean|scores was"),
    ("code", "error on test", scored(1, error="no"), "error was 'no'"),
    ("plain", "call of a scoring", scored(1, call=0), "tests.jsonl, line 2: call was 0"),
    ("end", "call of a scoring at the end", scored(2, call=3), "line 3: call is 3, that of the line before 6"),
    ("one by one", "task_calls on test", scored(1, task_calls=[]), "task_calls was"),
    ("task", "task_calls on test at the end", scored(0, task_calls=lambda old: old[::-1]), "task_calls was"),
    ("plain", "parameters_hash on test", scored(1, parameters_hash="0" * 64), "neither proposed nor recommended"),
    ("plain", "a scoring dropped", dropped("tests.jsonl", 1), "this scoring is not in the record"),
    ("end", "a scoring at the end dropped", dropped("tests.jsonl", 1), "this scoring is not in the record"),
    ("plain", "a scoring doubled", doubled("tests.jsonl", 1), "these parameters were scored before"),
    ("plain", "scorings reordered", swapped("tests.jsonl", 1, 2), "that of the line before"),
    # ---- llm.jsonl
    ("model", "key of a model call", call(2, key="0" * 64), "line 3: key is not the hash"),
    ("model", "n of a model call", call(2, n=4), "n is 4, but"),
    ("model", "role", call(2, role="test"), "the trial's None"),
    ("task", "role of the task's call", call(2, role="judge"), "line 3: key is not the hash"),
    ("model", "unknown role", call(2, role="friend"), "there is no role 'friend'"),
    ("model", "model", call(2, model="better"), "model is 'better'"),
    ("model", "request", other_request, "line 3: key is not the hash"),
    ("task", "place", call(2, place="oracle call 0, example 0, call 1"), "line 3: key is not the hash"),
    ("model", "answer", call(2, texts=["4"]), "not in the record|is not recorded"),
    ("task", "answer of the task's model", call(2, texts=["1234567"]), "call 0: (score|graph) was"),
    ("model", "tokens_in", call(2, tokens_in=0), "ledger: optimizer tokens_in"),
    ("model", "tokens_out", call(2, tokens_out=UP), "ledger: optimizer tokens_out"),
    ("task", "tokens of scoring", call(-1, tokens_out=UP), "ledger: test tokens_out"),
    ("model", "counted", call(2, counted="none"), "ledger: optimizer calls"),
    ("money", "usd", call(1, usd=5.0), "ledger: optimizer usd"),
    ("model", "error", call(2, error="gone"), "ReplayMismatch|EndpointError|ledger"),
    ("retried", "failed attempts", call(0, failed_attempts=[]), "ledger: optimizer attempts"),
    ("model", "a model call dropped", dropped("llm.jsonl", 2), "ledger: optimizer calls"),
    ("model", "a model call doubled", doubled("llm.jsonl", 2), "another line has the same key and n"),
    ("model", "a model call more, with its costs", a_call_more, "the replay does not make the optimizer's call"),
    ("task", "a part without its call", call(2, part=0), "part of a call that is not recorded|ledger"),
    # ---- trial.json
    ("plain", "trial", trial("trial", "Valley-Steps-0-000000000000"), "its folder is"),
    ("plain", "status failed", trial("status", "failed"), "the status is 'failed'"),
    ("plain", "failed, with a traceback", both(trial("status", "failed"), trial("ended", "OSError: no"),
     trial("error", "OSError: no")), "status was 'failed', is 'done'"),
    ("lost", "status failed where the agent can't go on", trial("status", "failed"), "the status is 'failed'"),
    ("plain", "status running", trial("status", "running"), "the status is 'running', but there is an end"),
    ("failed", "status done", trial("status", "done"), "there is a traceback"),
    ("failed", "done without a traceback", both(trial("status", "done"), trial("error", None), trial("ended", "agent")),
     "RuntimeError: out of ideas"),
    ("plain", "ended", trial("ended", "agent"), "oracle_calls are spent"),
    ("plain", "ended by a budget that it has not", trial("ended", "budget: usd"), "has no limit of usd"),
    ("budget", "ended", trial("ended", "budget: oracle_calls"), "of them are left"),
    ("plain", "solved", both(trial("ended", "solved"), trial("summary.solved", True)), "no call is a success"),
    ("plain", "limit", trial("limits.oracle_calls", 60), "54 of them are left"),
    ("budget", "limit of model calls", trial("limits.llm_calls", 30), "ended was"),
    ("tokens", "limit of tokens", trial("limits.tokens", 6000), "ended was"),
    ("plain", "limit of evaluations", trial("limits.evaluations", 3), "spent evaluations is 6, the limit is 3"),
    ("end", "when it is scored", trial("test_scores", "each"), "this scoring is not in the record"),
    ("plain", "a traceback", trial("error", "Traceback"), "there is a traceback"),
    ("plain", "sandbox level", trial("where.sandbox.level", "L1"), "the sandbox's level is 'L1'"),
    ("plain", "seed", trial("spec.seed", 5), "seed is 5 in the spec, 0 in the identity"),
    ("model", "model in the spec", trial("spec.optimizer_model", "better"), "optimizer's model is 'better'"),
    ("plain", "agent in the spec", trial("spec.agent", "tests.support.agents:Listening"), "agent is"),
    ("plain", "settings in the spec", trial("spec.settings", {"pause": 0.0}), "settings is"),
    ("code", "mask in the spec", trial("spec.mask", ["code"]), "identity: environment was"),
    ("plain", "seed in the identity", trial("identity.seed", 5), "not the hash of its identity"),
    ("plain", "source of the agent", trial("identity.agent.source", "0" * 16), "not the hash of its identity"),
    ("plain", "problem in the identity", trial("identity.env.problem", "0" * 64), "not the hash of its identity"),
    ("old", "identity in an old record", trial("identity.problem", "0" * 64), "not the hash of its identity"),
    # ---- the summary
    ("plain", "start_score", trial("summary.start_score", 99.0), "start_score is 99.0"),
    ("plain", "current_score", trial("summary.current_score", 0.25), "current_score is 0.25"),
    ("plain", "current_score of another call", trial("summary.current_score", 9.0), "current_score was 9.0"),
    ("plain", "recommended_score", trial("summary.recommended_score", 0.0), "recommended_score is 0.0"),
    ("lost", "recommended_score", trial("summary.recommended_score", 0.0), "recommended_score is 0.0"),
    ("plain", "recommended", trial("summary.recommended", {"x": -9}), "recommended was"),
    ("plain", "recommendations", trial("summary.recommendations.2.1", "0" * 64), "recommendations was"),
    ("plain", "recommendations dropped", trial("summary.recommendations", []), "recommendations are not of the calls"),
    ("plain", "measures", trial("summary.measures", {"steps": 1.0}), "measures was"),
    ("plain", "oracle_calls", trial("summary.oracle_calls", 3), "oracle_calls is 3"),
    ("plain", "evaluations", trial("summary.evaluations", 3), "evaluations is 3"),
    ("code", "errors", trial("summary.errors", 1), "errors is 1"),
    ("model", "invalid_answers in the summary", trial("summary.invalid_answers", 9), "invalid_answers was 9"),
    ("plain", "scale", trial("summary.scale", "log"), "scale was 'log'"),
    ("plain", "anchors", trial("summary.anchors", OWN_ANCHORS), "anchors was"),
    ("plain", "problem", trial("summary.problem.objective", "Anything goes."), "problem was"),
    ("model", "ledger calls", trial("summary.ledger.optimizer.calls", 1), "ledger: optimizer calls is 1"),
    ("model", "ledger tokens", trial("summary.ledger.optimizer.tokens_in", 1), "ledger: optimizer tokens_in is 1"),
    ("task", "ledger of scoring", trial("summary.ledger.test.calls", 1), "ledger: test calls is 1"),
    ("retried", "ledger errors", trial("summary.ledger.optimizer.errors", 0), "ledger: optimizer errors is 0"),
    ("plain", "ledger of nothing", trial("summary.ledger.task.tokens_in", 7), "ledger: task tokens_in is 7"),
    ("money", "ledger usd", trial("summary.ledger.optimizer.usd", 0.0), "ledger: optimizer usd"),
    ("model", "spent tokens in the summary", trial("summary.spent.tokens", 1), "spent tokens is 1"),
    ("model", "spent llm_calls in the summary", trial("summary.spent.llm_calls", 1), "spent llm_calls is 1"),
    ("plain", "spent evaluations in the summary", trial("summary.spent.evaluations", 1), "spent evaluations is 1"),
    ("plain", "spent oracle_calls in the summary", trial("summary.spent.oracle_calls", 1), "spent oracle_calls is 1"),
    ("model", "models", trial("summary.models.optimizer.model", "better"), "models optimizer was"),
    ("model", "endpoint of a model", trial("summary.models.optimizer.endpoint", "https://x"), "models optimizer was"),
    ("task", "task's model", trial("summary.models.task", None), "models task was None"),
    ("model", "adaptations", trial("summary.adaptations", {"fake": ["temperature"]}), "adaptations was"),
    ("model", "caveats", trial("summary.caveats", ["no oracle call was made"]), "caveats was"),
    ("plain", "cut_prompts", trial("summary.cut_prompts", 3), "cut_prompts was 3"),
    # ---- lost attempts
    ("lost", "lost calls in the summary", trial("summary.lost.oracle_calls", 0), "lost oracle_calls is 0"),
    ("lost", "lost attempts in the summary", trial("summary.lost", None), "lost attempts is 0"),
    ("lost", "a lost step dropped", in_lost(dropped("steps.jsonl", -1)), "lost oracle_calls is 2"),
    ("lost", "a lost step changed", in_lost(step(1, parameters={"x": 1})), "lost attempt 1: call 1: parameters_hash"),
    ("lost", "a lost attempt deleted", lambda path: shutil.rmtree(path / "lost"), "lost attempts is 1"),
    ("old lost", "lost tokens", trial("summary.lost.ledger.optimizer.tokens_in", 0), "ledger of lost attempts"),
    ("old lost", "a lost model call", in_lost(call(1, tokens_out=0)), "ledger of lost attempts|spent tokens"),
    ("old lost", "a lost request", in_lost(other_request), "lost/1/llm.jsonl, line 3: key is not the hash"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "edit", "expected"), [pytest.param(k, e, x, id=f"{k}: {name}") for k, name, e, x in FORGERIES]
)
def test_a_forged_record_is_named_in_a_line(honest, tmp_path, kind, edit, expected):
    path = tmp_path / "run" / "trials" / honest[kind].name
    shutil.copytree(honest[kind], path)
    edit(path)
    differences = replay(path, trust=True).differences
    assert any(re.search(expected, line) for line in differences), differences


def test_there_are_forgeries_of_every_kind():
    assert len(FORGERIES) >= 60
    assert len({(kind, name) for kind, name, *_ in FORGERIES}) == len(FORGERIES)


@pytest.mark.parametrize("version", [99, 0, "2", True])
def test_a_record_of_an_unknown_version_is_refused(honest, tmp_path, version):
    path = tmp_path / "run" / "trials" / honest["plain"].name
    shutil.copytree(honest["plain"], path)
    trial("version", version)(path)
    with pytest.raises(RecordError, match="version"):
        replay(path, trust=True)


def test_a_consistent_identity_of_another_agent_is_not_verified(honest, tmp_path):
    """Whoever makes a source up, with the id that belongs to it, gets no agreement about the agent's proposals."""
    path = tmp_path / "run" / "trials" / honest["plain"].name
    shutil.copytree(honest["plain"], path)
    both(trial("identity.agent.source", "0" * 16), renamed)(path)
    (path,) = path.parent.iterdir()
    outcome = replay(path, trust=True)
    assert outcome.differences == []
    assert "agent" in outcome.unverifiable
    assert outcome.notices == ["the agent has changed since the record: its recorded calls were evaluated without it"]


def said(capsys, *paths):
    status = main(["replay", "--trust", *map(str, paths)])
    return status, capsys.readouterr().out


def test_what_is_not_verifiable_is_listed(honest, capsys):
    status, out = said(capsys, honest["plain"], honest["model"])
    assert status == 0
    assert out.count("agree with the record") == 2
    listed = out.partition("not verifiable:\n")[2].splitlines()
    assert [line.partition(":")[0].strip() for line in listed] == ["times", "machine", "limits", "answers"]
    assert honest["model"].name in listed[-1]
    assert honest["plain"].name not in listed[-1]


@pytest.mark.parametrize("kind", ["failed", "running", "empty", "empty and running", "forged"])
def test_the_exit_status_is_0_only_where_something_was_verified(honest, tmp_path, capsys, kind):
    name = "failed" if kind == "failed" else "plain"
    path = tmp_path / "run" / "trials" / honest[name].name
    shutil.copytree(honest[name], path)
    edits = {
        "running": lambda p: cut_off(p, 3),
        "empty": invented_whole,
        "empty and running": lambda p: cut_off(p, 0),
        "forged": step(3, score=0.0),
    }
    edits.get(kind, lambda p: None)(path)
    status, out = said(capsys, path)
    assert status == 1
    assert "agree" not in out
    expected = {
        "running": "not finished",
        "failed": "the trial failed (RuntimeError: out of ideas)",
        "forged": "differ",
    }
    assert expected.get(kind, "nothing is verified" if "running" in kind else "differ") in out


def test_several_trials_are_all_replayed(honest, tmp_path, capsys):
    path = tmp_path / "run" / "trials" / honest["plain"].name
    shutil.copytree(honest["plain"], path)
    step(3, score=0.0)(path)
    status, out = said(capsys, path, honest["end"])
    assert status == 1
    assert "1 difference" in out
    assert "agree with the record" in out


def test_replay_reads_a_record_that_names_nothing_to_run(honest, tmp_path):
    """A trial that failed before its first call has nothing to run again."""
    path = tmp_path / "run" / "trials" / honest["failed"].name
    shutil.copytree(honest["failed"], path)
    both(removed("steps.jsonl"), removed("tests.jsonl"), trial("summary", None))(path)
    outcome = replay(path, trust=True)
    assert (outcome.steps, outcome.incomplete) == (0, "the trial failed (RuntimeError: out of ideas)")
    assert json.loads((path / "trial.json").read_text())["status"] == "failed"
