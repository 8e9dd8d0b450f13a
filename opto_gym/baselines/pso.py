"""A particle swarm, by pyswarms."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..agents.base import Run
from ..problems import TraceFeedback
from ..utils.checks import at_least, number_in
from ..utils.extras import need
from .search import Search


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
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".yaml") as quiet:
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
