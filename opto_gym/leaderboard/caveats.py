"""Why a trial that ended regularly says nothing about its agent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..llm.answer import CUT_REASONS
from ..llm.calls import CallLine
from .amounts import LedgerTotals
from .schema import StepRecord


def find_caveats(
    steps: Sequence[StepRecord],
    *,
    refused: Sequence[bool],
    invalid_answers: int,
    asks_model: bool,
    ledger: LedgerTotals,
    calls: Iterable[CallLine],
) -> list[str]:
    """Why the results of a trial mean little, a phrase each; an empty list if they mean something.

    Args:
        steps: The oracle calls, the start values' first.
        refused: For each answer of the optimizer's model that was read, whether it was unusable; empty if not recorded.
        invalid_answers: The number of unusable answers.
        asks_model: Whether the agent uses a model.
        ledger: The totals of the model calls.
        calls: The lines of ``llm.jsonl``.
    """
    made, asked = len(steps) - 1, ledger.optimizer.calls
    found = []
    if made < 1:
        found.append("no oracle call was made")
    if asks_model and not asked:
        found.append("the optimizer's model was not asked")
    if all(refused) if refused else invalid_answers >= asked > 0:
        found.append("every answer of the optimizer's model was unusable")
    if made > 0 and all(step.error is not None for step in steps if step.call):
        found.append("every proposal was refused or ended in an error")
    return [*found, *_cut_answers(calls)]


def _cut_answers(calls: Iterable[CallLine]) -> list[str]:
    """For the optimizer's and the task's model: how many answers were cut, if it is half of them or more."""
    counts = {"optimizer": [0, 0], "task": [0, 0]}
    for line in calls:
        count = counts["optimizer" if line.role == "optimizer" else "task"]
        for reason in (line.finish_reasons or (line.finish_reason,)) if line.error is None else ():
            count[0] += str(reason).lower() in CUT_REASONS
            count[1] += 1
    return [
        f"{cut} of {answers} answers of the {role}'s model were cut by a limit of tokens"
        for role, (cut, answers) in counts.items()
        if answers and 2 * cut >= answers
    ]
