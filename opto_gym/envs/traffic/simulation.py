"""Traffic simulation by UXsim: networks with signals, trips, delays and queues.

UXsim (Seo, "UXsim: lightweight mesoscopic traffic flow simulator in pure Python", JOSS 2025) moves vehicles by Newell's
car-following model. It has two engines, C++ and Python; the second is about twenty times slower. Each uses a generator
of its own to decide which vehicle goes first where streams merge, so that their results differ slightly. Equal seeds
give equal results on the same engine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import MissingExtra
from ...utils.extras import need

ENGINES = ("c++", "python")
LENGTH, SPEED, JAM_DENSITY = 500, 10, 0.2  # of every link: m, m/s, vehicles/m; each has one lane
FREE_FLOW_SECONDS = LENGTH / SPEED  # travel time of a link without other vehicles

Pair = tuple[str, str]
"""(start, end)."""


class Link(NamedTuple):
    """One direction of a street.

    Attributes:
        start: The node where it starts.
        end: The node where it ends.
        group: The index of the phase in which the signal at its end is green for it.
    """

    start: str
    end: str
    group: int


class Network(NamedTuple):
    """A street network.

    Attributes:
        places: The positions of all nodes; a link has length 1.
        signals: The nodes that have a signal.
        links: The links.
    """

    places: Mapping[str, tuple[float, float]]
    signals: tuple[str, ...]
    links: tuple[Link, ...]

    def free_time(self, pair: Pair) -> float:
        """The travel time in seconds without other vehicles, between terminals on different sides of the network."""
        (x, y), (u, v) = (self.places[name] for name in pair)
        return FREE_FLOW_SECONDS * (abs(x - u) + abs(y - v))


class Vehicle(NamedTuple):
    """One vehicle, with its departure time in seconds."""

    start: str
    end: str
    departure: int


class Trips(NamedTuple):
    """The trips of one (start, end).

    Attributes:
        attempted: The number of vehicles that departed.
        completed: The number of those that arrived.
        total: The sum of the travel times of completed trips, in seconds.
        longest: The longest of these, or the duration of the simulation where no trip is completed.
    """

    attempted: int
    completed: int
    total: float
    longest: float


class SimulationResult(NamedTuple):
    """The result of one simulation.

    Attributes:
        delay: The mean delay of completed trips in seconds, as UXsim counts it.
        trips: Trips by (start, end).
        queues: Queues by link into a signal: the number of vehicles on it, or waiting to enter it, beyond those of free
            flow, on average over time.
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
) -> SimulationResult:
    """Runs UXsim.

    Args:
        network: The streets.
        greens: Seconds of green of each phase, by signal. UXsim's phases last one second longer.
        vehicles: All vehicles.
        duration: Seconds to simulate.
        seed: Decides which vehicle goes first where streams merge.
        engine: One of `ENGINES`.
        reroute: Seconds between two updates of the routes.

    Raises:
        MissingExtra: If UXsim is not installed, or lacks the C++ engine that is asked for.
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
    departures: dict[str, list[int]] = {}
    for start, _, departure in vehicles:
        departures.setdefault(start, []).append(departure)
    into_signals = {pair: link for pair, link in links.items() if pair[1] in network.signals}
    queues = {pair: _queue(link, departures.get(pair[0], []), duration) for pair, link in into_signals.items()}
    result = SimulationResult(float(world.analyzer.average_delay), _trips(world.analyzer, duration), queues)
    _free(world)
    return result


def _trips(analyzer: Any, duration: int) -> dict[Pair, Trips]:
    """The trips of a simulation by (start, end)."""
    trips = {(a.name, b.name): Trips(int(n), 0, 0.0, duration) for (a, b), n in analyzer.od_trips.items()}
    for (a, b), times in analyzer.od_tt.items():
        if times:
            pair = a.name, b.name
            trips[pair] = Trips(trips[pair].attempted, len(times), float(sum(times)), float(max(times)))
    return trips


def _world(engine: str, **settings: Any) -> Any:
    """UXsim's world without logs, which take ten times as long as the simulation."""
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
    """The mean number of vehicles on a link, or waiting to enter it, beyond those of free flow."""
    entered, left = np.asarray(link.cum_arrival, float), np.asarray(link.cum_departure, float)
    mean = float(np.mean(entered - left)) - float(left[-1]) * FREE_FLOW_SECONDS / duration
    if departures:  # the link of a terminal, outside of which vehicles wait
        wanted = np.cumsum(np.bincount(departures, minlength=duration)[:duration])
        mean += float(np.mean(wanted - entered[:duration]))
    return max(mean, 0.0)


def _free(world: Any) -> None:
    """Frees a world at once. Its objects form reference cycles of 30 MB, which would wait for the garbage collector."""
    for thing in (*world.VEHICLES.values(), *world.NODES, *world.LINKS, world.analyzer, world.ROUTECHOICE, world):
        vars(thing).clear()


class DelayScores(NamedTuple):
    """Scores of a simulation, in seconds; lower is better.

    Attributes:
        score: The mean time lost per trip plus its spread.
        mean: The mean time lost per trip.
        lost: The mean time lost per trip, by (start, end).
    """

    score: float
    mean: float
    lost: dict[Pair, float]


def score_delays(network: Network, result: SimulationResult, *, as_published: bool = False) -> DelayScores:
    """Scores a simulation by the mean time lost per trip plus its spread.

    The spread is the square root of the variance over the pairs of start and end, weighted by trips. A trip that is not
    completed counts as one second longer than the longest completed trip of its pair, or than the whole simulation.

    Args:
        network: The streets.
        result: The simulation.
        as_published: Whether to score as the Trace paper's public experiment does. By mistake it takes the number of
            pairs for the number of completed trips of a pair, so that nearly all trips count as not completed.
    """
    lost = {}
    pairs = sum(trips.completed > 0 for trips in result.trips.values())
    for pair, (n, completed, time, longest) in result.trips.items():
        free = network.free_time(pair)
        waiting = n - (pairs if as_published else completed)
        lost[pair] = (time - free * completed + (longest + 1 - free) * waiting) / n
    total = sum(n for n, *_ in result.trips.values())
    mean = sum(lost[pair] * trips.attempted for pair, trips in result.trips.items()) / total
    variance = sum((lost[pair] - mean) ** 2 * trips.attempted for pair, trips in result.trips.items()) / total
    return DelayScores(mean + math.sqrt(variance), mean, lost)
