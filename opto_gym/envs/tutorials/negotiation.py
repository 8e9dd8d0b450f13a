"""Negotiation: two players trade by plans in words (a task of the Trace library's tutorials, re-made)."""

from __future__ import annotations

import functools
import itertools
import json
import re
from typing import Any

import numpy as np

from ...core import OptoEnv, Parameters
from ...problems import Anchors, Feedback, Parameter, Part
from ...reading.actions import read_action
from ...spaces import Prompt
from ...trace import node, operator
from ..questions.asking import reply_of

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

Action = dict[str, Any]


# ------------------------------------------------------------------ the game
def new_game(inventories: tuple[tuple[int, ...], ...]) -> Game:
    """Alice's turn, no offer yet."""
    held = {name: dict(zip(RESOURCES, row, strict=True)) for name, row in zip(NAMES, inventories, strict=True)}
    return {"inventories": held, "turn": NAMES[0], "offer": None, "refused": [], "ended": 0}


def other(name: str) -> str:
    """The other player."""
    return NAMES[1 - NAMES.index(name)]


def can(game: Game, action: Action) -> bool:
    """Whether the player whose turn it is can do this."""
    kind = action.get("action")
    if kind == "offer":
        give, get, quantity = (action.get(k) for k in ("give", "get", "quantity"))
        if give not in RESOURCES or get not in RESOURCES or give == get or type(quantity) is not int:
            return False
        mine, theirs = game["inventories"][game["turn"]], game["inventories"][other(game["turn"])]
        return bool(1 <= quantity <= min(mine[give], theirs[get]))
    return kind == END or (kind in (ACCEPT, REJECT) and game["offer"] is not None)


def after(game: Game, action: Action) -> Game:
    """The game after an action; one that is not possible counts as the end of trading, on this player's side."""
    kind = action["action"] if can(game, action) else END
    me, you = game["turn"], other(game["turn"])
    held, refused = game["inventories"], game["refused"]
    if kind == ACCEPT:
        offer = game["offer"]
        give, get, n = offer["give"], offer["get"], offer["quantity"]
        held = {
            you: {**held[you], give: held[you][give] - n, get: held[you][get] + n},
            me: {**held[me], give: held[me][give] + n, get: held[me][get] - n},
        }
        refused = []  # what was refused may be welcome now
    elif game["offer"] is not None:
        refused = [*refused, [you, game["offer"]["give"], game["offer"]["get"]]]
    return {
        "inventories": {name: held[name] for name in NAMES},
        "turn": you,
        "offer": action if kind == "offer" else None,
        "refused": refused,
        "ended": game["ended"] + 1 if kind == END else 0,
    }


def value(game: Game) -> int:
    """The points of both players."""
    return sum(n * n for held in game["inventories"].values() for n in held.values())


def most(inventories: tuple[tuple[int, ...], ...]) -> int:
    """The most points that trades of equal quantities can lead to."""
    mine, theirs = inventories
    totals = [a + b for a, b in zip(mine, theirs, strict=True)]
    ways = itertools.product(*(range(n + 1) for n in totals))
    return max(
        sum(k * k + (n - k) ** 2 for k, n in zip(way, totals, strict=True)) for way in ways if sum(way) == sum(mine)
    )


# ------------------------------------------------------------------ players by rules
def wanted(plan: str) -> list[str]:
    """The resources that a plan names, in the order of their first mention."""
    found = re.findall(rf"\b({'|'.join(RESOURCES)})\b", plan.lower())
    return list(dict.fromkeys(found))


def by_rules(plan: str, game: Game) -> Action:
    """What a player does who wants what the plan names, the first the most, and all else equally little."""
    me = game["turn"]
    mine, theirs = game["inventories"][me], game["inventories"][other(me)]
    wants = wanted(plan)
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
    """(points, Alice's plan, Bob's plan) of the best plans for players by rules."""

    def played(plans: tuple[str, ...]) -> int:
        game = new_game(inventories)
        for _ in range(TURNS):
            game = after(game, by_rules(plans[NAMES.index(game["turn"])], game))
            if game["ended"] == 2:
                break
        return value(game)

    alice, bob = max(itertools.product(PLANS, repeat=2), key=played)
    return played((alice, bob)), alice, bob


@functools.lru_cache(256)
def draw_inventories(problem: int) -> tuple[tuple[int, ...], ...]:
    """Each player's wood, stone and gold: plans can reach the most points, which are 1.5 times the start's or more."""
    rng = np.random.default_rng([20240705, problem])
    while True:
        inventories = tuple(tuple(int(n) for n in row) for row in rng.integers(0, 7, size=(2, 3)))
        best, start = most(inventories), value(new_game(inventories))
        if start > 0 and best >= 1.5 * start and best_plans(inventories)[0] == best:
            return inventories


class Negotiation(OptoEnv):
    """Give two traders plans that make them both rich.

    ## Description
    Alice and Bob have wood, stone and gold; n pieces of one resource are worth n² points to their owner. In turns they
    offer trades of equal quantities, accept, reject, or end the trading; each follows a plan in words, which is a
    parameter. After the negotiation arena of the Trace library's tutorials (github.com/microsoft/Trace), re-made:
    there, GPT-4 plays both players on one pair of private inventories, and a table gives the points. Here the players
    go by rules unless `players="model"`, see both inventories, which are drawn by seed, and what a player can't do
    counts as ending the trading.

    Players by rules want the resources that their plan names (wood, stone, gold), the first the most, and all others
    equally little. They accept what they want more than what they give for it, and offer what they want least for what
    they want most, as much as both have, until every such offer is refused.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `alice` | `Prompt(1000)` | "Collect nothing in particular." |
    | `bob` | `Prompt(1000)` | "Collect nothing in particular." |

    ## Observation
    The graph of the game, turn by turn (plan, action, inventories), and the feedback.

    ## Reward
    The score: the points of both players at the end, as a share of the most possible; higher is better.

    ## Feedback
    * reward: "Alice and Bob have 197 points together, of 197 possible."
    * hindsight_positive: "Trades: Alice gave 6 wood for 6 stone."
    * hindsight_negative: "Refused: Alice offered to give 2 stone for 2 gold. Not possible: Bob wanted to accept."
    * future_negative: "Both hold wood: Alice 6, Bob 1. Divided resources are worth less."

    ## Start
    Plans that name no resource: nobody trades (players by rules).

    ## End
    When all possible points are reached, or after `oracle_calls` steps. A game ends when both players end trading, one
    after the other, or after 20 turns.

    ## Score and anchors
    One case: test is train. Linear scale, anchors of 2026-11: 0 is the start's own score (0.50 to 0.67 for the problems
    0 to 99), 1 is score 1, which the best plans reach with players by rules (found by trying all orders of the
    resources). For players by a model no best plans are known.

    ## Arguments
    * `problem`: 0 to 99, which inventories.
    * `players`: `"rules"`, or `"model"`: the environment's language model plays both, at temperature 0, knowing the
      rules of the game, its plan, both inventories and the offer. The environment is then nondeterministic.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`.

    ## Kind, cost and source
    An instance; an example is None, since nothing is left to draw. An oracle call takes 0.5 ms with players by rules,
    and 2 to 20 calls of the model else; no data set. Source: the tutorial, from its description.

    ## Version history
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
        """One game."""
        decide = self._by_model() if self.players == "model" else self._by_rules()

        @operator
        def play(game: Game, action: Action) -> Game:
            """The game after the action; one that is not possible counts as `end`."""
            return after(game, action)

        @operator
        def points(game: Game) -> int:
            """The points of both players: n * n for n pieces of one resource in one hand."""
            return value(game)

        game = node(new_game(self.inventories), "game")
        actions: list[tuple[Game, Action]] = []
        while len(actions) < TURNS and game.data["ended"] < 2:
            action = decide(p.alice if game.data["turn"] == "Alice" else p.bob, game)
            actions.append((game.data, action.data))
            game = play(game, action)
        output = points(game)
        return output, self._said(actions, game.data)

    def _by_rules(self) -> Any:
        @operator
        def decide(plan: str, game: Game) -> Action:
            """What the player does whose turn it is, who wants the resources that the plan names, the first the most.

            Accepts what is wanted more than what it costs; offers what is wanted least for what is wanted most.
            """
            return by_rules(plan, game)

        return decide

    def _by_model(self) -> Any:
        @operator
        def decide(plan: str, game: Game) -> Action:
            """What a language model does as the player whose turn it is, given the rules, its plan and the game."""
            seen = f"You are {game['turn']}. Your plan: {plan}\nInventories: {json.dumps(game['inventories'])}\n"
            offer = game["offer"] and f"{other(game['turn'])} offers to {_deal(game['offer'])}"
            messages = [
                {"role": "system", "content": RULES},
                {"role": "user", "content": f"{seen}The offer to you: {offer or 'none'}. Your action:"},
            ]
            return read_action(reply_of(self.llm.chat(messages, max_tokens=100, temperature=0.0)))

        return decide

    def _said(self, actions: list[tuple[Game, Action]], game: Game) -> Feedback:
        best = most(self.inventories)
        said = [Part("reward", f"Alice and Bob have {value(game)} points together, of {best} possible.")]
        trades, refused, impossible = [], [], []
        for before, action in actions:
            who, kind = before["turn"], action.get("action", "")[:20]
            if not can(before, action):
                impossible.append(f"{who} wanted to {_deal(action) if kind == 'offer' else kind or 'do nothing known'}")
            elif kind == ACCEPT:
                trades.append(f"{other(who)} {_deal(before['offer']).replace('give', 'gave', 1)}")
            elif before["offer"] is not None:
                refused.append(f"{other(who)} offered to {_deal(before['offer'])}")
        if trades:
            said.append(Part("hindsight_positive", f"Trades: {'; '.join(trades)}."))
        wrong = [f"{name}: {'; '.join(x)}." for name, x in (("Refused", refused), ("Not possible", impossible)) if x]
        if wrong:
            said.append(Part("hindsight_negative", " ".join(wrong)))
        success = value(game) == best
        held = game["inventories"]
        for resource in RESOURCES if not success else ():
            amounts = [held[name][resource] for name in NAMES]
            if min(amounts):
                both = f"Both hold {resource}: Alice {amounts[0]}, Bob {amounts[1]}."
                said.append(Part("future_negative", f"{both} Divided resources are worth less."))
        return Feedback(value(game) / best, tuple(said), success, metrics={"inventories": held})

    def reference_solution(self) -> dict[str, Any] | None:
        """The best plans for players by rules; None for a model."""
        if self.players == "model":
            return None
        _, alice, bob = best_plans(self.inventories)
        return {"alice": alice, "bob": bob}

    def render(self) -> Any:
        """The inventories after the last game, as a picture or as text."""
        if self.last is None or self.render_mode is None:
            return None
        held = self.last.metrics.get("inventories", new_game(self.inventories)["inventories"])
        said = f"score {self.last.score:.2f}"
        if self.render_mode == "ansi":
            lines = (f"{name}: {', '.join(f'{n} {r}' for r, n in held[name].items())}\n" for name in NAMES)
            return "".join(lines) + f"{said}\n"
        from ..drawing.scenes import bars

        pairs = [(f"{name}\n{r}", float(n)) for name in NAMES for r, n in held[name].items()]
        return bars([label for label, _ in pairs], [n for _, n in pairs], said)


def _deal(action: Action) -> str:
    give, get, n = (str(action.get(k))[:20] for k in ("give", "get", "quantity"))
    return f"give {n} {give} for {n} {get}"
