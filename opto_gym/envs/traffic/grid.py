"""The traffic signals of a grid of streets: many number parameters with one score."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core import OptoEnv, Parameters
from ...problems import Anchors, Feedback, Parameter, Part
from ...spaces import Number
from ...trace import Node, node, operator
from ..drawing import scenes
from .simulation import ENGINES, Link, Network, Pair, SimulationResult, Vehicle, score_delays, simulate

CYCLE, MIN_GREEN, DEPARTURES_END = 60, 10, 900  # seconds; all vehicles depart before the last
TURNING = 0.2  # the share of vehicles that turn once
MIN_QUEUE = 2.0  # vehicles: a shorter queue counts as none


def junction(row: int, column: int) -> str:
    """The name of a junction; row 0 is the northernmost, column 0 the westernmost."""
    return f"J_{row}_{column}"


@functools.cache
def network(n: int) -> Network:
    """The network of n x n junctions, with a terminal at both ends of each street."""
    places: dict[str, tuple[float, float]] = {junction(r, c): (c, -r) for r in range(n) for c in range(n)}
    signals = tuple(places)
    for k in range(n):
        places |= {f"W_{k}": (-1, -k), f"E_{k}": (n, -k), f"N_{k}": (k, 1), f"S_{k}": (k, -n)}
    streets = [([f"W_{k}", *(junction(k, c) for c in range(n)), f"E_{k}"], 0) for k in range(n)]
    streets += [([f"N_{k}", *(junction(r, k) for r in range(n)), f"S_{k}"], 1) for k in range(n)]
    links = tuple(
        Link(a, b, group)
        for street, group in streets
        for x, y in itertools.pairwise(street)
        for a, b in ((x, y), (y, x))
    )
    return Network(places, signals, links)


@functools.cache
def demand(n: int) -> dict[Pair, float]:
    """Flows in vehicles/s by (start, end).

    Each street has a flow of its own, equal in both directions; most vehicles go straight on.
    """
    rng = np.random.default_rng([20260101, n])
    rows, columns = rng.uniform(0.12, 0.36, n).round(3).tolist(), rng.uniform(0.06, 0.22, n).round(3).tolist()
    flows: dict[Pair, float] = {}
    for ends, flow_of, others in (("WE", rows, "NS"), ("NS", columns, "WE")):
        for k, flow in enumerate(flow_of):
            for start, end in ((ends[0], ends[1]), (ends[1], ends[0])):
                flows[f"{start}_{k}", f"{end}_{k}"] = (1 - TURNING) * flow
                for side in others:
                    for other in range(n):
                        flows[f"{start}_{k}", f"{side}_{other}"] = TURNING * flow / (2 * n)
    return flows


@functools.cache
def nominal(n: int) -> dict[str, dict[str, float]]:
    """Flows in vehicles/s into each junction, by phase, if all vehicles take the route with at most one turn."""
    into = {name: {"EW": 0.0, "NS": 0.0} for name in network(n).signals}
    for (start, end), flow in demand(n).items():
        for name, phase in route(n, start, end):
            into[name][phase] += flow
    return {name: {phase: round(f, 4) for phase, f in flows.items()} for name, flows in into.items()}


def route(n: int, start: str, end: str) -> list[tuple[str, str]]:
    """The junctions between two terminals, each with the phase in which it is entered."""
    (side, i), (goal, j) = ((name[0], int(name[2:])) for name in (start, end))
    along, across = ("EW", "NS") if side in "WE" else ("NS", "EW")
    first = range(n) if side in "WN" else range(n - 1, -1, -1)
    then: Sequence[int] = ()
    if (goal in "WE") != (side in "WE"):  # turns into street j and follows it from crossing i to the goal
        first = first[: first.index(j) + 1]
        then = range(i - 1, -1, -1) if goal in "WN" else range(i + 1, n)
    places = [(i, k, along) for k in first] + [(j, k, across) for k in then]
    return [(junction(*((k, street) if phase == "NS" else (street, k))), phase) for street, k, phase in places]


@functools.lru_cache(64)
def vehicles(n: int, seed: int) -> list[Vehicle]:
    """The vehicles of a day: for each (start, end) a Poisson number of them, at uniform times."""
    rng = np.random.default_rng(seed)
    return [
        Vehicle(start, end, int(t))
        for (start, end), flow in demand(n).items()
        for t in np.sort(rng.integers(DEPARTURES_END, size=rng.poisson(flow * DEPARTURES_END)))
    ]


@functools.lru_cache(256)
def simulate_day(n: int, seed: int, greens: tuple[int, ...], engine: str) -> SimulationResult:
    """Simulates a day; results are cached.

    Args:
        n: Streets in each direction.
        seed: The seed of the day.
        greens: Seconds of east-west green of each junction, in the order of the network's signals.
        engine: Of `ENGINES`.
    """
    streets = network(n)
    phases = {name: (green, CYCLE - green) for name, green in zip(streets.signals, greens, strict=True)}
    duration = DEPARTURES_END + 200 + 100 * n  # the last vehicles need time to arrive
    return simulate(streets, phases, vehicles(n, seed), duration=duration, seed=seed, engine=engine, reroute=120)


class TrafficGrid(OptoEnv):
    """Time the green lights of a whole grid of streets.

    ## Description
    n streets from west to east and n from north to south cross at n x n signals, all with a cycle of one minute. Each
    parameter is the green time of east-west traffic at one junction; north-south traffic has the rest. Streets have
    different flows. Four of five vehicles go straight on; the others turn once. UXsim simulates a quarter of an hour.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `J_0_0`, `J_0_1`, ... (row from the north, column from the west) | `Number(10, 50, integer=True)` | 15 |

    ## Observation
    The graph: for each junction its timing, made of its parameter and its nominal flows, and its queues after the
    simulation of all junctions; then the score. The feedback names the approaches with the longest queues.

    ## Reward
    Minus the score. The score is the mean time lost per trip, in seconds beyond the time on an empty road. A trip that
    is not completed counts as one second longer than the longest completed trip of the same start and end.

    ## Feedback
    * reward: "OVERALL SCORE: 151.7 seconds; 1620 of 2109 vehicles arrived."
    * hindsight_positive: "Junctions where nothing queues: J_0_1, J_2_1."
    * hindsight_negative: "Queueing most, vehicles on average: J_0_0 from W_0 30.1, ..." and, for values outside
      their space, "(ValueError) J_0_0: expected a number in [10, 50], got 60"

    ## Start
    An episode draws `batch` days, which all its calls share, so that equal values get equal scores.

    ## End
    After `oracle_calls` steps.

    ## Score and anchors
    The train split has 10^6 days; the test split has 20 others, which no episode draws. Linear scale, anchors of
    2026-11 for n = 3: 0 is the score of the start values, 223.4; 1 is the best known, 39.0, of green times halfway
    between an even split and one in proportion to the nominal flows (`reference_solution`; CMA-ES on three other days,
    with 288 calls, reached 39.3). For comparison, on the same days: the rule `SCATS` 42.8, an even split 43.0. For
    other n only the lower bound of 0 seconds is known, which is
    normalized to 1. A failure scores 1,000.

    ## Arguments
    * `n`: streets in each direction, 1 to 8; 3. There are n * n parameters.
    * `engine`: `"c++"`, or `"python"`, a variant of the task with slightly different scores; `"c++"`.
    * `batch`: days per oracle call; 1.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`, `test_seed`.

    ## Kind, cost and source
    A distribution of days. An example is a number, the seed from which a day's vehicles are drawn. An oracle call takes
    85 ms for n = 3, 1 to 2 s for n = 8, nearly all of it in UXsim. The task uses no language model and no data set.
    UXsim has the MIT licence. Needs `pip install 'opto-gym[traffic]'`.

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = (
        "Change the green times so that OVERALL SCORE becomes as small as possible. Each parameter is how many of the "
        f"{CYCLE} seconds of a junction's cycle are green for east-west traffic; north-south has the rest."
    )
    needs = ("uxsim",)
    scores = (1000.0, 0.0)
    splits: Mapping[str, Sequence[Any]] = {"train": range(10**6), "test": range(10**9, 10**9 + 20)}
    seeded_examples = True
    feedback_kinds = ("reward", "hindsight_positive", "hindsight_negative")
    anchors: Anchors | None = Anchors(223.4, 39.0, "2026-11", "the rule of `reference_solution`, on the 20 test days")

    def __init__(self, *, n: int = 3, engine: str = "c++", batch: int = 1, **keywords: Any) -> None:
        if type(n) is not int or not 1 <= n <= 8:
            raise ValueError(f"TrafficGrid: expected n from 1 to 8, got {n!r}")
        if engine not in ENGINES:
            raise ValueError(f"TrafficGrid: expected an engine of {ENGINES}, got {engine!r}")
        self.n, self.engine, self.batch = n, engine, batch
        self.network = network(n)
        if n != 3:
            self.anchors = Anchors(None, 0.0, "2026-11", "no vehicle ever waits: a bound")
        space = Number(MIN_GREEN, CYCLE - MIN_GREEN, integer=True)
        self.parameters = tuple(
            Parameter(name, space, 15, f"Seconds of east-west green at {name}.") for name in self.network.signals
        )
        super().__init__(**keywords)

    def draw(self, seed: int, call: int, last: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """The episode's days, which are the same in every call."""
        return super().draw(seed, 0)

    def forward(self, p: Parameters, example: Any) -> Any:
        """Simulates one day."""
        result = simulate_day(self.n, example, tuple(int(x.data) for x in p.values()), self.engine)
        score = score_delays(self.network, result).mean
        attempted, completed = (sum(getattr(t, k) for t in result.trips.values()) for k in ("attempted", "completed"))
        queues = {name: self._queues(name, result) for name in self.network.signals}

        @operator
        def timing(green: int, flows: dict[str, float]) -> dict[str, Any]:
            """A junction's cycle of 60 seconds: green for east-west traffic, then the rest for north-south.

            flows are the nominal flows into it by direction, in vehicles per second.
            """
            return {"EW green": int(green), "NS green": CYCLE - int(green), "flows": flows}

        @operator
        def simulate(timings: list[dict[str, Any]]) -> dict[str, Any]:
            """Simulates the traffic under all junctions' timings: how many vehicles set out and arrived."""
            return {"vehicles": attempted, "arrived": completed}

        @operator
        def queues_at(traffic: dict[str, Any], timing: dict[str, Any], junction: str) -> dict[str, float]:
            """How many vehicles queue at a junction on average, by the neighbour from which they come."""
            return queues[junction]

        @operator
        def overall(traffic: dict[str, Any], queues: list[dict[str, float]]) -> dict[str, float]:
            """OVERALL SCORE: mean seconds lost per vehicle, beyond an empty road's time; smaller is better.

            One that has not arrived counts as a little longer than the longest of its way.
            """
            return {"OVERALL SCORE": score}

        timings = [timing(p[name], node(flows, f"flows_{name}")) for name, flows in nominal(self.n).items()]
        traffic = simulate(timings)
        shown: list[Node] = []
        if "hindsight_negative" in self.feedback_kinds:
            shown = [queues_at(traffic, t, name) for name, t in zip(self.network.signals, timings, strict=True)]
        summary = f"OVERALL SCORE: {score:.4g} seconds; {completed} of {attempted} vehicles arrived."
        parts = (Part("reward", summary), *self._queue_parts(queues))
        return overall(traffic, shown), Feedback(score, parts, metrics={"queues": queues})

    def _queues(self, name: str, result: SimulationResult) -> dict[str, float]:
        return {a: round(q, 2) for (a, b), q in result.queues.items() if b == name}

    def _queue_parts(self, queues: Mapping[str, Mapping[str, float]]) -> list[Part]:
        parts = []
        free = [name for name, at in queues.items() if max(at.values()) < MIN_QUEUE]
        if free:
            parts.append(Part("hindsight_positive", f"Junctions where nothing queues: {', '.join(free)}."))
        worst = sorted(
            ((q, name, a) for name, at in queues.items() for a, q in at.items() if q >= MIN_QUEUE), reverse=True
        )
        if worst:
            longest = ", ".join(f"{name} from {a} {q:.1f}" for q, name, a in worst[:8])
            more = f" and {len(worst) - 8} other approaches" if len(worst) > 8 else ""
            parts.append(Part("hindsight_negative", f"Queueing most, vehicles on average: {longest}{more}."))
        return parts

    def reference_solution(self) -> dict[str, Any]:
        """Green times halfway between an even split and one in proportion to the nominal flows."""
        return {
            name: round(CYCLE / 4 + CYCLE / 2 * f["EW"] / (f["EW"] + f["NS"])) for name, f in nominal(self.n).items()
        }

    def render_text(self) -> str:
        """The number of vehicles that queue at each junction, as a table (of a batch, on the last day)."""
        assert self.last is not None
        queues = self.last.metrics.get("queues", {})
        rows = (
            "  ".join(f"{sum(queues.get(junction(r, c), {}).values()):6.1f}" for c in range(self.n))
            for r in range(self.n)
        )
        return "\n".join(rows) + f"\nscore {self.last.score:.4g}; vehicles that queue at each junction\n"

    def render_image(self) -> scenes.Picture:
        """The queues of the last call on the network (of a batch, those of the last day)."""
        assert self.last is not None
        graph, queues = self.last.graph, self.last.metrics.get("queues", {})
        greens = {graph.names[k]: scenes.label(graph.nodes[k].value) for k in graph.parameters}
        waiting = {(a, name): q for name, at in queues.items() for a, q in at.items()}
        title = f"score {self.last.score:.4g}"
        return scenes.streets(self.network.places, self.network.links, waiting, greens, title)
