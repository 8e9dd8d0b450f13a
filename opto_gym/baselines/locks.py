"""Baselines for locks, one with the graph and one without: the difference is what the graph is worth."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..agents.base import Agent, ProposalLoop, Values, check_graph
from ..problems import Problem, TraceFeedback
from ..spaces import Number
from ..trace import TraceGraph


def failed_digit(graph: TraceGraph) -> str:
    """The digit whose check failed: the item of the dial that the output was computed from.

    Raises:
        OptoGymError: If the graph is masked, or only the score is left of it.
    """
    check_graph("LockGraph", graph, "code")
    item = graph.nodes[graph.output].inputs[0]
    assert isinstance(item, int)
    dial, index = graph.nodes[item].inputs
    assert isinstance(dial, int)
    assert not isinstance(index, int)
    digit = graph.nodes[dial].inputs[index.value]
    assert isinstance(digit, int)
    return graph.names[digit]


class _LockAgent(Agent):
    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """The reason if the parameters are not the binary digits of a lock, else None."""
        digit = Number(0, 1, integer=True)
        lock = all(p.name == f"d{i}" and p.space == digit for i, p in enumerate(problem.parameters))
        return None if lock else f"{cls.__name__} opens locks, whose parameters are the binary digits d0, d1, ..."


class LockGraph(_LockAgent):
    """Flips the digit whose check failed, as the graph shows. It needs at most one call for each digit."""

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, at its start values."""
        super().reset(problem, seed=seed)
        self.values: Values = problem.start

    def propose(self, observation: TraceFeedback) -> Values:
        """The last digits with one flipped; the same ones if the lock is open, or if the run ended in an error."""
        graph, feedback = observation
        if not feedback.success and graph.error is None:
            name = failed_digit(graph)
            self.values[name] = 1 - self.values[name]
        return dict(self.values)


class LockBlind(_LockAgent):
    """Tries all combinations in a random order: for k digits half of them on average, which is 2^(k-1) calls.

    Without the graph there is nothing better. For more than 20 digits it draws combinations, which may repeat.
    """

    def run(self) -> ProposalLoop:
        """Proposes one combination after the other, and repeats the one that opens the lock."""
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
