"""Particle swarm optimization, by the library pyswarms."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..agents.base import ProposalLoop
from ..problems import TraceFeedback
from ..utils.checks import at_least, number_in
from ..utils.extras import need
from .search import Search


class PSO(Search):
    """Particle swarm optimization (Kennedy and Eberhart, "Particle Swarm Optimization", ICNN 1995), by pyswarms.

    It has the settings of the Trace paper's traffic experiment (Cheng, Nie and Swaminathan, NeurIPS 2024): 5 particles,
    one of them at the start values; acceleration c1 = 0.5 to each particle's best and c2 = 0.3 to the swarm's best;
    inertia 1.9; periodic bounds. Where parameters are whole numbers, positions and velocities are truncated. (With an
    inertia above 1 a swarm does not converge.) Needs `pip install 'opto-gym[search]'`.

    Args:
        particles: The number of particles.
        c1: The acceleration to each particle's best.
        c2: The acceleration to the swarm's best.
        w: The inertia.
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

    def run(self) -> ProposalLoop:
        """Proposes the particles' positions, and moves the swarm. The start values' reward is known without a call."""
        backend, at_bounds, of_velocity = _pyswarms()
        low, high, start = self._numbers()
        bounds = low, high
        whole = np.array([p.space.integer for p in self.problem.parameters])  # type: ignore[attr-defined]
        with _seeded_numpy(self._seed()):
            swarm = backend.create_swarm(self.particles, len(start), options=self.options, bounds=bounds)
        swarm.position[0] = start
        swarm.position, swarm.velocity = _truncate(swarm.position, whole), _truncate(swarm.velocity, whole)
        swarm.pbest_cost = np.full(self.particles, np.inf)
        observation: TraceFeedback = yield
        known = [observation]
        while True:
            observations = yield [self._values(x) for x in swarm.position[len(known) :]]
            swarm.current_cost = np.array([-o.feedback.reward for o in (*known, *observations)])
            known = []
            swarm.pbest_pos, swarm.pbest_cost = backend.compute_pbest(swarm)
            swarm.best_pos = swarm.pbest_pos[np.argmin(swarm.pbest_cost)]
            with _seeded_numpy(self._seed()):
                swarm.velocity = _truncate(backend.compute_velocity(swarm, None, of_velocity, bounds), whole)
            swarm.position = _truncate(backend.compute_position(swarm, bounds, at_bounds), whole)


def _truncate(x: Any, whole: Any) -> Any:
    """Truncates the columns of x whose parameters are whole numbers."""
    return np.where(whole, np.trunc(x), x)


@functools.cache
def _pyswarms() -> tuple[Any, Any, Any]:
    """The backend of pyswarms, its handler of periodic bounds, and its handler that leaves velocities unchanged.

    At its import and for each handler, pyswarms 1.3 configures the process's logging and opens ``report.log`` in the
    working folder, unless ``LOG_CFG`` names a configuration. So it gets one that changes nothing.
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


_NUMPY_LOCK = threading.Lock()


@contextlib.contextmanager
def _seeded_numpy(seed: int) -> Iterator[None]:
    """Seeds NumPy's global generator, which pyswarms draws from, and restores its state afterwards."""
    with _NUMPY_LOCK:
        state = np.random.get_state()
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)
