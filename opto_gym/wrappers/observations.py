"""Wrappers that hide parts of an observation: the ablations of the Trace paper and of LLF-Bench."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import gymnasium as gym

from ..core import KINDS, OptoEnv, TraceFeedback
from ..trace import PARTS, TraceGraph
from ..trace.graph import GraphNode, OperatorInfo

_Base = gym.ObservationWrapper[TraceFeedback, dict[str, Any], TraceFeedback]


class MaskGraph(_Base, gym.utils.RecordConstructorArgs):
    """Hides parts of the trace graph; the Trace paper's masked variant hides the first four.

    Args:
        env: The environment.
        parts: Of ``code``, ``documentation``, ``inputs``, ``others``, ``constraints``.
    """

    def __init__(self, env: gym.Env[TraceFeedback, dict[str, Any]], parts: Sequence[str]) -> None:
        self.parts = _known("parts of the graph", parts, PARTS)
        gym.utils.RecordConstructorArgs.__init__(self, parts=list(self.parts))
        gym.ObservationWrapper.__init__(self, env)

    def observation(self, observation: TraceFeedback) -> TraceFeedback:
        """The observation with its graph masked."""
        return TraceFeedback(observation.graph.masked(self.parts), observation.feedback)


class FeedbackKinds(_Base, gym.utils.RecordConstructorArgs):
    """Keeps only some kinds of feedback. The score stays: an observation is complete without its text.

    It tells the environment, so that feedback inside the graph goes by it, too.

    Args:
        env: The environment.
        kinds: Of ``core.KINDS``.
    """

    def __init__(self, env: gym.Env[TraceFeedback, dict[str, Any]], kinds: Sequence[str]) -> None:
        self.kinds = _known("kinds of feedback", kinds, KINDS)
        gym.utils.RecordConstructorArgs.__init__(self, kinds=list(self.kinds))
        gym.ObservationWrapper.__init__(self, env)
        inner = env.unwrapped
        assert isinstance(inner, OptoEnv)
        inner.keep_feedback([k for k in self.kinds if k in inner.feedback_kinds])

    def observation(self, observation: TraceFeedback) -> TraceFeedback:
        """The observation with its feedback reduced."""
        return TraceFeedback(observation.graph, observation.feedback.only(self.kinds))


class ScalarOnly(_Base, gym.utils.RecordConstructorArgs):
    """Black-box optimization: the score of the parameters, and no word of how it came to be.

    The graph has the parameters and, in the output's place, the score. No feedback is given; the environment is told,
    as by `FeedbackKinds`.

    Args:
        env: The environment.
    """

    def __init__(self, env: gym.Env[TraceFeedback, dict[str, Any]]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.ObservationWrapper.__init__(self, env)
        inner = env.unwrapped
        assert isinstance(inner, OptoEnv)
        inner.keep_feedback([])

    def observation(self, observation: TraceFeedback) -> TraceFeedback:
        """The observation with its score alone."""
        graph, feedback = observation
        parameters = [graph.nodes[i] for i in graph.parameters]
        operators = tuple(graph.operators[n.operator] for n in parameters)
        n = len(parameters)
        score = OperatorInfo("score", "operator", "The score of the parameters.")
        output = GraphNode(n, tuple(range(n)), feedback.score)
        nodes = (*(GraphNode(k, (), q.shown) for k, q in enumerate(parameters)), output)
        black_box = TraceGraph((*operators, score), nodes, tuple(range(n)), n)
        return TraceFeedback(black_box, dataclasses.replace(feedback, parts=()))


def _known(what: str, given: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        given = [g for g in given.split(",") if g]
    unknown = [g for g in given if g not in known]
    if unknown:
        raise ValueError(f"expected {what} of {list(known)}, got {unknown}")
    return tuple(k for k in known if k in given)
