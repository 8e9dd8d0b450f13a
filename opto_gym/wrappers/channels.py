"""Wrappers that disturb the way of the feedback to the optimizer: what is said may be wrong, or late.

They change what is said, the parts of the feedback. Score, reward and success stay the call's own, so that an
observation is complete and an optimizer that goes by the score alone notices nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium as gym
import numpy as np

from ..problems import Part, TraceFeedback
from .observations import unwrapped

_Base = gym.Wrapper[TraceFeedback, dict[str, Any], TraceFeedback, dict[str, Any]]


class Channel(_Base):
    """Keeps what was said of each call of the episode, and lets a subclass choose what is heard."""

    def __init__(self, env: gym.Env[TraceFeedback, dict[str, Any]]) -> None:
        unwrapped(env)
        super().__init__(env)
        self._said: dict[int, tuple[Part, ...]] = {}

    def delivered(self, episode: int, call: int) -> tuple[Part, ...]:
        """What is heard after a call, of what was said so far."""
        raise NotImplementedError

    def observe(self, observation: TraceFeedback, *, episode: int, call: int) -> TraceFeedback:
        """The observation of a call as it is heard; calls come in order, from the episode's 0 on.

        Args:
            observation: What the environment gave.
            episode: The episode's seed.
            call: The oracle call's number; 0 is the start values'.
        """
        if call == 0:
            self._said.clear()
        self._said[call] = observation.feedback.parts
        parts = self.delivered(episode, call)
        return TraceFeedback(observation.graph, dataclasses.replace(observation.feedback, parts=parts))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[TraceFeedback, dict[str, Any]]:
        """Begins an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._observed(observation, info), info

    def step(self, action: dict[str, Any]) -> tuple[TraceFeedback, Any, bool, bool, dict[str, Any]]:
        """One oracle call."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._observed(observation, info), reward, terminated, truncated, info

    def _observed(self, observation: TraceFeedback, info: dict[str, Any]) -> TraceFeedback:
        return self.observe(observation, episode=unwrapped(self.env)._episode, call=info["call"])


class NoisyFeedback(Channel, gym.utils.RecordConstructorArgs):
    """Wrong feedback now and then: what was said of another call, in the right form, about other parameters.

    With probability `p` a call's feedback is that of an earlier call of the episode, drawn uniformly (the start
    values' is one of them). The start values' own feedback is always right. Which calls are wrong, and what is heard
    then, depends on `seed`, the episode's seed and the call's number alone.

    Args:
        env: The environment.
        p: The share of calls with wrong feedback, 0 to 1.
        seed: The noise's own; episodes of equal seed differ in nothing else.
    """

    def __init__(self, env: gym.Env[TraceFeedback, dict[str, Any]], p: float, seed: int = 0) -> None:
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
            raise ValueError(f"NoisyFeedback: expected p from 0 to 1, got {p!r}")
        if type(seed) is not int or seed < 0:
            raise ValueError(f"NoisyFeedback: expected a seed of 0 or more, got {seed!r}")
        self.p, self.seed = float(p), seed
        gym.utils.RecordConstructorArgs.__init__(self, p=self.p, seed=seed)
        Channel.__init__(self, env)

    def delivered(self, episode: int, call: int) -> tuple[Part, ...]:
        """The call's own, or an earlier one's."""
        rng = np.random.default_rng([self.seed, episode, call])
        if call == 0 or rng.random() >= self.p:
            return self._said[call]
        other = int(rng.integers(call))
        # an agent with threads may be heard before an earlier call is done: then the nearest that is
        return self._said[max(n for n in self._said if n <= other)]


class DelayedFeedback(Channel, gym.utils.RecordConstructorArgs):
    """Late feedback: what is said of call n is heard after call n + k, with its number in front.

    Until then an observation holds the call's own graph and score, and the feedback of k calls before; in the first k
    calls none. What is on its way when the episode ends is never heard.

    Args:
        env: The environment.
        k: How many calls late.
    """

    def __init__(self, env: gym.Env[TraceFeedback, dict[str, Any]], k: int) -> None:
        if type(k) is not int or k < 0:
            raise ValueError(f"DelayedFeedback: expected k to be a whole number of 0 or more, got {k!r}")
        self.k = k
        gym.utils.RecordConstructorArgs.__init__(self, k=k)
        Channel.__init__(self, env)

    def delivered(self, episode: int, call: int) -> tuple[Part, ...]:
        """What was said k calls before."""
        if not self.k:
            return self._said[call]
        late = self._said.get(call - self.k, ())
        return tuple(
            part._replace(content=f"[of call {call - self.k}] {part.content}")
            if part.media.startswith("text/")
            else part
            for part in late
        )
