"""What an oracle call of the traffic tasks costs beside a bare run of UXsim, in processor time.

Aim: within 5 % of a run that gives its memory back. Bare is the same world, vehicle by vehicle, by plain calls of
UXsim; its objects point at each other, so that only the garbage collector frees them. Measured in turns, with
other green times each time, so that nothing is remembered.
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


def test_an_oracle_call_is_a_run(benchmark):
    env = opto_gym.make("Traffic-v0").unwrapped
    vehicles = intersection.day(0, False)[1]
    bare(vehicles, (15, 15))
    env.evaluate(env.problem.start, examples=[0])
    oracle, kept, freed = [], [], []
    for k in range(ROUNDS):
        pair = 16 + k % 20, 18 + k // 20
        marks = [time.process_time()]
        env.evaluate(dict(zip(("EW_time", "NS_time"), pair, strict=True)), examples=[0])
        marks.append(time.process_time())
        bare(vehicles, pair)
        marks.append(time.process_time())
        gc.collect()
        marks.append(time.process_time())
        oracle.append(marks[1] - marks[0])
        kept.append(marks[2] - marks[1])
        freed.append(marks[3] - marks[1])
    call, kept, freed = (1000 * statistics.median(times) for times in (oracle, kept, freed))
    print(f"\noracle call {call:.1f} ms; bare run {kept:.1f} ms, with its memory given back {freed:.1f} ms")
    benchmark.pedantic(bare, args=(vehicles, (15, 15)), rounds=5)
    assert call < 1.05 * freed
