"""The processor time of an oracle call on the traffic tasks, compared with a bare run of UXsim.

The aim is at most 5 % more than a bare run. A bare run simulates the same world with the same vehicles, by plain calls
of UXsim. The objects of UXsim refer to each other, so that only the garbage collector frees them, a few runs later; an
oracle call frees its world at once. Therefore series of runs are measured, including the collector's work. Each run has
other green times, so that no result can be reused.
"""

from __future__ import annotations

import gc
import statistics
import time

import uxsim

import opto_gym
from opto_gym.envs.traffic import intersection

ROUNDS = 40


def bare(vehicles, pair):
    world = uxsim.World(
        deltan=1, tmax=1800, print_mode=0, save_mode=0, random_seed=0, duo_update_time=120, cpp=True,
        vehicle_logging_timestep_interval=-1,
    )  # fmt: skip
    nodes = {n: world.addNode(n, x, y) for n, (x, y) in intersection.NETWORK.places.items() if n != "I1"}
    nodes["I1"] = world.addNode("I1", 0, 0, signal=list(pair))
    for a, b, group in intersection.NETWORK.links:
        world.addLink(a + b, nodes[a], nodes[b], 500, free_flow_speed=10, jam_density=0.2, signal_group=group)
    for start, end, departure in vehicles:
        world.addVehicle(nodes[start], nodes[end], departure)
    world.exec_simulation()
    return world.analyzer.average_delay


def series(run):
    """The mean processor time of `ROUNDS` runs, in milliseconds."""
    gc.collect()
    begin = time.process_time()
    for k in range(ROUNDS):
        run(16 + k)
    gc.collect()
    return 1000 * (time.process_time() - begin) / ROUNDS


def test_an_oracle_call_is_a_run(benchmark):
    env = opto_gym.make("Traffic-v0").unwrapped
    vehicles = intersection.day(0, False)[1]
    bare(vehicles, (15, 15))
    env.evaluate(env.problem.start, examples=[0])
    calls, bare_runs = [], []
    for ns in range(16, 20):
        calls.append(series(lambda ew, ns=ns: env.evaluate({"EW_time": ew, "NS_time": ns}, examples=[0])))
        bare_runs.append(series(lambda ew, ns=ns: bare(vehicles, (ew, ns))))
    benchmark.pedantic(bare, args=(vehicles, (15, 15)), rounds=5)
    benchmark.extra_info |= {
        "oracle call, ms": statistics.median(calls),
        "bare run, ms": statistics.median(bare_runs),
        "ratio": statistics.median(calls) / statistics.median(bare_runs),
    }
    print(f"\n{benchmark.extra_info}")
