"""Which tasks of Meta-World a scripted expert solves in ten macro steps: the list that opto_gym registers.

The expert plays as an optimizer's controller would, from observations rounded to a millimetre, on the 50 test
conditions. Registered are the tasks with 50 of 50 where any simulator step counts; those where the last one has to
count are printed beside. Takes 12 minutes on one core: ``python scripts/metaworld_tasks.py [task ...]``
"""

from __future__ import annotations

import sys

import metaworld
import numpy as np

from opto_gym.envs.metaworld.simulation import Simulation, expert_source

TEST, HORIZON = range(10**9, 10**9 + 50), 10


def still(obs):
    """What the start values do."""
    return [0, 0, 0, 0]


def steps_needed(simulation, controller, condition, any_step):
    """Macro steps until the task is solved, or None."""
    simulation.reset(condition)
    for step in range(1, HORIZON + 1):
        answer = np.array(controller(simulation.view()), float)
        target, gain = simulation.hand + answer[:3], simulation.advice().gain
        if simulation.move(target, answer[3], gain, any_step)[1]:
            return step
    return None


def solved(simulation, controller, any_step=True):
    """(of the 50 conditions those solved, the mean number of macro steps that took)."""
    needed = [steps_needed(simulation, controller, c, any_step) for c in TEST]
    done = [n for n in needed if n is not None]
    return len(done), np.mean(done or [np.nan])


def main(tasks):
    """Prints a line a task; of those that are registered, what the other rule makes of them."""
    for task in tasks or metaworld.ALL_V3_ENVIRONMENTS:
        simulation, space = Simulation(task), {}
        exec(expert_source(task), space)
        expert = space["controller"]
        won, steps = solved(simulation, expert)
        line = f"{task:28} {won:2} of 50 in {steps:4.1f} steps"
        if won == 50:
            start, last = solved(simulation, still)[0], solved(simulation, expert, False)[0]
            line += f"; the start values {start}; where the last step counts {last}"
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
