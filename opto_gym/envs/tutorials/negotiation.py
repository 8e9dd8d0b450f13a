"""Negotiation: two players trade by plans in words (a task of the Trace library's tutorials, reimplemented)."""

from __future__ import annotations

import functools
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import OptoEnv, Parameters
from ...problems import Anchors, Feedback, Parameter, Part
from ...reading.actions import read_action
from ...spaces import Prompt
from ...trace import node, operator
from ..drawing import scenes
from ..questions.asking import reply_text

if TYPE_CHECKING:
    from ...llm import Answer

NAMES = ("Alice", "Bob")

RESOURCES = ("wood", "stone", "gold")

PLAYERS = ("rules", "model")

TURNS = 20

END, ACCEPT, REJECT = "end", "accept", "reject"

START = "Collect nothing in particular."

RULES = f"""You are a player in a trading game of two, Alice and Bob, who take turns. Each has {", ".join(RESOURCES)}.
n pieces of one resource are worth n * n points, and both players want the sum of all points as high as possible.
In your turn, answer with one JSON object and nothing else:
{{"action": "offer", "give": "wood", "get": "gold", "quantity": 2}} to offer 2 pieces of wood for 2 of gold,
{{"action": "accept"}} to accept the offer made to you, {{"action": "reject"}} to reject it,
{{"action": "end"}} if you want no more trades. The game ends when both say so, one after the other."""

Inventory = dict[str, int]

Game = dict[str, Any]
"""The state of a game as plain data: inventories, turn, offer, refused offers, and how many players in a row ended."""

Action = dict[str, Any]
"""``{"action": "offer" | "accept" | "reject" | "end", ...}``, as `RULES` describes it."""


# ------------------------------------------------------------------ the game
def new_game(inventories: tuple[tuple[int, ...], ...]) -> Game:
    """The start of a game: it is Alice's turn, and there is no offer.

    Args:
        inventories: The wood, stone and gold of Alice and of Bob.
    """
    named = {name: dict(zip(RESOURCES, row, strict=True)) for name, row in zip(NAMES, inventories, strict=True)}
    return {"inventories": named, "turn": NAMES[0], "offer": None, "refused": [], "ended": 0}


def other(name: str) -> str:
    """The name of the other player."""
    return NAMES[1 - NAMES.index(name)]


def is_possible(game: Game, action: Action) -> bool:
    """Whether the player whose turn it is can take an action."""
    kind = action.get("action")
    if kind == "offer":
        give, get, quantity = (action.get(k) for k in ("give", "get", "quantity"))
        if give not in RESOURCES or get not in RESOURCES or give == get or type(quantity) is not int:
            return False
        mine, theirs = game["inventories"][game["turn"]], game["inventories"][other(game["turn"])]
        return bool(1 <= quantity <= min(mine[give], theirs[get]))
    return kind == END or (kind in (ACCEPT, REJECT) and game["offer"] is not None)


def next_state(game: Game, action: Action) -> Game:
    """The game after an action. An action that is not possible counts as ``end``."""
    kind = action["action"] if is_possible(game, action) else END
    me, you = game["turn"], other(game["turn"])
    inventories, refused = game["inventories"], game["refused"]
    if kind == ACCEPT:
        offer = game["offer"]
        give, get, n = offer["give"], offer["get"], offer["quantity"]
        mine, yours = inventories[me], inventories[you]
        inventories = {
            you: {**yours, give: yours[give] - n, get: yours[get] + n},
            me: {**mine, give: mine[give] + n, get: mine[get] - n},
        }
        refused = []  # after a trade, a player may accept what it refused before
    elif game["offer"] is not None:
        refused = [*refused, [you, game["offer"]["give"], game["offer"]["get"]]]
    return {
        "inventories": {name: inventories[name] for name in NAMES},
        "turn": you,
        "offer": action if kind == "offer" else None,
        "refused": refused,
        "ended": game["ended"] + 1 if kind == END else 0,
    }


def total_points(game: Game) -> int:
    """The sum of both players' points."""
    return sum(n * n for inventory in game["inventories"].values() for n in inventory.values())


def max_points(inventories: tuple[tuple[int, ...], ...]) -> int:
    """The highest sum of points that trades of equal quantities can lead to."""
    mine, theirs = inventories
    totals = [a + b for a, b in zip(mine, theirs, strict=True)]
    ways = itertools.product(*(range(n + 1) for n in totals))
    return max(
        sum(k * k + (n - k) ** 2 for k, n in zip(way, totals, strict=True)) for way in ways if sum(way) == sum(mine)
    )


# ------------------------------------------------------------------ players by rules
def named_resources(plan: str) -> list[str]:
    """The resources that a plan names, in the order of their first mention."""
    found = re.findall(rf"\b({'|'.join(RESOURCES)})\b", plan.lower())
    return list(dict.fromkeys(found))


def rule_based_action(plan: str, game: Game) -> Action:
    """The action of a player by rules, who prefers resources in the order in which the plan names them.

    Resources that the plan does not name come last and are equal.
    """
    me = game["turn"]
    mine, theirs = game["inventories"][me], game["inventories"][other(me)]
    wants = named_resources(plan)
    rank = {r: wants.index(r) if r in wants else len(RESOURCES) for r in RESOURCES}
    if game["offer"] is not None:
        return {"action": ACCEPT if rank[game["offer"]["give"]] < rank[game["offer"]["get"]] else REJECT}
    for get in wants:
        for give in sorted(RESOURCES, key=lambda r: -rank[r]):
            quantity = min(mine[give], theirs[get])
            if rank[get] < rank[give] and quantity and [me, give, get] not in game["refused"]:
                return {"action": "offer", "give": give, "get": get, "quantity": quantity}
    return {"action": END}


PLANS = tuple(f"Collect {', then '.join(p)}." for n in (1, 2, 3) for p in itertools.permutations(RESOURCES, n))


@functools.lru_cache(256)
def best_plans(inventories: tuple[tuple[int, ...], ...]) -> tuple[int, str, str]:
    """(points, Alice's plan, Bob's plan) of the best plans for players by rules, found by trying all of `PLANS`."""

    def points_of(plans: tuple[str, ...]) -> int:
        game = new_game(inventories)
        for _ in range(TURNS):
            game = next_state(game, rule_based_action(plans[NAMES.index(game["turn"])], game))
            if game["ended"] == 2:
                break
        return total_points(game)

    alice, bob = max(itertools.product(PLANS, repeat=2), key=points_of)
    return points_of((alice, bob)), alice, bob


@functools.lru_cache(256)
def draw_inventories(problem: int) -> tuple[tuple[int, ...], ...]:
    """Draws each player's wood, stone and gold.

    Plans can reach the highest sum of points, which is at least 1.5 times that of the start.

    Args:
        problem: The number of the problem; equal numbers give equal inventories.
    """
    rng = np.random.default_rng([20240705, problem])
    while True:
        inventories = tuple(tuple(int(n) for n in row) for row in rng.integers(0, 7, size=(2, 3)))
        best, start = max_points(inventories), total_points(new_game(inventories))
        if start > 0 and best >= 1.5 * start and best_plans(inventories)[0] == best:
            return inventories


class Negotiation(OptoEnv):
    """Give two traders plans that make them both rich.

    ## Description
    Alice and Bob have wood, stone and gold; n pieces of one resource are worth n² points to their owner. In turns they
    offer trades of equal quantities, accept, reject, or end the trading. Each follows a plan in words, which is a
    parameter. The task follows the negotiation arena of the Trace library's tutorials (github.com/microsoft/Trace).
    There, GPT-4 plays both players on one pair of private inventories, and a table gives the points. Here, the players
    follow rules unless `players="model"`, they see both inventories, which are drawn by seed, and an action that is not
    possible counts as ending the trading.

    Players by rules prefer resources (wood, stone, gold) in the order in which their plan names them, and want the
    others least, equally. They accept an offer if they want what they get more than what they give. They offer what
    they want least for what they want most, in the largest quantity that both have, until every such offer is refused.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `alice` | `Prompt(1000)` | "Collect nothing in particular." |
    | `bob` | `Prompt(1000)` | "Collect nothing in particular." |

    ## Observation
    The graph of the game, turn by turn (plan, action, inventories), and the feedback.

    ## Reward
    The score, which is the points of both players at the end as a share of the highest possible sum; higher is better.

    ## Feedback
    * reward: "Alice and Bob have 197 points together, of 197 possible."
    * hindsight_positive: "Trades: Alice gave 6 wood for 6 stone."
    * hindsight_negative: "Refused: Alice offered to give 2 stone for 2 gold. Not possible: Bob wanted to accept."
    * future_negative: "Both hold wood: Alice 6, Bob 1. Divided resources are worth less."

    ## Start
    Plans that name no resource. With players by rules, nobody trades.

    ## End
    When all possible points are reached, or after `oracle_calls` steps. A game ends when both players end trading, one
    after the other, or after 20 turns.

    ## Score and anchors
    One case: test is train. Linear scale, anchors of 2026-11: 0 is the score of the start values (0.50 to 0.67 for the
    problems 0 to 99); 1 is score 1, which the best plans reach with players by rules (found by trying all orders of the
    resources). For players by a model no best plans are known.

    ## Arguments
    * `problem`: the number of the inventories, 0 to 99; 0.
    * `players`: `"rules"` or `"model"`; `"rules"`. With `"model"`, the environment's language model plays both players
      at temperature 0. It gets the rules of the game, the player's plan, both inventories and the offer. The
      environment is then nondeterministic.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`. No `test_seed`.

    ## Kind, cost and source
    An instance; an example is None, since a game has no randomness. An oracle call takes 0.5 ms with players by rules,
    else 2 to 20 calls of the model. The task uses no data set. Source: the tutorial, from its description.

    ## Version history
    * v1: of several actions in a model's answer the last counts, and its reasoning is left out; arguments in an object
      of their own are read; an action that the answer's end by length touches does not count. Players by rules play as
      in v0.
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = (
        "Change the plans of Alice and Bob so that their trades lead to as many points as possible: n pieces of one "
        "resource (wood, stone, gold) in one hand are worth n * n points. A plan says which resources to collect."
    )
    scores = (0.0, 1.0)
    splits = {"train": (None,), "test": (None,)}
    feedback_kinds = ("reward", "hindsight_positive", "hindsight_negative", "future_negative")
    parameters = (
        Parameter("alice", Prompt(1000), START, "Alice's plan: which resources to collect, the most wanted first."),
        Parameter("bob", Prompt(1000), START, "Bob's plan: which resources to collect, the most wanted first."),
    )
    anchors = Anchors(None, 1.0, "2026-11", "the best plans, by trying all orders of the resources")
    ends_when_solved = True
    instance = True

    def __init__(self, *, problem: int = 0, players: str = "rules", **keywords: Any) -> None:
        if type(problem) is not int or not 0 <= problem < 100:
            raise ValueError(f"Negotiation: expected a problem from 0 to 99, got {problem!r}")
        if players not in PLAYERS:
            raise ValueError(f"Negotiation: expected players of {PLAYERS}, got {players!r}")
        self.inventories = draw_inventories(problem)
        self.players = players
        self.uses_model = self.nondeterministic = players == "model"
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """Plays one game."""
        decide = self._by_model() if self.players == "model" else self._by_rules()

        @operator
        def play(game: Game, action: Action) -> Game:
            """The game after the action; one that is not possible counts as `end`."""
            return next_state(game, action)

        @operator
        def points(game: Game) -> int:
            """The points of both players: n * n for n pieces of one resource in one hand."""
            return total_points(game)

        game = node(new_game(self.inventories), "game")
        actions: list[tuple[Game, Action]] = []
        while len(actions) < TURNS and game.data["ended"] < 2:
            action = decide(p.alice if game.data["turn"] == "Alice" else p.bob, game)
            actions.append((game.data, action.data))
            game = play(game, action)
        output = points(game)
        return output, self._feedback(actions, game.data)

    def _by_rules(self) -> Any:
        @operator
        def decide(plan: str, game: Game) -> Action:
            """What the player does whose turn it is, who wants the resources that the plan names, the first the most.

            Accepts what is wanted more than what it costs; offers what is wanted least for what is wanted most.
            """
            return rule_based_action(plan, game)

        return decide

    def _by_model(self) -> Any:
        @operator
        def decide(plan: str, game: Game) -> Action:
            """What a language model does as the player whose turn it is, given the rules, its plan and the game."""
            situation = f"You are {game['turn']}. Your plan: {plan}\nInventories: {json.dumps(game['inventories'])}\n"
            offer = game["offer"] and f"{other(game['turn'])} offers to {_deal(game['offer'])}"
            messages = [
                {"role": "system", "content": RULES},
                {"role": "user", "content": f"{situation}The offer to you: {offer or 'none'}. Your action:"},
            ]
            answer = self.llm.chat(messages, max_tokens=100, temperature=0.0)
            return self.read_action(answer)

        return decide

    def read_action(self, answer: Answer) -> Action:
        """The action in a model's answer; an empty dictionary if there is none."""
        return read_action(reply_text(answer), cut=answer.cut())

    def _feedback(self, actions: list[tuple[Game, Action]], game: Game) -> Feedback:
        points, best = total_points(game), max_points(self.inventories)
        parts = [Part("reward", f"Alice and Bob have {points} points together, of {best} possible.")]
        trades, refused, impossible = [], [], []
        for before, action in actions:
            who, kind = before["turn"], action.get("action", "")[:20]
            if not is_possible(before, action):
                impossible.append(f"{who} wanted to {_deal(action) if kind == 'offer' else kind or 'do nothing known'}")
            elif kind == ACCEPT:
                trades.append(f"{other(who)} {_deal(before['offer']).replace('give', 'gave', 1)}")
            elif before["offer"] is not None:
                refused.append(f"{other(who)} offered to {_deal(before['offer'])}")
        if trades:
            parts.append(Part("hindsight_positive", f"Trades: {'; '.join(trades)}."))
        wrong = [f"{name}: {'; '.join(x)}." for name, x in (("Refused", refused), ("Not possible", impossible)) if x]
        if wrong:
            parts.append(Part("hindsight_negative", " ".join(wrong)))
        success, inventories = points == best, game["inventories"]
        for resource in RESOURCES if not success else ():
            amounts = [inventories[name][resource] for name in NAMES]
            if min(amounts):
                both = f"Both hold {resource}: Alice {amounts[0]}, Bob {amounts[1]}."
                parts.append(Part("future_negative", f"{both} Divided resources are worth less."))
        return Feedback(points / best, tuple(parts), success, metrics={"inventories": inventories})

    def reference_solution(self) -> dict[str, Any] | None:
        """The best plans for players by rules; None for a model."""
        if self.players == "model":
            return None
        _, alice, bob = best_plans(self.inventories)
        return {"alice": alice, "bob": bob}

    def render_text(self) -> str:
        """The inventories after the last game, and its score."""
        inventories, title = self._last_inventories()
        lines = (f"{name}: {', '.join(f'{n} {r}' for r, n in inventories[name].items())}\n" for name in NAMES)
        return "".join(lines) + f"{title}\n"

    def render_image(self) -> scenes.Picture:
        """The inventories after the last game as bars."""
        inventories, title = self._last_inventories()
        pairs = [(f"{name}\n{r}", float(n)) for name in NAMES for r, n in inventories[name].items()]
        return scenes.bars([label for label, _ in pairs], [n for _, n in pairs], title)

    def _last_inventories(self) -> tuple[dict[str, Inventory], str]:
        """The inventories after the last game (those of the start where it was not played), and a title."""
        assert self.last is not None
        inventories = self.last.metrics.get("inventories", new_game(self.inventories)["inventories"])
        return inventories, f"score {self.last.score:.2f}"


def _deal(action: Action) -> str:
    give, get, n = (str(action.get(k))[:20] for k in ("give", "get", "quantity"))
    return f"give {n} {give} for {n} {get}"
