"""Battleship: two pieces of code that find a hidden fleet (the first experiment of the Trace paper)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core import OptoEnv, Parameters
from ..problems import Anchors, Evaluation, Feedback, Parameter, Part
from ..spaces import Code
from ..trace import ExecutionError, Node, node, operator
from ..utils.checks import at_least
from .drawing import scenes

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


LARGEST = 100
"""The most squares in a row, a column or a ship."""


def place(seed: int, width: int, height: int, fleet: Sequence[int]) -> list[list[bool]]:
    """Draws a board: True where a ship lies. Positions and directions are uniform, by rejection; ships may touch.

    Args:
        seed: The same seed gives the same board.
        width: Squares in a row.
        height: Squares in a column.
        fleet: Ship sizes, in squares.

    Raises:
        ValueError: If the fleet does not fit.
    """
    rng = np.random.default_rng(seed)
    for _ in range(100):
        board = [[False] * width for _ in range(height)]
        if all(_place_ship(board, size, rng) for size in fleet):
            return board
    raise ValueError(f"a fleet of {list(fleet)} does not fit on {height} x {width} squares")


def _place_ship(board: list[list[bool]], size: int, rng: np.random.Generator) -> bool:
    for _ in range(1000):
        down, row, column = bool(rng.integers(2)), int(rng.integers(len(board))), int(rng.integers(len(board[0])))
        cells = [(row + k, column) if down else (row, column + k) for k in range(size)]
        if all(i < len(board) and j < len(board[0]) and not board[i][j] for i, j in cells):
            for i, j in cells:
                board[i][j] = True
            return True
    return False


def count_places(fleet: Sequence[int]) -> dict[str, Any]:
    """Code that fires at the square which lies in the most positions that the ships of `fleet` can still have."""
    return {"reason": REASON_PLACES.replace("FLEET", repr(tuple(fleet))), "act": ACT_PLACES}


class Battleship(OptoEnv):
    """Find a hidden fleet with as few misses as possible.

    ## Description
    Two code parameters play one game. They see the board only as a map of hits and misses. In each turn `reason` gets
    the map; `act` gets the map and the value that `reason` returned, and returns the square to fire at. A hit grants
    another shot in the same turn; a miss ends the turn. The setting is that of the Trace paper (Cheng, Nie and
    Swaminathan, NeurIPS 2024, section 5.2 and its public experiment): 8 x 8 squares, ships of 5, 4, 3, 3 and 2 squares
    that may touch, 25 turns.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `reason` | `Code("reason(map)")` | returns `[0, 0]` |
    | `act` | `Code("act(map, plan)")` | returns nothing |

    `map` is a list of rows of `"."` (unknown), `"O"` (miss) and `"X"` (hit).

    ## Observation
    The graph of the game, shot by shot, and the feedback. They show the hidden board only at the squares that were
    fired at.

    ## Reward
    The score of the oracle call, which is the share of ship squares hit: 0 to 1, higher is better.

    ## Feedback
    * reward: "6 of 17 ship squares hit in 25 turns."
    * hindsight_positive: "Hits: [2, 3], [2, 4]."
    * hindsight_negative: "Misses: [0, 0].", "Illegal shots, each a lost turn: [8, 0] (outside the map of 8 rows and 8
      columns); [2, 3] (shot before) 4 times." An exception in the code ends the game with score 0: "Shot 3 raised
      (TypeError) cannot unpack non-iterable NoneType object [line 3: r, c = plan]"

    ## Start
    Call number n of an episode plays a new board, drawn from (episode seed, n).

    ## End
    After `oracle_calls` steps. An episode never terminates by success, since success on one board does not prove
    success on the next.

    ## Score and anchors
    The train split has 10^6 boards; the test split has 200 others, which no call draws. Linear scale, anchors of
    2026-11: the start values hit nothing (0); the best known code counts for each square the ways in which ships can
    cover it (`reference_solution`) and hits 95.6 % (1). For comparison, on the same boards: hunt-and-target that skips
    squares without room for a ship (the baseline `HuntTarget`) 86.6 %, plain hunt-and-target on squares of one colour
    (`Parity`) 77.3 %, a row scan (`Enumeration`) 53.9 %, the paper's scan with its off-by-one error
    (`EnumerationPublished`) 47.9 %, random legal shots 53.6 %; the code that the paper's optimizer learned hits about
    60 %.

    ## Arguments
    * `width`, `height`: the size of the board in squares; 8 and 8.
    * `fleet`: the ship sizes in squares; `(5, 4, 3, 3, 2)`.
    * `turns`: the number of turns in a game; 25.
    * `batch`: boards per oracle call; 1.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`, `test_seed`.

    ## Kind, cost and source
    A distribution of boards. An example is a number, the seed from which its board is drawn. An oracle call takes 15 to
    50 ms, the test split 4 to 12 s. The task uses no language model and no data set. Source: the paper's experiment,
    reimplemented from its description.

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = (
        "Change the code of reason and act so that the shots hit as many ship squares as possible on any board, within "
        "the given number of turns. A hit grants another shot in the same turn."
    )
    formats = (
        "The map is a list of rows, each a list of characters: '.' is unknown, 'O' a miss, 'X' a hit. A shot is "
        "[row, column], counted from 0."
    )
    scores = (0.0, 1.0)
    feedback_kinds: tuple[str, ...] = ("reward", "hindsight_positive", "hindsight_negative")
    splits: Mapping[str, Sequence[Any]] = {"train": range(10**6), "test": range(10**9, 10**9 + 200)}
    seeded_examples = True
    parameters = (
        Parameter("reason", Code("reason(map)"), START_REASON, "Analyses the map and makes a plan for act."),
        Parameter("act", Code("act(map, plan)"), START_ACT, "Selects the square to fire at, [row, column]."),
    )
    anchors = Anchors(0.0, 0.9559, "2026-11", "counting the places of ships, on the 200 test boards")

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
        if isinstance(fleet, str) or not isinstance(fleet, Sequence) or not fleet:
            raise ValueError(f"Battleship: expected fleet to be a list of one ship size or more, got {fleet!r}")
        at_least(1, width=width, height=height, turns=turns, **{f"fleet[{k}]": size for k, size in enumerate(fleet)})
        if max(width, height, *fleet) > LARGEST:
            raise ValueError(f"Battleship: expected sizes of at most {LARGEST}, got {max(width, height, *fleet)}")
        self.width, self.height, self.fleet, self.turns, self.batch = width, height, tuple(fleet), turns, batch
        self.squares = sum(self.fleet)
        place(0, width, height, self.fleet)  # raises if the fleet does not fit
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """Plays one game: the final map, and the feedback on all shots."""
        board = place(example, self.width, self.height, self.fleet)
        fire = self._fire(board)
        shots: list[Any] = []
        turn, hits, map = 0, 0, node(self._empty(), "map")
        try:
            while turn < self.turns and hits < self.squares:
                shot = p.act(map, p.reason(map))
                map = fire(map, shot)
                shots.append(shot.data)
                hits_before, hits = hits, sum(row.count(HIT) for row in map.data)
                turn += hits == hits_before
        except ExecutionError as e:
            error = f"Shot {len(shots) + 1} raised {e.exception_node.data}"
            return e.exception_node, self._feedback(
                example, board, shots, 0, "The code raised an error: score 0.", error
            )
        return map, self._feedback(
            example, board, shots, hits, f"{hits} of {self.squares} ship squares hit in {turn} turns."
        )

    def _empty(self) -> Map:
        return [[UNKNOWN] * self.width for _ in range(self.height)]

    def _fire(self, board: list[list[bool]]) -> Any:
        @operator
        def fire(map: Map, shot: Any) -> Map:
            """Fires at shot = [row, column] and marks the map: X where it hits a ship, O where it hits water.

            A shot outside the map, at a square shot before, or that is no [row, column] marks nothing: a miss.
            """
            new = [row.copy() for row in map]
            if self._illegal_reason(map, shot) is None:
                row, column = shot
                new[row][column] = HIT if board[row][column] else MISS
            return new

        return fire

    def _illegal_reason(self, map: Map, shot: Any) -> str | None:
        """Why a shot is illegal, as the feedback says it; None for a legal shot."""
        if not isinstance(shot, list) or len(shot) != 2 or any(type(x) is not int for x in shot):
            return f"{shot!r:.60} (expected [row, column], two whole numbers)"
        if not (0 <= shot[0] < self.height and 0 <= shot[1] < self.width):
            return f"{shot} (outside the map of {self.height} rows and {self.width} columns)"
        if map[shot[0]][shot[1]] != UNKNOWN:
            return f"{shot} (shot before)"
        return None

    def _feedback(
        self, seed: int, board: list[list[bool]], shots: list[Any], hits: int, result: str, error: str = ""
    ) -> Feedback:
        known = self._empty()
        legal: list[list[int]] = []
        illegal: dict[str, int] = {}  # how often, by reason
        for shot in shots:
            reason = self._illegal_reason(known, shot)
            if reason is None:
                self._mark(known, board, shot)
                legal.append(shot)
            else:
                illegal[reason] = illegal.get(reason, 0) + 1
        parts = [Part("reward", result)]
        for kind, name, ship in (("hindsight_positive", "Hits", True), ("hindsight_negative", "Misses", False)):
            squares = [str([r, c]) for r, c in legal if board[r][c] == ship]
            if squares:
                parts.append(Part(kind, f"{name}: {', '.join(squares)}."))
        if illegal:
            some = "; ".join(f"{reason}{f' {n} times' if n > 1 else ''}" for reason, n in list(illegal.items())[:6])
            more = f"; and {len(illegal) - 6} other shots" if len(illegal) > 6 else ""
            parts.append(Part("hindsight_negative", f"Illegal shots, each a lost turn: {some}{more}."))
        if error:
            parts.append(Part("hindsight_negative", error))
        played = {"board": seed, "shots": legal}
        return Feedback(hits / self.squares, tuple(parts), hits == self.squares, metrics=played)

    def _mark(self, map: Map, board: list[list[bool]], shot: Sequence[int]) -> None:
        map[shot[0]][shot[1]] = HIT if board[shot[0]][shot[1]] else MISS

    def _map_after(self, board: list[list[bool]], shots: Sequence[Sequence[int]]) -> Map:
        """The map after legal shots on an unknown board."""
        map = self._empty()
        for shot in shots:
            self._mark(map, board, shot)
        return map

    def reference_solution(self) -> dict[str, Any]:
        """The code of `count_places`."""
        return count_places(self.fleet)

    def render_text(self) -> str:
        """The map after the last game played, and the number of hits."""
        _, map, _, title = self._last_game()
        return "\n".join(" ".join(row) for row in map) + f"\n{title}\n"

    def render_image(self) -> scenes.Picture:
        """The board of the last game played, with its shots in order."""
        board, map, shots, title = self._last_game()
        return scenes.battleship(board, map, {(r, c): k for k, (r, c) in enumerate(shots, 1)}, title)

    def _last_game(self) -> tuple[list[list[bool]], Map, list[list[int]], str]:
        """The last game played: (board, map after it, legal shots, title)."""
        assert self.last is not None
        played = self.last.metrics or {"board": self._board_of(self.last.per_example[-1].example), "shots": []}
        board, shots = place(played["board"], self.width, self.height, self.fleet), played["shots"]
        map = self._map_after(board, shots)
        hits = sum(row.count(HIT) for row in map)
        return board, map, shots, f"{hits} of {self.squares} ship squares hit with {len(shots)} shots"

    def _board_of(self, example: Any) -> int:
        return int(self.splits["train"][example])


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
    1 for a hit; 0 for a miss, an illegal shot or an error. On the test split, the share of ship squares hit.

    ## Feedback
    * reward: "Got 1 reward."
    * hindsight_negative: "Illegal shot: [0, 0] (shot before).", or the error.

    ## Start
    The first board is drawn from the episode's seed. Call 0 fires the shot of the start values at it.

    ## End
    After `oracle_calls` steps. The episode goes on when the fleet is sunk: the next call draws a new board from
    (episode seed, call).

    ## Score and anchors
    As for `Battleship`: 200 test boards, anchors of 2026-11. The train split has 10^6 other boards.

    ## Arguments
    * `width`, `height`, `fleet`, `turns`: as for `Battleship`. There is no `batch`.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`, `test_seed`.

    ## Kind, cost and source
    A distribution of boards. An example is the state of a board, `{"board": number, "shots": [[row, column], ...]}`, or
    the number of a board, on which a full game is played, as in the test split. An oracle call takes 5 to 11 ms. The
    task uses no language model and no data set. The paper does not count a call whose code raises; here it counts, and
    the board stays as it was.

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
        """The board in its state after the last call; a new board where there is none, or where its fleet is sunk."""
        if last and not self._sunk(last):
            return [dict(last)]
        boards = np.random.default_rng([seed, call]).integers(10**6, size=1)
        return [{"board": int(boards[0]), "shots": []}]

    def forward(self, p: Parameters, example: Any) -> Any:
        """Fires one shot; plays a full game where the example is the number of a board, as in the test split."""
        if not isinstance(example, dict):
            return super().forward(p, example)
        board = place(example["board"], self.width, self.height, self.fleet)
        known = self._map_after(board, example["shots"])
        map = node(known, "map")
        shot = p.act(map, p.reason(map))
        result: Node = self._fire(board)(map, shot)
        illegal = self._illegal_reason(known, shot.data)
        hit = illegal is None and board[shot.data[0]][shot.data[1]]
        parts = [Part("reward", f"Got {int(hit)} reward.")]
        if illegal:
            parts.append(Part("hindsight_negative", f"Illegal shot: {illegal}."))
        after = {"board": example["board"], "shots": example["shots"] if illegal else [*example["shots"], shot.data]}
        return result, Feedback(float(hit), tuple(parts), metrics=after)

    def evaluate(
        self,
        parameters: Mapping[str, Any],
        *,
        split: str = "train",
        examples: Sequence[Any] | None = None,
        seed: int | None = None,
    ) -> Evaluation:
        """As `OptoEnv.evaluate`; where the code raises, the metrics hold the board as it was before the call."""
        result = super().evaluate(parameters, split=split, examples=examples, seed=seed)
        before = result.per_example[-1].example
        if result.error and isinstance(before, dict):
            return dataclasses.replace(result, metrics=dict(before))
        return result

    def _sunk(self, state: Mapping[str, Any]) -> bool:
        board = place(state["board"], self.width, self.height, self.fleet)
        return bool(sum(board[row][column] for row, column in state["shots"]) == self.squares)

    def _board_of(self, example: Any) -> int:
        return int(example["board"]) if isinstance(example, dict) else super()._board_of(example)


REASON_PLACES = '''def reason(map):
    """For each square, how much of the fleet could lie there: places with more hits count threefold for each."""
    height, width = len(map), len(map[0])
    weight = [[0] * width for _ in range(height)]
    for size in FLEET:
        for dr, dc in ((0, 1), (1, 0)):
            for r in range(height - dr * (size - 1)):
                for c in range(width - dc * (size - 1)):
                    squares = [(r + dr * k, c + dc * k) for k in range(size)]
                    states = [map[i][j] for i, j in squares]
                    if "O" not in states:
                        for i, j in squares:
                            weight[i][j] += 3 ** states.count("X")
    return weight
'''
ACT_PLACES = '''def act(map, plan):
    """The unknown square of the greatest weight."""
    unknown = [[r, c] for r, row in enumerate(map) for c, square in enumerate(row) if square == "."]
    return max(unknown, key=lambda square: plan[square[0]][square[1]])
'''
