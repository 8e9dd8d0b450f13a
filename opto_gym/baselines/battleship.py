"""Battleship's specialists: fixed policies, proposed as code."""

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
    """Proposes one fixed policy, again and again."""

    policy: ClassVar[Values]

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Why not: only Battleship's parameters will do."""
        names = {p.name for p in problem.parameters}
        wanted = set(cls.policy)
        return None if names == wanted else f"{cls.__name__} plays Battleship, with the parameters {sorted(wanted)}"

    def run(self) -> ProposalLoop:
        """Proposes the policy."""
        yield
        while True:
            yield dict(self.policy)


class Enumeration(Policy):
    """Fires at every square, row by row: 53.9 % of the ship squares on the 200 test boards.

    The Trace paper's baseline of this name leaves the board: `EnumerationPublished`.
    """

    policy: ClassVar[Values] = {"reason": SCAN_REASON, "act": SCAN_ACT}


class HuntTarget(Policy):
    """Hunts on squares of one colour where ships have room, and targets the neighbours of hits, in line first.

    86.6 % of the ship squares on the 200 test boards.
    """

    policy: ClassVar[Values] = {"reason": REASON_PARITY, "act": ACT_PARITY}


class EnumerationPublished(Policy):
    """The Trace paper's enumeration with its slip: column by column, but in each from the second row on.

    So the last shot at each column leaves the board, a miss: 47.9 % of the ship squares on the 200 test boards. It
    counts its shots itself and so plays full games only; of `BattleshipOnline` it fires the first shot again and again.
    """

    policy: ClassVar[Values] = {"reason": NO_PLAN, "act": PUBLISHED_SCAN_ACT}


class Parity(Policy):
    """Hunts on squares of one colour, row by row, and targets the neighbours of hits.

    77.3 % of the ship squares on the 200 test boards.
    """

    policy: ClassVar[Values] = {"reason": PLAIN_PARITY, "act": SCAN_ACT}


class Density(Policy):
    """Counts the places that the fleet could still take: 95.6 % on the 200 test boards, the best known.

    This is the environment's reference solution, for the fleet of its arguments.
    """

    policy: ClassVar[Values] = count_places((5, 4, 3, 3, 2))

    def run(self) -> ProposalLoop:
        """Proposes the policy for the problem's fleet."""
        fleet = self.problem.arguments.get("fleet")
        policy = self.policy if fleet is None else count_places(fleet)
        yield
        while True:
            yield dict(policy)
