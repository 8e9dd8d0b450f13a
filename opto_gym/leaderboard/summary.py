"""The summary of a trial, which its ``trial.json`` ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..agents.toolkit.model_agent import ModelAgent
from .amounts import Amounts
from .caveats import find_caveats
from .oracle import RecordedOracle
from .records import TrialFolder
from .schema import LostAttempts, ModelsRecord, ProblemRecord, TrialSummary, plain
from .spending import ledger_totals

if TYPE_CHECKING:
    from .trial import TrialRunner


def summary_of(runner: TrialRunner, oracle: RecordedOracle) -> TrialSummary:
    """The summary of a trial so far.

    Args:
        runner: The trial.
        oracle: Its oracle, which has made the start values' call.
    """
    steps, env, recommended = oracle.steps, runner.env, runner.choices.recommended()
    return TrialSummary(
        problem=msgspec.json.decode(env.problem.to_json(), type=ProblemRecord),
        scale=env.scale,
        anchors=env.anchors,
        oracle_calls=len(steps) - 1,
        evaluations=sum(len(step.examples) for step in steps[1:]),
        # the agent still holds those that came after the last oracle call
        invalid_answers=sum(len(step.invalid_answers) for step in steps) + len(runner.agent.invalid_answers),
        errors=sum(step.error is not None for step in steps[1:]),
        solved=oracle.solved,
        start_score=runner.scorer.score_of(steps[0].parameters),
        current_score=runner.scorer.score_of(runner.choices.current),
        recommended_score=runner.scorer.score_of(recommended),
        recommended=plain(recommended),
        measures=dict(runner._measures),
        recommendations=runner.choices.history,
        models=ModelsRecord(
            optimizer=runner.agent.llm.describe() if runner.agent.uses_model else None,
            task=env.llm.describe() if env.uses_model else None,
        ),
        ledger=ledger_totals(runner.ledger),
        lost=_lost_attempts(runner),
        spent=msgspec.convert(runner.budget.spent, Amounts),
        cut_prompts=runner.agent.calibration.cut_prompts if isinstance(runner.agent, ModelAgent) else None,
        adaptations=_adaptations(runner.folder),
        caveats=caveats_of(runner),
    )


def _lost_attempts(runner: TrialRunner) -> LostAttempts | None:
    """What a trial's lost attempts spent; None if there are none."""
    attempts = len(runner.folder.attempts())
    if not attempts:
        return None
    return LostAttempts(
        attempts=attempts,
        oracle_calls=runner.lost_calls,
        evaluations=runner.lost_evaluations,
        ledger=ledger_totals(runner.ledger, lost=True),
    )


def _adaptations(folder: TrialFolder) -> dict[str, list[str]]:
    """By model, how the recorded requests were changed for its endpoint."""
    changes: dict[str, set[str]] = {}
    for line in folder.calls():
        if line.dropped:
            changes.setdefault(line.model, set()).update(line.dropped)
    return {model: sorted(found) for model, found in sorted(changes.items())}


def caveats_of(runner: TrialRunner) -> list[str]:
    """Why a trial's results mean little, as lines of text; an empty list if nothing speaks against them."""
    agent, oracle = runner.agent, runner.oracle
    if oracle is None:
        return []
    refused = [reading.refused is not None for step in oracle.steps for reading in step.answers or ()]
    if isinstance(agent, ModelAgent):  # it still holds those that came after the last oracle call
        refused += [reading.refused is not None for reading in agent.readings]
    return find_caveats(
        oracle.steps,
        refused=refused,
        invalid_answers=sum(len(s.invalid_answers) for s in oracle.steps) + len(agent.invalid_answers),
        asks_model=agent.uses_model,
        ledger=ledger_totals(runner.ledger),
        calls=runner.folder.calls(),
    )
