"""Wrappers that hide parts of an observation, for the ablations of the Trace paper and of LLF-Bench."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym

from ..core import OptoEnv
from ..problems import KINDS, TraceFeedback
from ..trace import PARTS, TraceGraph
from ..trace.data import GraphNode, OperatorInfo
from ..utils.suggestions import did_you_mean

_Base = gym.ObservationWrapper[TraceFeedback, dict[str, Any], TraceFeedback]


def unwrapped(env: Any) -> OptoEnv:
    """The `OptoEnv` under the wrappers.

    Raises:
        TypeError: If there is none.
    """
    inner = getattr(env, "unwrapped", env)
    if not isinstance(inner, OptoEnv):
        raise TypeError(f"expected an OptoEnv, got {type(inner).__name__}")
    return inner


class MaskGraph(_Base, gym.utils.RecordConstructorArgs):
    """Hides parts of the trace graph. The Trace paper's masked variant hides the first four of those below.

    Args:
        env: The environment.
        parts: Any of ``code``, ``documentation``, ``inputs``, ``others``, ``constraints``.

    Raises:
        ValueError: For an unknown part.
    """

    def __init__(self, env: gym.Env[TraceFeedback, dict[str, Any]], parts: Sequence[str]) -> None:
        unwrapped(env)
        self.parts = _checked("parts of the graph", parts, PARTS)
        gym.utils.RecordConstructorArgs.__init__(self, parts=list(self.parts))
        gym.ObservationWrapper.__init__(self, env)

    def observation(self, observation: TraceFeedback) -> TraceFeedback:
        """The observation with its graph masked."""
        return TraceFeedback(observation.graph.masked(self.parts), observation.feedback)


class FeedbackKinds(_Base, gym.utils.RecordConstructorArgs):
    """Keeps only some kinds of feedback. The score stays, with which an observation is complete.

    The environment is informed by `OptoEnv.keep_feedback`, so that feedback inside the graph is left out, too.

    Args:
        env: The environment.
        kinds: Any of ``opto_gym.KINDS``.

    Raises:
        ValueError: For an unknown kind.
    """

    def __init__(self, env: gym.Env[TraceFeedback, dict[str, Any]], kinds: Sequence[str]) -> None:
        inner = unwrapped(env)
        self.kinds = _checked("kinds of feedback", kinds, KINDS)
        gym.utils.RecordConstructorArgs.__init__(self, kinds=list(self.kinds))
        gym.ObservationWrapper.__init__(self, env)
        inner.keep_feedback([k for k in self.kinds if k in inner.feedback_kinds])

    def observation(self, observation: TraceFeedback) -> TraceFeedback:
        """The observation with only the chosen kinds of feedback."""
        return TraceFeedback(observation.graph, observation.feedback.only(self.kinds))


_SCORE = "score"


class ScalarOnly(_Base, gym.utils.RecordConstructorArgs):
    """Reduces the observation to the parameters and their score, as in black-box optimization.

    The graph holds the parameters and, in place of the output, the score. There is no other feedback; the environment
    is informed as by `FeedbackKinds`.

    Args:
        env: The environment.
    """

    def __init__(self, env: gym.Env[TraceFeedback, dict[str, Any]]) -> None:
        unwrapped(env).keep_feedback([])
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.ObservationWrapper.__init__(self, env)

    def observation(self, observation: TraceFeedback) -> TraceFeedback:
        """The observation without anything but the parameters and the score."""
        return score_alone(observation)


def score_alone(observation: TraceFeedback) -> TraceFeedback:
    """Reduces an observation as `ScalarOnly` does: to the parameters and their score."""
    graph, feedback = observation
    parameters = [graph.nodes[i] for i in graph.parameters]
    operators = tuple(graph.operators[n.operator] for n in parameters)
    n = len(parameters)
    score = OperatorInfo(_SCORE, "operator", "The score of the parameters.")
    output = GraphNode(n, tuple(range(n)), feedback.score)
    nodes = (*(GraphNode(k, (), q.shown) for k, q in enumerate(parameters)), output)
    black_box = TraceGraph((*operators, score), nodes, tuple(range(n)), n)
    return TraceFeedback(black_box, dataclasses.replace(feedback, parts=()))


def only_the_score(graph: TraceGraph) -> bool:
    """Whether `score_alone` made a graph."""
    output = graph.operators[graph.nodes[graph.output].operator]
    return output.name == _SCORE and len(graph) == len(graph.parameters) + 1


def _checked(what: str, given: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        given = [g for g in given.split(",") if g]
    if not isinstance(given, Iterable) or any(g not in known for g in given):
        unknown = next((g for g in given if g not in known), "") if isinstance(given, Iterable) else ""
        raise ValueError(f"expected {what} of {list(known)}, got {given!r}{did_you_mean(unknown, known)}")
    return tuple(k for k in known if k in given)
