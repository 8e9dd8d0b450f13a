"""Estimates how many sets of parameters a trial will score on test."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from ..agents.base import Values
from .ranges import NOTHING, Range
from .schema import StepRecord, plain
from .spec import digest

DRAWS, MOST_DRAWN = 4000, 200
"""The number of trials that are drawn to find the expected number, and the most oracle calls of each of them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recommendation:
    """How a trial's recommended parameters are chosen.

    Attributes:
        compared: The share of the oracle calls that the best is chosen from, where the agent makes no choice itself.
        examples: The number of examples of each of these.
        own: The number of different sets among the start values, the last parameters and the recommended ones at the
            end of a rehearsal, where the agent chooses the recommended ones itself; otherwise None.
    """

    compared: float
    examples: int
    own: int | None = None

    @classmethod
    def of(cls, steps: Sequence[StepRecord], recommended: Values | None, examples: int) -> Recommendation:
        """How parameters were recommended in a rehearsal.

        Args:
            steps: Its oracle calls; the first is that of the start values.
            recommended: The agent's own choice at its end; None if it made none.
            examples: The number of examples of each call that is compared: of those on val, or else on train.
        """
        compared = [step for step in steps if step.split == "val"] or steps
        share = (len(compared) - 1) / (len(steps) - 1) if len(steps) > 1 else 1.0
        if recommended is None:
            return cls(share, examples)
        sets = (steps[0].parameters, steps[-1].parameters, plain(recommended))
        return cls(share, examples, len({digest(parameters) for parameters in sets}))


def scored_sets(scores: str, oracle_calls: float, recommendation: Recommendation) -> Range:
    """The number of sets of parameters that a trial scores. Equal sets are scored once.

    At the end of a trial, the start values, the last parameters and the recommended ones are scored. The fewest is one
    set: no proposal was usable, or the start values were proposed again. The middle number supposes that each proposal
    is new.

    Args:
        scores: When parameters are scored, one of `scoring.SCORING`.
        oracle_calls: The number of the trial's oracle calls.
        recommendation: How the recommended parameters are chosen.
    """
    if scores == "never":
        return NOTHING
    own = recommendation.own
    if scores == "each":
        return 1.0, 1 + oracle_calls, 1 + oracle_calls * (1 if own is None else 2)
    most = min(3.0, 1 + oracle_calls)
    middle = own if own is not None else _expected(oracle_calls, recommendation.compared, recommendation.examples)
    return 1.0, min(middle, most), most


@functools.cache
def _expected(oracle_calls: float, compared: float, examples: int) -> float:
    """The expected number of sets that are scored at the end if the parameters of the best oracle call are recommended.

    It is 3, or 2 where the best call is that of the start values or the last one. This is the rarer the more calls
    there are. With few examples, however, several calls are equally good, and the last of these is recommended.

    Trials are drawn, in which each example is right with the same probability in all calls of a trial. The
    probability is not known before, so that it has Jeffreys' prior for it, Beta(1/2, 1/2): a model answers most
    questions of one task and few of another.

    Args:
        oracle_calls: The number of the trial's oracle calls.
        compared: The share of them that the best is chosen from.
        examples: The number of examples of each of these.
    """
    last, rng = min(MOST_DRAWN, round(oracle_calls * compared)), np.random.default_rng(0)
    right = rng.binomial(examples, rng.beta(0.5, 0.5, (DRAWS, 1)), (DRAWS, last + 1))
    best = last - right[:, ::-1].argmax(axis=1)  # of equals the last
    return min(2.0, 1 + oracle_calls) + float(np.mean((best > 0) & (best < last)))
