from __future__ import annotations

import numpy as np
import pytest

import opto_gym
from opto_gym.baselines.tours import farthest_insertion, nearest_insertion, nearest_neighbour
from opto_gym.envs.opro import tours
from opto_gym.errors import OptoGymError
from tests.support.rollouts import drive

TOURS = ["NearestNeighbour", "NearestInsertion", "FarthestInsertion", "ExactTour"]


@pytest.mark.parametrize("integer", [True, False])
def test_least_squares_solves_the_line_at_once(integer):
    env = opto_gym.make("LinearRegression-v0", repetition=3, w=2, b=30, integer=integer)
    assert drive(opto_gym.make_agent("LeastSquares"), env, 1)[0] == pytest.approx(0.0, abs=1e-6)
    assert env.unwrapped.last.success


def test_tours_in_the_order_of_their_methods():
    """Mean gaps over 20 problems of 20 cities: neighbour > nearest > farthest insertion > exact."""
    scores = {name: [] for name in TOURS}
    for problem in range(20):
        env = opto_gym.make("TSP-v0", n=20, problem=problem)
        for name in TOURS:
            scores[name].append(drive(opto_gym.make_agent(name), env, 1)[0])
    means = [float(np.mean(scores[name])) for name in TOURS]
    assert means == pytest.approx([15.3, 14.5, 3.8, 0.0], abs=0.06)  # the page's figures


def test_insertion_is_exact_for_cities_on_a_circle():
    angles = np.random.default_rng(0).permutation(12) * np.pi / 6
    cities = tuple((round(1000 * np.cos(a)), round(1000 * np.sin(a))) for a in angles)
    least = tours.length(cities, tours.shortest(cities))
    for method in (nearest_insertion, farthest_insertion):
        assert tours.length(cities, method(cities)) == pytest.approx(least)


def test_the_nearest_neighbour_leaves_the_far_corner_for_last():
    assert nearest_neighbour(((0, 0), (0, 10), (3, 0), (1, 0))) == [0, 3, 2, 1]


@pytest.mark.parametrize("name", ["LeastSquares", *TOURS])
def test_a_specialist_refuses_other_problems(name):
    agent = opto_gym.make_agent(name)
    for other in ("Battleship-v0", "NumericalOptimization-v0"):
        with pytest.raises(OptoGymError, match=other):
            agent.reset(opto_gym.make(other).unwrapped.problem)


def test_least_squares_learns_from_batches():
    """Three points determine two weights and an intercept; smaller batches add up over the calls."""
    env = opto_gym.make("BatchRegression-v0", problem=3)
    assert drive(opto_gym.make_agent("LeastSquares"), env, 1)[0] == pytest.approx(0.0, abs=1e-9)
    one_by_one = opto_gym.make("BatchRegression-v0", problem=3, batch=1)
    agent = opto_gym.make_agent("LeastSquares")
    assert drive(agent, one_by_one, 4)[-1] == pytest.approx(0.0, abs=1e-9)
    assert agent.values == pytest.approx(env.unwrapped.reference_solution())
