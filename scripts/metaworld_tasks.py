"""Finds the tasks of Meta-World that a scripted expert solves in ten macro steps; opto_gym registers these tasks.

The expert acts as an optimizer's controller does, on observations that are rounded to a millimeter, in the 50 test
conditions. A task is registered if the expert solves all 50, where success at any simulator step counts. For these
tasks, the number of solved conditions is also printed for the stricter rule that the last simulator step must be a
success. Run ``python scripts/metaworld_tasks.py [task ...]``; all tasks take 12 minutes on one core.
"""

from __future__ import annotations

import sys

import metaworld
import numpy as np

from opto_gym.envs.metaworld.simulation import Simulation, expert_source

TEST, HORIZON = range(10**9, 10**9 + 50), 10


def still(obs):
    """The controller of the start values, which does not move."""
    return [0, 0, 0, 0]


def steps_needed(simulation, controller, condition, any_step):
    """The number of macro steps until the task is solved; None if it is not solved within `HORIZON`."""
    simulation.reset(condition)
    for step in range(1, HORIZON + 1):
        answer = np.array(controller(simulation.expert_view()), float)
        target, gain = simulation.hand + answer[:3], simulation.advice().gain
        if simulation.move(target, answer[3], gain, any_step)[1]:
            return step
    return None


def solved(simulation, controller, any_step=True):
    """(number of solved conditions out of 50, mean number of macro steps in the solved ones)."""
    needed = [steps_needed(simulation, controller, c, any_step) for c in TEST]
    done = [n for n in needed if n is not None]
    return len(done), np.mean(done or [np.nan])


def main(tasks):
    """Prints one line for each task; for those to be registered, also the results of start values and stricter rule."""
    for task in tasks or metaworld.ALL_V3_ENVIRONMENTS:
        simulation, space = Simulation(task), {}
        exec(expert_source(task, by_key=False), space)
        expert = space["controller"]
        won, steps = solved(simulation, expert)
        line = f"{task:28} {won:2} of 50 in {steps:4.1f} steps"
        if won == 50:
            start, last = solved(simulation, still)[0], solved(simulation, expert, False)[0]
            line += f"; the start values {start}; where the last step counts {last}"
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
