"""What of a record no replay can compute again."""

from __future__ import annotations

REASONS = {
    "times": "start, end and durations: they differ each time",
    "machine": "the machine and its sandbox: only who ran the trial has seen them",
    "limits": "limits, and when to score, as far as they decided nothing",
    "answers": "answers of models, their tokens and prices, and their order: no endpoint is asked",
    "agent": "what the agent proposed and recommended: it can't be run again from the record",
    "order": "the order in which calls side by side ended",
    "end": "when the trial ended: that depends on time, on other trials, on calls side by side, or on a person",
    "failure": "why the trial failed: the replay did not",
    "lost": "what lost attempts did, but not what they cost",
}
"""The reasons, by the name that `Outcome.unverifiable` has."""
