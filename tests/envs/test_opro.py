from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opto_gym.envs.opro import tours
from opto_gym.envs.opro.linear_regression import POINTS, LinearRegression, loss, paper_starts
from opto_gym.envs.opro.tsp import TSP, best_turn, crossings, draw_cities

PAPER = [(15, 14), (17, 17), (16, 10), (3, 5), (25, 23), (2, 30), (36, -1)]


# ------------------------------------------------------------------ the line
@pytest.mark.parametrize("repetition", range(5))
@pytest.mark.parametrize(("w", "b"), PAPER)
def test_the_paper_s_lines_are_the_best_whole_numbers(w, b, repetition):
    env = LinearRegression(w=w, b=b, repetition=repetition)
    assert env.reference_solution() == {"w": w, "b": b}
    start = env.evaluate(env.problem.start)
    assert start.score > 100
    assert not start.success
    assert tuple(env.problem.start.values()) in paper_starts(repetition)
    nearby = [loss(POINTS, env.y, w + i, b + j) for i in range(-2, 3) for j in range(-60, 61)]
    assert min(nearby) == env.least


def test_the_points_are_the_published_program_s():
    np.random.seed(3)
    y = np.arange(1, 51) * 15.0 + 14 + np.random.randn(50)
    assert np.allclose(LinearRegression(repetition=2).y, y)


def test_the_optimum_is_least_squares_and_not_the_hidden_line():
    env = LinearRegression(integer=False)
    w, b = np.polyfit(POINTS, env.y, 1)
    assert (env.reference_solution()["w"], env.reference_solution()["b"]) == pytest.approx((w, b))
    assert 35 < env.least < 53
    hidden, best = env.evaluate({"w": 15, "b": 14}), env.evaluate(env.reference_solution())
    assert hidden.score > 0.5
    assert not hidden.success
    assert best.success
    assert best.score < 1e-9


@settings(max_examples=50, deadline=None)
@given(st.integers(-100, 100), st.integers(-100, 100))
def test_feedback_on_the_line(w, b):
    env = LinearRegression()
    e = env.evaluate({"w": w, "b": b})
    assert e.score == pytest.approx(loss(POINTS, env.y, w, b) - env.least)
    assert 0 <= e.score < 1e9
    text = str(e.feedback)
    if e.success:
        assert "No loss is lower." in text
        return
    way = {"shrinks": -1e-4, "grows": 1e-4}
    step_w, step_b = (way[said] for said in re.search(r"as w (\w+) and as b (\w+)", text).groups())
    assert loss(POINTS, env.y, w + step_w, b) < loss(POINTS, env.y, w, b)
    assert loss(POINTS, env.y, w, b + step_b) < loss(POINTS, env.y, w, b)


def test_the_line_s_graph_shows_points_and_predictions():
    text = LinearRegression().evaluate({"w": 1, "b": 2}).graph.to_pseudocode()
    assert "predict(w=w, b=b, x=x0)" in text
    assert "loss(predicted=predict0, y=y0)" in text


# ------------------------------------------------------------------ the tour
def test_the_exact_tour_is_the_best_of_all():
    for seed in range(12):
        n = 4 + seed % 4
        cities = tuple((int(x), int(y)) for x, y in np.random.default_rng(seed).integers(-9, 10, size=(n, 2)))
        all_tours = (tours.length(cities, (0, *rest)) for rest in itertools.permutations(range(1, n)))
        assert tours.length(cities, tours.shortest(cities)) == pytest.approx(min(all_tours))


@pytest.mark.parametrize("n", [10, 15, 20, pytest.param(50, marks=pytest.mark.slow)])
def test_the_exact_tour_can_not_be_improved(n):
    for problem in range(5):
        cities = TSP(n=n, problem=problem).cities
        tour = tours.shortest(cities)
        assert sorted(tour) == list(range(n))
        assert best_turn(cities, tour)[0] < 1e-6
        assert crossings(cities, tour) == []


def test_cities_in_groups_far_apart_need_subtours_forbidden():
    corners = [(0, 0), (1000, 0), (0, 1000)]
    cities = tuple((x + i, y + j) for x, y in corners for i, j in ((0, 0), (3, 0), (0, 3)))
    tour = tours.shortest(cities)
    assert sorted(tour) == list(range(9))
    assert tours.length(cities, tour) < 3450


def test_every_tour_problem_is_sound():
    for n in (5, 10, 20):
        for problem in range(100):
            cities = draw_cities(n, problem)
            assert len(set(cities)) == n
            assert best_turn(cities, range(n))[0] > 1  # the start is no shortest tour
    assert len({draw_cities(10, k) for k in range(100)}) == 100


def test_making_a_tour_problem_solves_nothing(monkeypatch):
    def never(cities):
        raise AssertionError("solved")

    monkeypatch.setattr(tours, "shortest", never)
    env = TSP(n=50, problem=99)
    assert "49: (" in env.problem.objective


@given(st.permutations(range(10)))
@settings(max_examples=50, deadline=None)
def test_feedback_on_the_tour(tour):
    env = TSP()
    e = env.evaluate({"tour": list(tour)})
    assert e.error is None
    assert e.success == (e.score == 0.0)
    turned = env.evaluate({"tour": [*tour[3:], *tour[:3]][::-1]})
    assert turned.score == e.score  # the same tour from another city, the other way around
    saved, first, last = best_turn(env.cities, tour)
    if saved:
        i, j = tour.index(first), tour.index(last)
        better = [*tour[:i], *reversed(tour[i : j + 1]), *tour[j + 1 :]]
        assert tours.length(env.cities, tour) - tours.length(env.cities, better) == pytest.approx(saved)
        assert f"from {first} to {last} around" in str(e.feedback)
    assert bool(crossings(env.cities, tour)) == ("Legs that cross" in str(e.feedback))


def test_a_tour_that_is_none_is_feedback():
    env = TSP(n=5)
    for bad in ([0, 1, 2, 3], [0, 1, 2, 3, 3], [0, 1, 2, 3, 5], "0,1,2,3,4", [0, 1, 2, 3, 4.0], [[0], 1, 2, 3, 4]):
        e = env.evaluate({"tour": bad})
        assert e.score == 1000.0
        assert "tour: expected" in e.error


def test_a_shortest_tour_ends_the_episode():
    env = TSP(oracle_calls=9)
    env.reset(seed=0)
    assert env.step({"tour": list(range(10))})[2] is False
    assert env.step(env.reference_solution())[1:3] == (0.0, True)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: LinearRegression(w=51), "-50 to 50"),
        (lambda: LinearRegression(b=0.5), "-50 to 50"),
        (lambda: LinearRegression(repetition=100), "0 to 99"),
        (lambda: TSP(n=4), "5 to 50"),
        (lambda: TSP(n=10.0), "5 to 50"),
        (lambda: TSP(problem=-1), "0 to 99"),
    ],
)
def test_wrong_arguments_are_said(make, said):
    with pytest.raises(ValueError, match=said):
        make()
