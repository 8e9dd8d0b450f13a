"""General search over numbers and choices, by well-kept libraries: it sees rewards, and neither graph nor words.

All minimize minus the reward. The start values' reward, which costs nothing, is told to each first. Numbers without
bounds are searched within 1,000 of zero, as their space samples them.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from ..agents.base import Agent, Run, Values, at_least, number_in
from ..core import Parameter, Problem, TraceFeedback
from ..extras import need
from ..spaces import REACH, Choice, Number


def reach(space: Number) -> tuple[float, float]:
    """Finite bounds; whole numbers for a space of those."""
    low, high = max(space.low, min(-REACH, space.high - REACH)), min(space.high, max(REACH, space.low + REACH))
    return (math.ceil(low), math.floor(high)) if space.integer else (low, high)


class Search(Agent):
    """What the searchers have in common.

    Attributes:
        chooses: Whether it takes parameters of kind choice.
        least: The fewest parameters that it takes.
    """

    chooses: ClassVar[bool] = True
    least: ClassVar[int] = 1

    @classmethod
    def why_not(cls, problem: Problem) -> str | None:
        """Why not: parameters must be numbers, or choices where the library takes those."""
        kinds = (Number, Choice) if cls.chooses else (Number,)
        if not all(isinstance(p.space, kinds) for p in problem.parameters):
            return f"{cls.__name__} searches numbers{' and choices' if cls.chooses else ''} alone"
        if len(problem.parameters) < cls.least:
            return f"{cls.__name__} needs {cls.least} parameters or more"
        return None

    def _seed(self) -> int:
        """A seed for a library."""
        return int(self.rng.integers(2**31 - 1))

    def _numbers(self) -> tuple[Any, Any, Any]:
        """(lower bounds, upper bounds, start) as arrays, where all parameters are numbers."""
        bounds: list[tuple[float, float]] = [reach(p.space) for p in self.problem.parameters]  # type: ignore[arg-type]
        low, high = np.array(bounds, dtype=float).T
        return low, high, np.clip([float(p.start) for p in self.problem.parameters], low, high)

    def _values(self, x: Sequence[Any]) -> Values:
        return {p.name: parameter_value(p, v) for p, v in zip(self.problem.parameters, x, strict=True)}


def parameter_value(p: Parameter, x: Any) -> Any:
    """A library's answer as a value of the parameter: the number, or the option of that number."""
    if isinstance(p.space, Choice):
        return p.space.options[int(x)]
    assert isinstance(p.space, Number)
    low, high = reach(p.space)
    return int(min(max(round(float(x)), low), high)) if p.space.integer else float(min(max(float(x), low), high))


def library_value(p: Parameter, value: Any) -> Any:
    """The inverse of `parameter_value`."""
    return p.space.options.index(value) if isinstance(p.space, Choice) else value


class GaussianProcess(Search):
    """Bayesian optimization with a Gaussian process: scikit-optimize's `gp_minimize`, asked and told.

    With the settings of the Trace paper's traffic experiment: the start values, 5 Sobol points, then the best of three
    acquisition functions ("gp_hedge"). It tries a point at random where it would repeat one, without skopt's warnings.
    Needs `pip install 'opto-gym[search]'`.

    Args:
        initial: Sobol points before the process takes over.
    """

    needs = ("skopt",)

    def __init__(self, *, initial: int = 5, **settings: Any) -> None:
        super().__init__(**settings)
        at_least(1, initial=initial)
        self.initial = initial

    def run(self) -> Run:
        """Asks and tells."""
        skopt = need("skopt")
        warnings.filterwarnings(
            "ignore", "The (balance properties of Sobol|objective has been evaluated)", module="skopt"
        )
        dimensions = [self._dimension(skopt.space, p) for p in self.problem.parameters]
        seed = self._seed()
        estimator = skopt.utils.cook_estimator(
            "GP", space=skopt.utils.normalize_dimensions(dimensions), random_state=seed, noise="gaussian"
        )
        optimizer = skopt.Optimizer(
            dimensions,
            estimator,
            n_initial_points=self.initial + 1,
            initial_point_generator="sobol",
            random_state=seed,
        )
        x = [library_value(p, p.start) for p in self.problem.parameters]
        observation: TraceFeedback = yield
        while True:
            optimizer.tell(x, -observation.feedback.reward)
            x = optimizer.ask()
            observation = yield self._values(x)

    @staticmethod
    def _dimension(space: Any, p: Parameter) -> Any:
        if isinstance(p.space, Choice):
            return space.Categorical(list(range(len(p.space.options))), name=p.name)
        assert isinstance(p.space, Number)
        low, high = reach(p.space)
        return (space.Integer if p.space.integer else space.Real)(low, high, name=p.name)


class TPE(Search):
    """The tree-structured Parzen estimator of optuna (Bergstra et al., NeurIPS 2011; Watanabe, 2023).

    Needs `pip install 'opto-gym[search]'`.
    """

    needs = ("optuna",)

    def run(self) -> Run:
        """Asks and tells."""
        optuna = need("optuna")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        space = {p.name: self._distribution(optuna.distributions, p) for p in self.problem.parameters}
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=self._seed()))
        observation: TraceFeedback = yield
        start = {p.name: library_value(p, p.start) for p in self.problem.parameters}
        study.add_trial(
            optuna.trial.create_trial(params=start, distributions=space, value=-observation.feedback.reward)
        )
        while True:
            trial = study.ask(space)
            observation = yield self._values([trial.params[name] for name in space])
            study.tell(trial, -observation.feedback.reward)

    @staticmethod
    def _distribution(kinds: Any, p: Parameter) -> Any:
        if isinstance(p.space, Choice):
            return kinds.CategoricalDistribution(list(range(len(p.space.options))))
        assert isinstance(p.space, Number)
        low, high = reach(p.space)
        return (kinds.IntDistribution if p.space.integer else kinds.FloatDistribution)(low, high)


class CMAES(Search):
    """Covariance matrix adaptation from the start values (Hansen, 2016), by cmaes.

    With the margin of Hamano et al. (GECCO 2022), which keeps whole numbers from getting stuck. Bounds are scaled to
    the unit cube; a generation is proposed one by one. Needs `pip install 'opto-gym[search]'`.

    Args:
        sigma: The first step size, as a share of the bounds' distance.
        population: A generation's size; None leaves it to the library (4 + 3 log of the number of parameters).
    """

    needs = ("cmaes",)
    chooses = False
    least = 2

    def __init__(self, *, sigma: float = 0.2, population: int | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        number_in("(0, inf)", sigma=sigma)
        if population is not None:
            at_least(2, population=population)
        self.sigma, self.population = sigma, population

    def run(self) -> Run:
        """Proposes a generation, then adapts."""
        cmaes = need("cmaes")
        low, high, start = self._numbers()
        width = high - low
        whole = np.array([p.space.integer for p in self.problem.parameters])  # type: ignore[attr-defined]
        optimizer = cmaes.CMAwM(
            mean=(start - low) / width,
            sigma=self.sigma,
            bounds=np.array([[0.0, 1.0]] * len(start)),
            steps=np.where(whole, 1 / width, 0.0),
            seed=self._seed(),
            population_size=self.population,
        )
        yield
        while True:
            told = []
            for _ in range(optimizer.population_size):
                x, kept = optimizer.ask()
                observation: TraceFeedback = yield self._values(low + x * width)
                told.append((kept, -observation.feedback.reward))
            optimizer.tell(told)


class PSO(Search):
    """A particle swarm (Kennedy and Eberhart, 1995) of pyswarms's parts.

    With the settings of the Trace paper's traffic experiment: 5 particles, one of them at the start values; pulls c1 =
    0.5 to each particle's best and c2 = 0.3 to the swarm's, inertia 1.9, periodic bounds, positions and velocities cut
    to whole numbers where the parameters are. (With an inertia above 1 a swarm never settles.)
    Needs `pip install 'opto-gym[search]'`.

    Args:
        particles: 5.
        c1: Pull to each particle's best.
        c2: Pull to the swarm's best.
        w: Inertia.
    """

    needs = ("pyswarms",)
    chooses = False

    def __init__(
        self, *, particles: int = 5, c1: float = 0.5, c2: float = 0.3, w: float = 1.9, **settings: Any
    ) -> None:
        super().__init__(**settings)
        at_least(1, particles=particles)
        number_in("[0, inf)", c1=c1, c2=c2, w=w)
        self.particles, self.options = particles, {"c1": c1, "c2": c2, "w": w}

    def run(self) -> Run:
        """Proposes the swarm, then moves it; the particle at the start values is known at first."""
        backend, at_bounds, of_velocity = _pyswarms()
        low, high, start = self._numbers()
        bounds = low, high
        whole = np.array([p.space.integer for p in self.problem.parameters])  # type: ignore[attr-defined]
        with _drawing(self._seed()):
            swarm = backend.create_swarm(self.particles, len(start), options=self.options, bounds=bounds)
        swarm.position[0] = start
        swarm.position, swarm.velocity = _cut(swarm.position, whole), _cut(swarm.velocity, whole)
        swarm.pbest_cost = np.full(self.particles, np.inf)
        observation: TraceFeedback = yield
        known = [observation]
        while True:
            observations = yield [self._values(x) for x in swarm.position[len(known) :]]
            swarm.current_cost = np.array([-o.feedback.reward for o in (*known, *observations)])
            known = []
            swarm.pbest_pos, swarm.pbest_cost = backend.compute_pbest(swarm)
            swarm.best_pos = swarm.pbest_pos[np.argmin(swarm.pbest_cost)]
            with _drawing(self._seed()):
                swarm.velocity = _cut(backend.compute_velocity(swarm, None, of_velocity, bounds), whole)
            swarm.position = _cut(backend.compute_position(swarm, bounds, at_bounds), whole)


def _cut(x: Any, whole: Any) -> Any:
    return np.where(whole, np.trunc(x), x)


@functools.cache
def _pyswarms() -> tuple[Any, Any, Any]:
    """The parts of pyswarms, periodic bounds, velocities as they are.

    At its import and at each handler pyswarms 1.3 takes over the process's logging and opens ``report.log`` in the
    working folder, unless a configuration is named in ``LOG_CFG``: for that moment one that changes nothing.
    """
    before = os.environ.get("LOG_CFG")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as quiet:
        quiet.write("{version: 1, incremental: true}")
        quiet.flush()
        os.environ["LOG_CFG"] = quiet.name
        try:
            backend = need("pyswarms.backend")
            return backend, backend.BoundaryHandler("periodic"), backend.VelocityHandler("unmodified")
        finally:
            if before is None:
                del os.environ["LOG_CFG"]
            else:
                os.environ["LOG_CFG"] = before


_GLOBAL_GENERATOR = threading.Lock()


@contextlib.contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """Lets pyswarms draw from NumPy's process-wide generator, seeded for a moment and then put back as it was."""
    with _GLOBAL_GENERATOR:
        state = np.random.get_state()
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)


class Grid(Search):
    """A grid over the whole space, as fine as the budget allows: the ceiling where a grid can be afforded.

    The parameters get equally many points, as far as their spaces have them, from bound to bound; those for which no
    second point is left keep their start value. Ends when all points are tried.

    Args:
        points: How many points at most; None takes the problem's number of oracle calls, or 100 where it has none.
    """

    def __init__(self, *, points: int | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        if points is not None:
            at_least(1, points=points)
        self.points = points

    def run(self) -> Run:
        """Proposes point by point."""
        parameters = self.problem.parameters
        counts = fair_counts([_size(p) for p in parameters], self.points or self.problem.oracle_calls or 100)
        yield
        for point in itertools.product(*(_points(p, n) for p, n in zip(parameters, counts, strict=True))):
            yield self._values(point)


def _size(p: Parameter) -> float:
    """How many values a parameter has."""
    if isinstance(p.space, Choice):
        return len(p.space.options)
    assert isinstance(p.space, Number)
    low, high = reach(p.space)
    return high - low + 1 if p.space.integer else math.inf


def fair_counts(sizes: Sequence[float], points: int) -> list[int]:
    """How many values of each parameter make a grid of at most so many points, as equal as can be."""
    counts = [1] * len(sizes)
    while True:
        grow = sorted((counts[k], k) for k in range(len(sizes)) if counts[k] < sizes[k])
        fits = [k for n, k in grow if math.prod(counts) // n * (n + 1) <= points]
        if not fits:
            return counts
        counts[fits[0]] += 1


def _points(p: Parameter, n: int) -> list[Any]:
    if n == 1:
        return [library_value(p, p.start)]
    if isinstance(p.space, Choice):
        return list(range(n))
    assert isinstance(p.space, Number)
    x = np.linspace(*reach(p.space), n)
    return [round(v) if p.space.integer else v for v in x.tolist()]
