from __future__ import annotations

import ast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opto_gym
from opto_gym.baselines.battleship import Enumeration, HuntTarget
from opto_gym.envs.battleship import START_ACT, Battleship, BattleshipOnline, place

FLEET = (5, 4, 3, 3, 2)
env = Battleship()
online = BattleshipOnline()


def policy(act, reason="return None"):
    return {"reason": f"def reason(map):\n    {reason}\n", "act": f"def act(map, plan):\n    {act}\n"}


def said(evaluation, kind):
    return " ".join(p.content for p in evaluation.feedback.parts if p.kind == kind)


# ------------------------------------------------------------------ boards
@settings(deadline=None)
@given(st.integers(0, 2**40))
def test_a_board_holds_the_fleet(seed):
    board = place(seed, 8, 8, FLEET)
    assert sum(map(sum, board)) == 17
    assert board == place(seed, 8, 8, FLEET)


def test_boards_are_spread_evenly():
    total = sum(np.array(place(seed, 8, 8, FLEET)) for seed in range(3000)) / 3000
    assert abs(total - total.T).max() < 0.05
    assert abs(total - total[::-1]).max() < 0.05
    assert 0.1 < total[0, 0] < total[3, 3] < 0.5


def test_a_fleet_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="does not fit on 2 x 2"):
        Battleship(width=2, height=2)
    with pytest.raises(ValueError, match="expected turns to be a whole number of 1 or more, got 0"):
        Battleship(turns=0)


@pytest.mark.parametrize(
    ("fleet", "said"),
    [(5, "a list of one ship size or more, got 5"), ((), r"got \(\)"), ((2, "x"), r"fleet\[1\] to be")],
)
def test_a_fleet_is_a_list_of_sizes(fleet, said):
    with pytest.raises(ValueError, match=said):
        Battleship(fleet=fleet)


# ------------------------------------------------------------------ the game
def reference_game(shots, board, turns=25):
    """The rules once more: (hits, turns used) of a list of shots."""
    hits = turn = 0
    seen = set()
    for shot in shots:
        if turn == turns or hits == 17:
            break
        ok = 0 <= shot[0] < 8 and 0 <= shot[1] < 8 and tuple(shot) not in seen
        seen.add(tuple(shot))
        if ok and board[shot[0]][shot[1]]:
            hits += 1
        else:
            turn += 1
    return hits, turn


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6 - 1), st.randoms(use_true_random=False))
def test_the_game_keeps_the_rules(seed, random):
    shots = [[random.randint(-1, 8), random.randint(0, 8)] for _ in range(80)]
    counter = f"shots = iter({shots})\n\ndef act(map, plan):\n    return next(shots)\n"
    e = env.evaluate({**policy(""), "act": counter}, examples=[seed])
    hits, turns = reference_game(shots, place(seed, 8, 8, FLEET))
    assert e.error is None
    assert (e.score, str(e.feedback).split(" Hits")[0].split(" Misses")[0]) == (
        hits / 17,
        f"{hits} of 17 ship squares hit in {turns} turns.",
    )


def test_a_hit_grants_another_shot_and_a_sunk_fleet_ends_the_game():
    board = place(7, 8, 8, FLEET)
    ships = [[r, c] for r in range(8) for c in range(8) if board[r][c]]
    perfect = policy(f"return {ships}[sum(row.count('X') for row in map)]")
    e = env.evaluate(perfect, examples=[7])
    assert (e.score, e.success) == (1.0, True)
    assert said(e, "reward") == "17 of 17 ship squares hit in 0 turns."
    assert said(e, "hindsight_negative") == ""


def test_feedback_says_what_hit_missed_and_was_illegal_and_where():
    board = place(3, 8, 8, FLEET)
    water = next([r, c] for r in range(8) for c in range(8) if not board[r][c])
    ship = next([r, c] for r in range(8) for c in range(8) if board[r][c])
    shots = [water, ship, water, [8, 0], [0.0, 1], True, "B7", [1, 2, 3], None, *[None] * 30]
    e = env.evaluate(
        {**policy(""), "act": f"s = iter({shots})\ndef act(map, plan):\n    return next(s)\n"}, examples=[3]
    )
    assert said(e, "reward") == "1 of 17 ship squares hit in 25 turns."
    assert said(e, "hindsight_positive") == f"Hits: {ship}."
    negative = said(e, "hindsight_negative")
    assert f"Misses: {water}." in negative
    for part in (
        f"{water} (shot before)",
        "[8, 0] (outside the map of 8 rows and 8 columns)",
        "[0.0, 1] (expected [row, column], two whole numbers)",
        "True (expected",
        "'B7' (expected",
        "[1, 2, 3] (expected",
        "and 1 other shots",
    ):
        assert part in negative


def test_an_error_ends_the_game_at_zero_and_says_what_came_before():
    crash = policy("return [2, 2] if map[2][2] == '.' else map[9]")
    e = env.evaluate(crash, examples=[5])
    assert e.score == 0
    assert e.error == "(IndexError) list index out of range [line 2: return [2, 2] if map[2][2] == '.' else map[9]]"
    assert "Shot 2 raised (IndexError)" in said(e, "hindsight_negative")
    assert "[2, 2]" in str(e.feedback)
    assert said(e, "reward") == "The code raised an error: score 0."


def test_boards_that_answer_alike_look_alike():
    """The observation holds nothing of the hidden board but the answers to the shots."""
    shot = policy("return [0, 0]")
    wet = [seed for seed in range(100) if not place(seed, 8, 8, FLEET)[0][0]][:5]
    observations = [env.evaluate(shot, examples=[seed]).observation for seed in wet]
    assert all(o == observations[0] for o in observations)
    assert "seed" not in observations[0].graph.to_json()


def test_nothing_is_remembered_from_board_to_board():
    code = "n = 0\n\ndef act(map, plan):\n    global n\n    n += 1\n    return [0, n - 1] if n <= 8 else None\n"
    e = env.evaluate({**policy(""), "act": code}, examples=[1, 2, 3])
    assert all(r.error is None for r in e.per_example)
    alone = [env.evaluate({**policy(""), "act": code}, examples=[k]).score for k in (1, 2, 3)]
    assert [r.feedback.score for r in e.per_example] == alone


def test_a_policy_that_memorizes_squares_scores_as_random_on_test():
    """Learns the ship squares of 200 training boards by heart and looks them up; against any fixed order of squares."""
    known = {}
    for seed in range(200):
        board = place(seed, 8, 8, FLEET)
        first = [[r, c] for r in range(8) for c in range(8) if board[r][c]]
        rest = [[r, c] for r in range(8) for c in range(8) if not board[r][c]]
        known[seed] = first + rest
    train, test = [], []
    some = np.random.default_rng(0)
    random = [_share(some.permutation(64), seed) for seed in env.splits["test"]]
    for seed, order in known.items():
        train.append(_share([8 * r + c for r, c in order], seed))
        test.append(_share([8 * r + c for r, c in order], env.splits["test"][seed]))
    assert np.mean(train) == 1.0
    assert abs(np.mean(test) - np.mean(random)) < 0.03
    memorizes = policy(f"return next([r, c] for r, c in {known[0]} if map[r][c] == '.')")
    assert env.evaluate(memorizes, examples=[0]).score == 1.0
    shown = env.evaluate(memorizes, split="test", examples=range(40)).score
    assert abs(shown - np.mean(random)) < 0.08


def _share(order, seed):
    squares = [[int(i) // 8, int(i) % 8] for i in order]
    return reference_game(squares, place(seed, 8, 8, FLEET))[0] / 17


@pytest.mark.slow
def test_the_published_figures():
    """The anchors, on the 200 test boards, with the policies' code in this process."""
    for code, score in (
        (env.reference_solution(), Battleship.anchors.best),
        (HuntTarget.policy, 0.8659),
        (Enumeration.policy, 0.5388),
    ):
        assert abs(np.mean([_play(code, s) for s in env.splits["test"]]) - score) < 1e-4
    assert env.evaluate(env.reference_solution(), split="test", examples=range(5)).score == pytest.approx(
        np.mean([_play(env.reference_solution(), s) for s in env.splits["test"][:5]])
    )


def _play(code, seed):
    space = {}
    exec(compile(ast.parse(code["reason"]), "reason", "exec"), space)
    exec(compile(ast.parse(code["act"]), "act", "exec"), space)
    board, known, turn, hits = place(seed, 8, 8, FLEET), [["."] * 8 for _ in range(8)], 0, 0
    while turn < 25 and hits < 17:
        r, c = space["act"](known, space["reason"](known))
        known[r][c] = "X" if board[r][c] else "O"
        hits, turn = hits + board[r][c], turn + (not board[r][c])
    return hits / 17


def test_arguments():
    small = Battleship(width=4, height=5, fleet=(2, 2), turns=6, batch=3)
    e = small.evaluate(small.reference_solution(), seed=2)
    assert len(e.per_example) == 3
    assert all(r.feedback.score in (0, 0.25, 0.5, 0.75, 1) for r in e.per_example)
    assert "[example 2]" in str(e.feedback)
    scan = Battleship(width=3, height=2, fleet=(2,), turns=6).evaluate(Enumeration.policy)
    assert scan.score == 1.0


def test_a_picture_shows_the_last_game_of_a_batch():
    shown = Battleship(batch=2, render_mode="ansi")
    shown.reset(seed=0)
    shown.step(HuntTarget.policy)
    hits = round(17 * shown.last.per_example[-1].feedback.score)
    text = shown.render()
    assert text.count("X") == hits
    assert f"{hits} of 17" in text


# ------------------------------------------------------------------ one shot at a time
def test_the_board_lives_on_until_it_is_sunk_and_then_a_new_one_begins():
    game = opto_gym.make("BattleshipOnline-v0").unwrapped
    game.reset(seed=3)
    boards, hits, shots = [game.last.metrics["board"]], 0, 0
    while len(boards) < 3:
        _, reward, terminated, _, _ = game.step(Enumeration.policy)
        assert reward in (0.0, 1.0)
        assert not terminated
        hits, shots = hits + reward, shots + 1
        if game.last.metrics["board"] != boards[-1]:
            assert hits in (17, 18)  # this shot is the new board's first
            boards.append(game.last.metrics["board"])
            hits, shots = reward, 1
        assert len(game.last.metrics["shots"]) == shots


@pytest.mark.parametrize(
    "bad",
    [
        policy("return map[9]"),
        policy("return ("),
        {"reason": "", "act": START_ACT},
        {"reason": None, "act": 3},
        policy("return [0, 99]"),
    ],
)
def test_after_a_bad_try_the_board_is_as_it_was(bad):
    game = BattleshipOnline()
    game.reset(seed=1)
    for _ in range(5):
        game.step(Enumeration.policy)
    before = dict(game.last.metrics)
    assert len(before["shots"]) == 5
    _, reward, *_ = game.step(bad)
    assert reward == 0
    assert game.last.metrics == before
    game.step(Enumeration.policy)
    assert game.last.metrics["shots"][:5] == before["shots"]
    assert len(game.last.metrics["shots"]) == 6


def test_online_test_is_the_full_game():
    full = env.evaluate(HuntTarget.policy, split="test", examples=range(3))
    assert online.evaluate(HuntTarget.policy, split="test", examples=range(3)) == full


def test_online_examples_are_states():
    board = place(5, 8, 8, FLEET)
    water = next([r, c] for r in range(8) for c in range(8) if not board[r][c])
    state = {"board": 5, "shots": [water]}
    again = online.evaluate(policy(f"return {water}"), examples=[state])
    assert str(again.feedback) == f"Got 0 reward. Illegal shot: {water} (shot before)."
    ship = next([r, c] for r in range(8) for c in range(8) if board[r][c])
    hit = online.evaluate(policy(f"return {ship}"), examples=[state])
    assert (hit.score, str(hit.feedback), hit.metrics["shots"]) == (1.0, "Got 1 reward.", [water, ship])
    assert state == {"board": 5, "shots": [water]}
    with pytest.raises(TypeError, match="one shot"):
        BattleshipOnline(batch=2)
