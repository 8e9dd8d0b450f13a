"""Finds contradictions in the record of a trial by reading it alone: no code of the trial is imported or run.

Hashes are computed again, and what is recorded in two places must be equal: counts, scores, the identity and the spec.
A record that an attacker made up with care can pass; `replaying.replay` evaluates it again. A report leaves out trials
that do not pass.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..llm import LIMITS
from .records import TrialFolder, read_json
from .schema import SandboxRecord, ScoreRecord, StepRecord, TrialRecord, TrialSummary
from .spec import digest

_PRECISION = 1e-9  # relative, for sums that are added in another order


def contradictions(
    path: Path, record: TrialRecord, steps: Sequence[StepRecord], tests: Sequence[ScoreRecord]
) -> list[str]:
    """What contradicts itself in a trial's record, as lines of text; an empty list if nothing does.

    Args:
        path: The trial's folder.
        record: Its ``trial.json``.
        steps: Its oracle calls, in any order.
        tests: Its scorings on test.

    Raises:
        RecordError: If ``trial.json`` can't be read.
    """
    steps = sorted(steps, key=lambda step: step.call)
    found = [*_identity(path, record), *_status(record), *_sandbox(record.where.sandbox)]
    found += [*_calls(steps, ended=record.status == "done"), *_tests(tests)]
    if record.summary is None:
        return found
    found += _counts(record.summary, record, steps)
    if steps:
        found += _scores(record.summary, steps, tests)
    if record.status == "done":
        found += [*_end(record, record.summary), *_spent(record.summary, steps)]
    return found


def lost_contradictions(folder: TrialFolder, summary: TrialSummary | None) -> list[str]:
    """What contradicts itself in the records of a trial's lost attempts.

    Args:
        folder: The trial's folder.
        summary: Its summary, if there is one.

    Raises:
        RecordError: If a record of an attempt is damaged.
    """
    found: list[str] = []
    for place in folder.attempts():
        steps = sorted(folder.steps_of_attempt(place), key=lambda step: step.call)
        found += [f"lost attempt {place.name}: {line}" for line in _calls(steps, ended=False)]
    lost = [step for step in folder.lost_steps() if step.call]
    if summary is None:
        return found
    recorded = summary.lost
    counts = {
        "attempts": len(folder.attempts()),
        "oracle_calls": len(lost),
        "evaluations": sum(len(step.examples) for step in lost),
    }
    for name, number in counts.items():
        told = 0 if recorded is None else getattr(recorded, name)
        if told != number:
            found.append(f"summary: lost {name} is {told}, the records of lost attempts hold {number}")
    return found


def is_close(a: float | None, b: float | None) -> bool:
    """Whether two sums are equal but for the order in which they were added; None is equal to None alone."""
    if a is None or b is None:
        return a is b
    return abs(a - b) <= _PRECISION * max(1.0, abs(a), abs(b))


def call_key(is_start: bool, parameters: Mapping[str, Any], examples: Sequence[Any] | None, split: str) -> str:
    """The key of an oracle call, see `StepRecord.key`; `examples` are those that the agent chose, or None."""
    return digest([is_start, parameters, examples, split])


def chosen_examples(step: StepRecord) -> list[Any] | None:
    """The examples of a recorded call that its key contains; None if the environment drew them."""
    drawn = call_key(step.call == 0, step.parameters, None, step.split)
    return None if step.key == drawn else list(step.examples)


def _identity(path: Path, record: TrialRecord) -> Iterator[str]:
    """Contradictions between the trial's id, its identity and its spec."""
    spec, identity, name = record.spec, record.identity, path.name
    if record.trial != name:
        yield f"trial.json: the trial is {record.trial!r}, its folder is {name!r}"
    # the identity as it was written, since one of version 1 is converted on reading
    if digest(read_json(path / "trial.json").get("identity"))[:12] != name.rpartition("-")[2]:
        yield "trial.json: the trial's id is not the hash of its identity"
    pairs: dict[str, tuple[Any, Any]] = {
        "seed": (spec.seed, identity.seed),
        "agent": (spec.agent, identity.agent.name),
        "settings": ({**spec.settings, **spec.model_settings}, identity.agent.settings),
        "optimizer's model": (spec.optimizer_model, identity.models.optimizer),
        "task's model": (spec.task_model, identity.models.task),
        "optimizer's endpoint": (spec.endpoint("optimizer").identity, identity.models.optimizer_settings),
        "task's endpoint": (spec.endpoint("task").identity, identity.models.task_settings),
        "arguments": (_without_calls(spec.env_arguments), _named_in(spec.env_arguments, identity.env.arguments)),
    }
    for what, (in_spec, in_identity) in pairs.items():
        if digest(in_spec) != digest(in_identity):
            yield f"trial.json: {what} is {in_spec!r:.200} in the spec, {in_identity!r:.200} in the identity"


def _without_calls(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "oracle_calls"}


def _named_in(arguments: Mapping[str, Any], identity: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments in an identity that a spec has too; others are those of the environment's registration."""
    return {name: value for name, value in identity.items() if name in _without_calls(arguments)}


def _status(record: TrialRecord) -> Iterator[str]:
    """Contradictions between the status and what comes with it."""
    ended, error = record.ended, record.error
    if record.status == "running":
        if record.summary is not None or ended is not None or error is not None:
            yield "trial.json: the status is 'running', but there is an end"
        return
    if record.status == "failed":
        raised = "BudgetSpent" if (ended or "").startswith("budget: ") else (ended or "").partition(":")[0]
        if not ended or not error or raised not in error:
            yield f"trial.json: the status is 'failed', but not so the end {ended!r:.100} and the traceback"
        return
    if error is not None:
        yield "trial.json: the status is 'done', but there is a traceback"
    limit = (ended or "").removeprefix("budget: ")
    if ended not in ("solved", "agent") and (not (ended or "").startswith("budget: ") or limit not in LIMITS):
        yield f"trial.json: a trial that is done can't have ended as {ended!r:.100}"
    elif limit in LIMITS and getattr(record.limits, limit) is None and getattr(record.cap, limit) is None:
        yield f"trial.json: it ended as {ended!r}, but has no limit of {limit}"
    if record.summary is None:
        yield "trial.json: the status is 'done', but there is no summary"


def _sandbox(sandbox: SandboxRecord) -> Iterator[str]:
    """Contradictions between the sandbox's level and its walls, see `opto_gym.sandbox.inside.walls`."""
    raised = (sandbox.seccomp, sandbox.landlock_abi is not None, bool(sandbox.namespaces))
    level = f"L{raised.index(False) if False in raised else len(raised)}"
    if sandbox.level != level:
        yield f"trial.json: the sandbox's level is {sandbox.level!r:.50}, its walls are those of {level}"


def _calls(steps: Sequence[StepRecord], ended: bool) -> Iterator[str]:
    """Contradictions in the oracle calls, which are sorted by number; `ended` is whether none was lost in a kill."""
    numbers, places = Counter(step.call for step in steps), Counter((step.key, step.n) for step in steps)
    for step in steps:
        what = f"call {step.call}"
        if step.parameters_hash != digest(step.parameters):
            yield f"{what}: parameters_hash is not that of the parameters"
        given = (None, step.examples)
        if step.key not in [call_key(step.call == 0, step.parameters, examples, step.split) for examples in given]:
            yield f"{what}: key is not the hash of parameters, examples and split"
        if numbers[step.call] > 1:
            yield f"{what}: {numbers[step.call]} lines have this number"
        if places[step.key, step.n] > 1:
            yield f"{what}: another line has the same key and n"
    if ended and steps and numbers.keys() == set(range(len(steps))):
        counts = Counter(step.key for step in steps)
        for step in steps:
            if not 0 <= step.n < counts[step.key]:
                yield f"call {step.call}: n is {step.n}, but {counts[step.key]} calls have its key"


def _tests(tests: Sequence[ScoreRecord]) -> Iterator[str]:
    """Contradictions in the scorings on test."""
    for number, scored in enumerate(tests, 1):
        what = f"tests.jsonl, line {number}"
        if scored.scores and not is_close(scored.score, statistics.fmean(scored.scores)):
            yield f"{what}: score {scored.score} is not the mean of its scores"
        if any(other.parameters_hash == scored.parameters_hash for other in tests[: number - 1]):
            yield f"{what}: these parameters were scored before"


def _counts(summary: TrialSummary, record: TrialRecord, steps: Sequence[StepRecord]) -> Iterator[str]:
    """Contradictions between the summary's counts and the oracle calls."""
    lost = summary.lost
    calls, evaluations = max(len(steps) - 1, 0), sum(len(step.examples) for step in steps[1:])
    if not steps:
        yield "steps.jsonl: not even the call of the start values is there"
    counts = {
        "oracle_calls": calls,
        "evaluations": evaluations,
        "errors": sum(step.error is not None for step in steps[1:]),
    }
    failed = record.status == "failed"  # maybe before it had repeated the calls of an earlier session
    for name, number in counts.items():
        told = getattr(summary, name)
        if told > number or (told < number and not failed):
            yield f"summary: {name} is {told}, steps.jsonl has {number}"
    for name, number in (("oracle_calls", calls), ("evaluations", evaluations)):
        total, spent = number + (getattr(lost, name) if lost else 0), getattr(summary.spent, name)
        if spent > total or (spent < total and not failed):
            yield f"summary: spent {name} is {spent:g}, all attempts have {total}"
    if not failed and summary.invalid_answers < (held := sum(len(step.invalid_answers) for step in steps)):
        yield f"summary: invalid_answers is {summary.invalid_answers}, steps.jsonl has {held}"
    if summary.solved and not any(step.success for step in steps[1:]):
        yield "summary: solved, but no call is a success"
    recommended, made = Counter(call for call, _ in summary.recommendations), Counter(step.call for step in steps)
    if recommended - made or (record.status == "done" and recommended != made):
        yield "summary: recommendations are not of the calls in steps.jsonl"


def _spent(summary: TrialSummary, steps: Sequence[StepRecord]) -> Iterator[str]:
    """Calls after which a trial had spent less than its lost attempts did, or more than it did at its end."""
    for step in steps:
        for name in ("oracle_calls", "evaluations", "llm_calls", "tokens", "usd"):
            told, most = getattr(step.spent, name), getattr(summary.spent, name)
            least = float(getattr(summary.lost, name, 0))  # of a lost attempt, calls and evaluations are known
            if told < least or (told > most and not is_close(told, most)):
                yield f"call {step.call}: spent {name} was {told:g}, the trial's is {least:g} to {most:g}"


def _scores(summary: TrialSummary, steps: Sequence[StepRecord], tests: Sequence[ScoreRecord]) -> Iterator[str]:
    """Contradictions between the summary's scores and the scorings on test."""
    scores = {scored.parameters_hash: scored.score for scored in tests}
    recommended = digest(summary.recommended)
    found = {
        "start_score": {scores.get(steps[0].parameters_hash)},
        "current_score": {scores.get(step.parameters_hash) for step in steps},  # which was last, threads decide
        "recommended_score": {scores.get(recommended)},
    }
    for name, allowed in found.items():
        score = getattr(summary, name)
        if score not in allowed:
            yield f"summary: {name} is {score}, which tests.jsonl does not say"
    known = {step.parameters_hash for step in steps} | {hashed for _, hashed in summary.recommendations} | {recommended}
    for number, scored in enumerate(tests, 1):
        if scored.parameters_hash not in known:
            yield f"tests.jsonl, line {number}: these parameters were neither proposed nor recommended"


def _end(record: TrialRecord, summary: TrialSummary) -> Iterator[str]:
    """Contradictions between the end of a trial that is done and what it spent."""
    spent, limits = msgspec.structs.asdict(summary.spent), record.limits.to_dict()
    if summary.solved != (record.ended == "solved"):
        yield f"trial.json: it ended as {record.ended!r}, but solved is {summary.solved}"
    for name in ("oracle_calls", "evaluations", "llm_calls"):
        if name in limits and spent[name] > limits[name]:
            yield f"summary: spent {name} is {spent[name]:g}, the limit is {limits[name]:g}"
    for name in ("oracle_calls", "evaluations"):
        if record.ended == "agent" and name in limits and limits[name] - spent[name] < 1:
            yield f"trial.json: it ended as 'agent', but its {name} are spent"
    if record.ended == "budget: oracle_calls" and record.cap.oracle_calls is None and limits.get("oracle_calls"):
        left = limits["oracle_calls"] - spent["oracle_calls"]
        if left >= 1:
            yield f"trial.json: it ended as 'budget: oracle_calls', but {left:g} of them are left"
