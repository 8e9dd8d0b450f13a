"""Replaying a trial from its record."""

from __future__ import annotations

from pathlib import Path

from ..errors import OptoGymError, RecordError, ReplayMismatch
from .identity import RULES
from .records import TrialFolder
from .spec import Spec
from .trial import Outcome, Trial


def replay(path: str | Path) -> Outcome:
    """Runs a trial again from its record, without an endpoint or model, and compares every step.

    The agent's calls are answered from ``llm.jsonl``; every recorded oracle call and every scoring on test is evaluated
    anew. `Outcome.differences` names what disagrees. Nothing is written. Of an agent that would not do the same again
    (`Agent.resumable`) only the evaluations are made again.

    Raises:
        RecordError: If the folder holds no trial, or its agent's source has changed.
    """
    path = Path(path)
    summary = TrialFolder(path).summary() if (path / "trial.json").exists() else None
    if summary is None:
        raise RecordError(f"{path} holds no trial.json: expected the folder of a trial")
    spec = Spec.from_dict(summary["spec"])
    recorded = [line for line in TrialFolder(path).steps() if line["call"] > 0]
    # a trial that was killed while it ran may lack its last scorings
    scores = summary["test_scores"] if summary["status"] != "running" else "never"
    outcome = Trial(spec, path, limits=summary["limits"], test_scores=scores, replay=True).run()
    if summary["identity"].get("rules", 1) != RULES:
        outcome.notices.append("the rules that identify a trial have changed since the record")
    elif spec.trial_id() != path.name:
        outcome.differences.insert(0, "the environment's problem or the agent's source has changed since the record")
    # the record's end is no difference: there the original was killed, or its budget (the whole run's too) was spent
    ended = outcome.steps == len(recorded) and summary["ended"] != "agent"
    if outcome.error is not None and not (ended and outcome.error.startswith(ReplayMismatch.__name__)):
        outcome.differences.append(outcome.error)
    elif outcome.steps != len(recorded):
        outcome.differences.append(f"{len(recorded)} calls are recorded, {outcome.steps} were made")
    if not recorded and outcome.error is None and summary["status"] == "failed":
        raise OptoGymError(f"{path.name} failed before its first call: there is nothing to replay")
    return outcome
