"""Baselines for Battleship: fixed policies, proposed as code."""

from __future__ import annotations

from typing import ClassVar

from ..agents.base import Agent, ProposalLoop, Values
from ..envs.battleship import count_places
from ..problems import Problem

SCAN_REASON = '''def reason(map):
    """The unknown squares, row by row."""
    return [[r, c] for r, row in enumerate(map) for c, square in enumerate(row) if square == "."]
'''
SCAN_ACT = '''def act(map, plan):
    """The first of them."""
    return plan[0]
'''
PUBLISHED_SCAN_ACT = '''def act(map, plan):
    """The next square, column by column, but rows are counted from 1: the last of each column lies below the map."""
    global fired
    fired += 1
    height, width = len(map), len(map[0])
    return [(fired - 1) % height + 1, (fired - 1) // height % width]


fired = 0
'''
NO_PLAN = '''def reason(map):
    """Nothing: act needs no plan."""
    return None
'''
PLAIN_PARITY = '''def reason(map):
    """Unknown squares beside hits; else the unknown squares of one colour; else all unknown squares."""
    height, width = len(map), len(map[0])
    unknown = [[r, c] for r in range(height) for c in range(width) if map[r][c] == "."]

    def beside_a_hit(square):
        around = [(square[0] + dr, square[1] + dc) for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        return any(0 <= r < height and 0 <= c < width and map[r][c] == "X" for r, c in around)

    targets = [square for square in unknown if beside_a_hit(square)]
    return targets or [[r, c] for r, c in unknown if (r + c) % 2 == 0] or unknown
'''
REASON_PARITY = '''def reason(map):
    """Targets: unknown squares beside hits, those in line with two hits first; else squares of one colour."""
    height, width = len(map), len(map[0])

    def state(r, c):
        return map[r][c] if 0 <= r < height and 0 <= c < width else "O"

    best, targets = 0, []
    for r in range(height):
        for c in range(width):
            if map[r][c] != ".":
                continue
            value = 0
            for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if state(r + dr, c + dc) == "X":
                    value = max(value, 3 if state(r + 2 * dr, c + 2 * dc) == "X" else 2)
            if value == 0 and (r + c) % 2 == 0:
                value = 1
            if value > best:
                best, targets = value, []
            if value == best:
                targets.append([r, c])
    return targets
'''
ACT_PARITY = '''def act(map, plan):
    """Of the targets, the one with the most unknown squares around, in rows and columns up to 4 away."""
    height, width = len(map), len(map[0])

    def room(square):
        r, c = square
        total = 0
        for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            for k in range(1, 5):
                i, j = r + k * dr, c + k * dc
                if not (0 <= i < height and 0 <= j < width) or map[i][j] == "O":
                    break
                total += 1
        return total

    return max(plan, key=room)
'''


class Policy(Agent):
    """Proposes the same policy in each step. Subclasses set it.

    Attributes:
        policy: The source of the functions `reason` and `act`.
    """

    policy: ClassVar[Values]

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if the problem does not have Battleship's parameters, else None."""
        names = {p.name for p in problem.parameters}
        expected = set(cls.policy)
        return (
            None if names == expected else f"{cls.__name__} plays Battleship, whose parameters are {sorted(expected)}"
        )

    def run(self) -> ProposalLoop:
        """Proposes the policy in each step."""
        yield
        while True:
            yield dict(self.policy)


class Enumeration(Policy):
    """Fires at every square, row by row: hits 53.9 % of the ship squares on the 200 test boards.

    The Trace paper's baseline of this name also fires outside the board, see `EnumerationPublished`.
    """

    policy: ClassVar[Values] = {"reason": SCAN_REASON, "act": SCAN_ACT}


class HuntTarget(Policy):
    """Fires at neighbours of hits, those in line with two hits first; else at squares of one colour of a chessboard.

    Of these it takes the square with the most unknown squares around it. Hits 86.6 % of the ship squares on the 200
    test boards.
    """

    policy: ClassVar[Values] = {"reason": REASON_PARITY, "act": ACT_PARITY}


class EnumerationPublished(Policy):
    """The enumeration of the Trace paper's program, with its mistake: in each column it starts at the second row.

    So the last shot in each column is outside the board, which is a miss. Hits 47.9 % of the ship squares on the 200
    test boards. It counts its shots in a global variable, so it works in full games only; in `BattleshipOnline` it
    repeats its first shot.
    """

    policy: ClassVar[Values] = {"reason": NO_PLAN, "act": PUBLISHED_SCAN_ACT}


class Parity(Policy):
    """Fires at neighbours of hits; else at squares of one colour of a chessboard, row by row.

    Hits 77.3 % of the ship squares on the 200 test boards.
    """

    policy: ClassVar[Values] = {"reason": PLAIN_PARITY, "act": SCAN_ACT}


class Density(Policy):
    """Counts the placements that are still possible for the fleet: hits 95.6 % on the 200 test boards, the best known.

    It is the environment's reference solution, for the fleet in the environment's arguments.
    """

    policy: ClassVar[Values] = count_places((5, 4, 3, 3, 2))

    def run(self) -> ProposalLoop:
        """Proposes the policy for the problem's fleet in each step."""
        fleet = self.problem.arguments.get("fleet")
        policy = self.policy if fleet is None else count_places(fleet)
        yield
        while True:
            yield dict(policy)
