"""What the graph is worth, with no model: solvers of locks that read it, and that do not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..agents.base import Agent, ProposalLoop, Values, check_graph
from ..problems import Problem, TraceFeedback
from ..spaces import Number
from ..trace import TraceGraph


def failed_digit(graph: TraceGraph) -> str:
    """The parameter that went into the check that failed: back from the output, through the place taken out of dial.

    Raises:
        OptoGymError: If the graph is masked or only a score.
    """
    check_graph("LockGraph", graph, "code")
    taken = graph.nodes[graph.output].inputs[0]
    assert isinstance(taken, int)
    dial, place = graph.nodes[taken].inputs
    assert isinstance(dial, int)
    assert not isinstance(place, int)
    digit = graph.nodes[dial].inputs[place.value]
    assert isinstance(digit, int)
    return graph.names[digit]


class _LockAgent(Agent):
    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Why not: only a lock's digits will do."""
        digit = Number(0, 1, integer=True)
        lock = all(p.name == f"d{i}" and p.space == digit for i, p in enumerate(problem.parameters))
        return None if lock else f"{cls.__name__} opens locks, with the binary digits d0, d1, ..."


class LockGraph(_LockAgent):
    """Flips the digit whose check failed, as the graph shows: at most one call a digit."""

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.values: Values = problem.start

    def propose(self, observation: TraceFeedback) -> Values:
        """The last digits with one flipped; the same where the lock is open, or the run broke off in an error."""
        graph, feedback = observation
        if not feedback.success and graph.error is None:
            name = failed_digit(graph)
            self.values[name] = 1 - self.values[name]
        return dict(self.values)


class LockBlind(_LockAgent):
    """Tries all combinations, in an order drawn from the seed: half of them on average, 2^(k-1) calls.

    There is nothing better without the graph. Beyond 20 digits the order is a random walk that may repeat itself.
    """

    def run(self) -> ProposalLoop:
        """Proposes combination after combination, and stays at the one that opens."""
        start = self.problem.start
        yield
        for number in itertools.cycle(self._order(len(start))):
            values = {name: number >> i & 1 for i, name in enumerate(start)}
            observation: TraceFeedback = yield values
            while observation.feedback.success:
                observation = yield values

    def _order(self, k: int) -> Iterator[int]:
        if k <= 20:
            return (int(n) + 1 for n in self.rng.permutation(2**k - 1))  # without the start's 0
        return (sum(int(b) << i for i, b in enumerate(self.rng.integers(2, size=k))) for _ in itertools.count())
