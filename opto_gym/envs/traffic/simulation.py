"""Signals under UXsim: a network, its trips, one run, and what it says of delays and queues.

UXsim (Seo, "UXsim: lightweight mesoscopic traffic flow simulator in pure Python", JOSS 2025) moves vehicles by Newell's
car-following rule. Two engines: C++, and Python, some twenty times slower. Where streams merge each draws from a
generator of its own, so that their answers differ a little; each repeats itself for a seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import MissingExtra
from ...utils.extras import need

ENGINES = ("c++", "python")
LENGTH, SPEED, JAM_DENSITY = 500, 10, 0.2  # of every link: m, m/s, vehicles/m; one lane
CROSSING = LENGTH / SPEED  # seconds on a link without other vehicles

Pair = tuple[str, str]


class Link(NamedTuple):
    """One direction of a street; `group` is the phase that it has at the signal where it ends."""

    start: str
    end: str
    group: int


class Network(NamedTuple):
    """Places of all nodes, those with a signal among them, and the links."""

    places: Mapping[str, tuple[float, float]]
    signals: tuple[str, ...]
    links: tuple[Link, ...]

    def free_time(self, pair: Pair) -> float:
        """Seconds without other vehicles between two terminals that lie on different sides."""
        (x, y), (u, v) = (self.places[name] for name in pair)
        return CROSSING * (abs(x - u) + abs(y - v))


class Vehicle(NamedTuple):
    """One vehicle and when it sets out, in seconds."""

    start: str
    end: str
    departure: int


class Trips(NamedTuple):
    """The trips of one (start, end): how many, how many came to their end, their travel times' sum and largest."""

    attempted: int
    completed: int
    total: float
    longest: float


class Run(NamedTuple):
    """What one simulation gave.

    Attributes:
        delay: Mean delay of completed trips, as UXsim counts it, in seconds.
        trips: By (start, end).
        queues: By link into a signal: how many vehicles more than in free flow are on it, or wait to enter it, on
            average over time.
    """

    delay: float
    trips: dict[Pair, Trips]
    queues: dict[Pair, float]


def simulate(
    network: Network,
    greens: Mapping[str, Sequence[int]],
    vehicles: Sequence[Vehicle],
    *,
    duration: int,
    seed: int,
    engine: str,
    reroute: int,
) -> Run:
    """Runs UXsim.

    Args:
        network: The streets.
        greens: Seconds of green of each phase, by signal. UXsim's phases last a second more.
        vehicles: All of them.
        duration: Seconds to simulate.
        seed: For who goes first where streams merge.
        engine: One of `ENGINES`.
        reroute: Seconds between two choices of routes.

    Raises:
        MissingExtra: Without UXsim, or without its C++ engine where that is asked for.
    """
    world = _world(engine, name="", deltan=1, reaction_time=1, tmax=duration, random_seed=seed, duo_update_time=reroute)
    nodes = {
        name: world.addNode(name, x, y, **({"signal": list(greens[name])} if name in greens else {}))
        for name, (x, y) in network.places.items()
    }
    links = {
        (a, b): world.addLink(
            a + b,
            nodes[a],
            nodes[b],
            length=LENGTH,
            free_flow_speed=SPEED,
            jam_density=JAM_DENSITY,
            signal_group=group,
        )
        for a, b, group in network.links
    }
    for start, end, departure in vehicles:
        world.addVehicle(nodes[start], nodes[end], departure)
    world.exec_simulation()
    analyzer = world.analyzer
    done = {(a.name, b.name): Trips(int(n), 0, 0.0, duration) for (a, b), n in analyzer.od_trips.items()}
    for (a, b), times in analyzer.od_tt.items():
        if times:
            pair = a.name, b.name
            done[pair] = Trips(done[pair].attempted, len(times), float(sum(times)), float(max(times)))
    departures: dict[str, list[int]] = {}
    for start, _, departure in vehicles:
        departures.setdefault(start, []).append(departure)
    queues = {
        pair: _queue(link, departures.get(pair[0], []), duration)
        for pair, link in links.items()
        if pair[1] in network.signals
    }
    run = Run(float(analyzer.average_delay), done, queues)
    _untie(world)
    return run


def _world(engine: str, **settings: Any) -> Any:
    """A world without logs, which cost ten times the run."""
    uxsim = need("uxsim")
    quiet = {"print_mode": 0, "save_mode": 0, "show_mode": 0, "show_progress": 0}
    try:
        return uxsim.World(cpp=engine == "c++", vehicle_logging_timestep_interval=-1, **quiet, **settings)
    except ImportError as e:
        raise MissingExtra(
            f"this uxsim {uxsim.__version__} came without its C++ engine ({e}): install a wheel of it "
            "(pip install --force-reinstall --only-binary uxsim 'uxsim>=1.15'), or give engine='python', whose scores "
            "are another variant's"
        ) from e


def _queue(link: Any, departures: Sequence[int], duration: int) -> float:
    """Mean number of vehicles on a link, and waiting to enter it, beyond those that free flow has there."""
    entered, left = np.asarray(link.cum_arrival, float), np.asarray(link.cum_departure, float)
    mean = float(np.mean(entered - left)) - float(left[-1]) * CROSSING / duration
    if departures:  # a terminal's link: those who wait outside
        wanted = np.cumsum(np.bincount(departures, minlength=duration)[:duration])
        mean += float(np.mean(wanted - entered[:duration]))
    return max(mean, 0.0)


def _untie(world: Any) -> None:
    """Frees a world at once: all its objects point at each other, 30 MB that would wait for the garbage collector."""
    for thing in (*world.VEHICLES.values(), *world.NODES, *world.LINKS, world.analyzer, world.ROUTECHOICE, world):
        vars(thing).clear()


class Verdict(NamedTuple):
    """Scores in seconds, lower is better, and the time lost by (start, end), per trip."""

    score: float
    mean: float
    lost: dict[Pair, float]


def judge(network: Network, run: Run, *, slip: bool = False) -> Verdict:
    """The mean of the time lost per trip plus its spread: the square root of its variance over pairs, by trips.

    A trip that is not completed counts as a second longer than the longest of its pair that is, or than the whole
    simulation.

    Args:
        network: The streets.
        run: What to judge.
        slip: As in the Trace paper's public experiment, which takes the number of pairs for that of a pair's completed
            trips, so that nearly all of its trips count as not completed.
    """
    lost = {}
    pairs = sum(trips.completed > 0 for trips in run.trips.values())
    for pair, (n, completed, time, longest) in run.trips.items():
        free = network.free_time(pair)
        waiting = n - (pairs if slip else completed)
        lost[pair] = (time - free * completed + (longest + 1 - free) * waiting) / n
    total = sum(n for n, *_ in run.trips.values())
    mean = sum(lost[pair] * trips.attempted for pair, trips in run.trips.items()) / total
    variance = sum((lost[pair] - mean) ** 2 * trips.attempted for pair, trips in run.trips.items()) / total
    return Verdict(mean + math.sqrt(variance), mean, lost)
