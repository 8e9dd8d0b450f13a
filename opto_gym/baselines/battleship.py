"""Battleship's specialists: fixed policies, proposed as code."""

from __future__ import annotations

from typing import ClassVar

from ..agents.base import Agent, Run, Values
from ..core import Problem
from ..envs.battleship import ACT_PARITY, REASON_PARITY

SCAN_REASON = '''def reason(map):
    """The unknown squares, row by row."""
    return [[r, c] for r, row in enumerate(map) for c, square in enumerate(row) if square == "."]
'''
SCAN_ACT = '''def act(map, plan):
    """The first of them."""
    return plan[0]
'''


class Policy(Agent):
    """Proposes one fixed policy, again and again."""

    policy: ClassVar[Values]

    @classmethod
    def why_not(cls, problem: Problem) -> str | None:
        """Why not: only Battleship's parameters will do."""
        names = {p.name for p in problem.parameters}
        wanted = set(cls.policy)
        return None if names == wanted else f"{cls.__name__} plays Battleship (parameters {sorted(wanted)})"

    def run(self) -> Run:
        """Proposes the policy."""
        yield
        while True:
            yield dict(self.policy)


class Enumeration(Policy):
    """Fires at every square, row by row: 54 % of the ship squares on the 200 test boards.

    The Trace paper's baseline of this name scans columns, starts at index 1 and so leaves the board; this one does not.
    """

    policy: ClassVar[Values] = {"reason": SCAN_REASON, "act": SCAN_ACT}


class HuntTarget(Policy):
    """Hunts on squares of one colour where ships have room, and targets the neighbours of hits, in line first."""

    policy: ClassVar[Values] = {"reason": REASON_PARITY, "act": ACT_PARITY}
