"""The optimization problems of the OPRO paper: linear regression and the travelling salesman problem."""

from typing import TYPE_CHECKING

from ...utils.moved import moved_names

if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "Leg": "envs.opro.tsp",
            "LinearRegression": "envs.opro.linear_regression",
            "POINTS": "envs.opro.linear_regression",
            "TSP": "envs.opro.tsp",
            "best_turn": "envs.opro.tsp",
            "crossings": "envs.opro.tsp",
            "draw_cities": "envs.opro.tsp",
            "least_squares": "envs.opro.linear_regression",
            "loss": "envs.opro.linear_regression",
            "paper_starts": "envs.opro.linear_regression",
        },
    )
