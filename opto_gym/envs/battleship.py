"""Battleship: two pieces of code that find a hidden fleet (the first experiment of the Trace paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core import Anchors, Feedback, OptoEnv, Parameter, Parameters, Part
from ..spaces import Code
from ..trace import Node, node, operator

UNKNOWN, MISS, HIT = ".", "O", "X"
Map = list[list[str]]

START_REASON = '''def reason(map):
    """Analyses the map: '.' is unknown, 'O' a miss, 'X' a hit. What it returns is given to act as its plan."""
    return [0, 0]
'''
START_ACT = '''def act(map, plan):
    """Selects the square to fire at next, [row, column], counted from 0."""
    return
'''


def place(seed: int, width: int, height: int, fleet: Sequence[int]) -> list[list[bool]]:
    """A board: True where a ship lies. Places and directions by rejection, uniform; ships may touch.

    Raises:
        ValueError: If the fleet does not fit.
    """
    rng = np.random.default_rng(seed)
    for _ in range(100):
        board = [[False] * width for _ in range(height)]
        if all(_put(board, size, rng) for size in fleet):
            return board
    raise ValueError(f"a fleet of {list(fleet)} does not fit on {height} x {width} squares")


def _put(board: list[list[bool]], size: int, rng: np.random.Generator) -> bool:
    for _ in range(1000):
        down, row, column = bool(rng.integers(2)), int(rng.integers(len(board))), int(rng.integers(len(board[0])))
        cells = [(row + k, column) if down else (row, column + k) for k in range(size)]
        if all(i < len(board) and j < len(board[0]) and not board[i][j] for i, j in cells):
            for i, j in cells:
                board[i][j] = True
            return True
    return False


class Battleship(OptoEnv):
    """Find a hidden fleet with as few misses as possible.

    ## Description
    Two code parameters play one game on a board that they see only as a map of hits and misses: each turn `reason` gets
    the map, and `act` gets the map and what `reason` returned, and names the square to fire at. A hit grants another
    shot in the same turn, a miss ends the turn. The setting is that of the Trace paper (Cheng, Nie and Swaminathan,
    NeurIPS 2024, section 5.2 and its public experiment): 8 x 8 squares, ships of 5, 4, 3, 3 and 2 squares that may
    touch, 25 turns.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `reason` | `Code("reason(map)")` | returns `[0, 0]` |
    | `act` | `Code("act(map, plan)")` | returns nothing |

    `map` is a list of rows of `"."` (unknown), `"O"` (miss) and `"X"` (hit).

    ## Observation
    The graph of the game, shot by shot, and the feedback.

    ## Reward
    The score of the oracle call: the share of ship squares hit, 0 to 1; higher is better.

    ## Feedback
    * reward: "6 of 17 ship squares hit in 25 turns."
    * hindsight_positive: "Hits: [2, 3], [2, 4]."
    * hindsight_negative: "Misses: [0, 0]." and "Illegal shots, each a lost turn: None (expected [row, column])"; or the
      error: "(TypeError) 'NoneType' object is not subscriptable [line 3: r, c = plan]"

    ## Start
    Call number n of an episode plays a new board, drawn from (episode seed, n).

    ## End
    After `oracle_calls` steps; never by success, since one won board proves nothing about the next.

    ## Score and anchors
    Test is 200 fixed boards that no call ever draws. Linear scale: the start values hit nothing (0); the best known is
    hunt-and-target on parity and room (`reference_solution`), which hits 86.6 %. For comparison: a row scan hits 54 %,
    random shots 39 %, the code that the paper's optimizer learned about 60 %.

    ## Arguments
    * `width`, `height`: squares, 8 and 8.
    * `fleet`: ship sizes, `(5, 4, 3, 3, 2)`.
    * `turns`: 25.
    * `batch`: boards an oracle call, 1.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`).

    ## Kind, cost and source
    A distribution (boards). An oracle call takes about 15 to 30 ms, the test split 3 to 6 s; no language model, no
    data set. Source: the paper's experiment, re-made from its description.

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = (
        "Change the code of reason and act so that the shots hit as many ship squares as possible on any board, within "
        "the given number of turns. A hit grants another shot in the same turn."
    )
    scores = (0.0, 1.0)
    feedback_kinds: tuple[str, ...] = ("reward", "hindsight_positive", "hindsight_negative")
    splits: Mapping[str, Sequence[Any]] = {"train": range(10**6), "test": range(10**9, 10**9 + 200)}
    parameters = (
        Parameter("reason", Code("reason(map)"), START_REASON, "Analyses the map and makes a plan for act."),
        Parameter("act", Code("act(map, plan)"), START_ACT, "Selects the square to fire at, [row, column]."),
    )
    anchors = Anchors(0.0, 0.8659, "2026-11", "hunt-and-target on parity and room, 200 test boards")

    def __init__(
        self,
        *,
        width: int = 8,
        height: int = 8,
        fleet: Sequence[int] = (5, 4, 3, 3, 2),
        turns: int = 25,
        batch: int = 1,
        **keywords: Any,
    ) -> None:
        self.width, self.height, self.fleet, self.turns, self.batch = width, height, tuple(fleet), turns, batch
        if min(width, height, turns, batch, *self.fleet) < 1:
            raise ValueError("Battleship: expected width, height, turns, batch and ship sizes of at least 1")
        self.squares = sum(self.fleet)
        place(0, width, height, self.fleet)  # says at once if the fleet does not fit
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """One game."""
        board = place(example, self.width, self.height, self.fleet)
        fire = self._fire(board)
        shots: list[Any] = []
        turn, hits, map = 0, 0, node(self._empty(), "map")
        while turn < self.turns and hits < self.squares:
            shot = p.act(map, p.reason(map))
            map = fire(map, shot)
            shots.append(shot.data)
            now = sum(row.count(HIT) for row in map.data)
            turn += now == hits
            hits = now
        return map, self._said(board, shots, hits, turn)

    def _empty(self) -> Map:
        return [[UNKNOWN] * self.width for _ in range(self.height)]

    def _fire(self, board: list[list[bool]]) -> Any:
        @operator
        def fire(map: Map, shot: Any) -> Map:
            """Fires at shot = [row, column] and marks the map: X where it hits a ship, O where it hits water.

            A shot outside the map, at a square shot before, or that is no [row, column] marks nothing: a miss.
            """
            new = [row.copy() for row in map]
            if self._illegal(map, shot) is None:
                row, column = shot
                new[row][column] = HIT if board[row][column] else MISS
            return new

        return fire

    def _illegal(self, map: Map, shot: Any) -> str | None:
        """Why a shot does not count, or None."""
        if not isinstance(shot, list) or len(shot) != 2 or any(type(x) is not int for x in shot):
            return f"{shot!r:.60} (expected [row, column], two whole numbers)"
        if not (0 <= shot[0] < self.height and 0 <= shot[1] < self.width):
            return f"{shot} (outside the map of {self.height} rows and {self.width} columns)"
        if map[shot[0]][shot[1]] != UNKNOWN:
            return f"{shot} (shot before)"
        return None

    def _said(self, board: list[list[bool]], shots: list[Any], hits: int, turns: int) -> Feedback:
        map = self._empty()
        good: list[str] = []
        bad: list[str] = []
        illegal: list[str] = []
        for shot in shots:
            why = self._illegal(map, shot)
            if why is not None:
                illegal.append(why)
                continue
            row, column = shot
            map[row][column] = HIT if board[row][column] else MISS
            (good if board[row][column] else bad).append(str(shot))
        parts = [Part("reward", f"{hits} of {self.squares} ship squares hit in {turns} turns.")]
        if good:
            parts.append(Part("hindsight_positive", f"Hits: {', '.join(good)}."))
        if bad:
            parts.append(Part("hindsight_negative", f"Misses: {', '.join(bad)}."))
        if illegal:
            kinds = {why: illegal.count(why) for why in illegal}
            some = "; ".join(f"{why}{f' {n} times' if n > 1 else ''}" for why, n in list(kinds.items())[:6])
            parts.append(Part("hindsight_negative", f"Illegal shots, each a lost turn: {some}."))
        return Feedback(hits / self.squares, tuple(parts), hits == self.squares)

    def reference_solution(self) -> dict[str, Any]:
        """Hunt-and-target on parity and room."""
        return {"reason": REASON_PARITY, "act": ACT_PARITY}

    def render(self) -> Any:
        """The last call's game as a picture (uint8, height x width x 3) or as text."""
        if self.last is None or self.render_mode is None:
            return None
        shots = [n.inputs[1] for n in self.last.graph.nodes if self.last.graph.operators[n.operator].name == "fire"]
        moves = [self.last.graph.nodes[i].value if isinstance(i, int) else i.value for i in shots]
        board, first = self._rendered_board()
        map = first
        order: dict[tuple[int, int], int] = {}
        for k, shot in enumerate(moves, 1):
            if self._illegal(map, shot) is None:
                map[shot[0]][shot[1]] = HIT if board[shot[0]][shot[1]] else MISS
                order[shot[0], shot[1]] = k
        if self.render_mode == "ansi":
            return "\n".join(" ".join(row) for row in map) + f"\n{self.last.score:.3f} of the ship squares hit\n"
        from .pictures import battleship

        return battleship(board, map, order, f"{self.last.score:.0%} of the ship squares hit, {len(moves)} shots")

    def _rendered_board(self) -> tuple[list[list[bool]], Map]:
        """The board of the last call's last example, and the map before it."""
        assert self.last is not None
        which = self.last.per_example[-1].example
        example = self.splits["train"][which] if type(which) is int else which
        return place(example, self.width, self.height, self.fleet), self._empty()


class BattleshipOnline(Battleship):
    """Battleship one shot at a time: the training protocol of the Trace paper.

    ## Description
    As `Battleship`, but an oracle call fires one shot at a board that lives on from call to call, until the fleet is
    sunk; then a new board begins. Test is `Battleship`'s: 200 full games.

    ## Parameters (action space)
    As `Battleship`.

    ## Observation
    The graph of one shot, and the feedback on it.

    ## Reward
    1 for a hit, 0 for a miss, an illegal shot or an error; on test the share of ship squares hit.

    ## Feedback
    * reward: "Got 1 reward."
    * hindsight_negative: "[0, 0] (shot before)", or the error.

    ## Start
    The first board is drawn from the episode's seed; call 0 fires the start values' shot at it.

    ## End
    After `oracle_calls` steps.

    ## Score and anchors
    As `Battleship`, on test.

    ## Arguments
    As `Battleship`, without `batch`.

    ## Kind, cost and source
    A distribution (boards). An oracle call takes about 5 ms. The paper does not count a try whose code raises; here it
    is a call, and the board stays as it was.

    ## Version history
    * v0: first version.
    """

    objective = (
        "Change the code of reason and act so that each shot hits a ship square of the board at hand. A hit earns 1, a "
        "miss 0."
    )
    feedback_kinds = ("reward", "hindsight_negative")

    def __init__(self, **keywords: Any) -> None:
        if "batch" in keywords:
            raise TypeError("BattleshipOnline: an oracle call fires one shot, there is no argument batch")
        super().__init__(**keywords)

    def draw(self, seed: int, call: int, last: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """The board as the call before left it, or a new one."""
        if last and "shots" in last:
            return [{"board": last["board"], "shots": last["shots"]}]
        boards = np.random.default_rng([seed, call]).integers(10**6, size=1)
        return [{"board": int(boards[0]), "shots": []}]

    def forward(self, p: Parameters, example: Any) -> Any:
        """One shot, or a full game where the example is a board's number (as on test)."""
        if not isinstance(example, dict):
            return super().forward(p, example)
        board = place(example["board"], self.width, self.height, self.fleet)
        known = self._map(board, example["shots"])
        map = node(known, "map")
        shot = p.act(map, p.reason(map))
        result: Node = self._fire(board)(map, shot)
        why = self._illegal(known, shot.data)
        hit = why is None and board[shot.data[0]][shot.data[1]]
        shots = example["shots"] if why else [*example["shots"], shot.data]
        parts = [Part("reward", f"Got {int(hit)} reward.")]
        if why:
            parts.append(Part("hindsight_negative", why))
        done = sum(row.count(HIT) for row in result.data) == self.squares
        state = {} if done else {"board": example["board"], "shots": shots}
        return result, Feedback(float(hit), tuple(parts), metrics=state)

    def evaluate(self, *args: Any, **keywords: Any) -> Any:
        """As `OptoEnv.evaluate`; where the code raises, the board stays as it was."""
        result = super().evaluate(*args, **keywords)
        example = result.per_example[-1].example
        if result.error and isinstance(example, dict):
            result.metrics.update(example)  # type: ignore[attr-defined]
        return result

    def _map(self, board: list[list[bool]], shots: Sequence[Sequence[int]]) -> Map:
        map = self._empty()
        for row, column in shots:
            map[row][column] = HIT if board[row][column] else MISS
        return map

    def _rendered_board(self) -> tuple[list[list[bool]], Map]:
        assert self.last is not None
        example = self.last.per_example[-1].example
        if not isinstance(example, dict):
            return super()._rendered_board()
        board = place(example["board"], self.width, self.height, self.fleet)
        return board, self._map(board, example["shots"])


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
