"""Wrappers that deliver wrong or late feedback.

They change the parts of the feedback. The score, the reward and the success of a call stay as they are, so that an
observation is complete, and an optimizer that uses only the score is not affected.
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
    """Stores the feedback on each call of an episode; a subclass chooses which of it is delivered.

    Args:
        env: The environment.

    Raises:
        TypeError: If there is no `OptoEnv` under the wrappers.
    """

    def __init__(self, env: gym.Env[TraceFeedback, dict[str, Any]]) -> None:
        unwrapped(env)
        super().__init__(env)
        self._parts: dict[int, tuple[Part, ...]] = {}

    def delivered(self, episode: int, call: int) -> tuple[Part, ...]:
        """The parts of feedback to deliver after a call, chosen from those in ``_parts``, by call.

        Args:
            episode: The episode's seed.
            call: The oracle call's number.
        """
        raise NotImplementedError

    def observe(self, observation: TraceFeedback, *, episode: int, call: int) -> TraceFeedback:
        """The observation of a call with the feedback that is delivered after it.

        Args:
            observation: The environment's.
            episode: The episode's seed.
            call: The oracle call's number; 0 is that of the start values, which begins an episode.
        """
        if call == 0:
            self._parts.clear()
        self._parts[call] = observation.feedback.parts
        parts = self.delivered(episode, call)
        return TraceFeedback(observation.graph, dataclasses.replace(observation.feedback, parts=parts))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[TraceFeedback, dict[str, Any]]:
        """Begins an episode; see `OptoEnv.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._observed(observation, info), info

    def step(self, action: dict[str, Any]) -> tuple[TraceFeedback, Any, bool, bool, dict[str, Any]]:
        """Makes one oracle call; see `OptoEnv.step`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._observed(observation, info), reward, terminated, truncated, info

    def _observed(self, observation: TraceFeedback, info: dict[str, Any]) -> TraceFeedback:
        return self.observe(observation, episode=unwrapped(self.env)._episode, call=info["call"])


class NoisyFeedback(Channel, gym.utils.RecordConstructorArgs):
    """Delivers with some probability wrong feedback: that on an earlier call, in the right form.

    With probability `p` the feedback on a call is replaced by that on an earlier call of the episode, drawn uniformly
    (call 0, that of the start values, is one of them). Feedback on call 0 is never replaced. Which calls get wrong
    feedback, and which, depends only on `seed`, the episode's seed and the call's number.

    Args:
        env: The environment.
        p: The probability of wrong feedback, 0 to 1.
        seed: The seed of the noise. It changes nothing else of an episode.

    Raises:
        ValueError: If an argument is out of range.
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
        """The parts of the call itself, or of an earlier one."""
        rng = np.random.default_rng([self.seed, episode, call])
        if call == 0 or rng.random() >= self.p:
            return self._parts[call]
        other = int(rng.integers(call))
        # With a threaded agent an earlier call may not be done yet: take the nearest one before it that is.
        return self._parts[max(n for n in self._parts if n <= other)]


class DelayedFeedback(Channel, gym.utils.RecordConstructorArgs):
    """Delivers feedback late: that on call n arrives after call n + k, with the number n in front.

    An observation holds the graph and the score of its own call, and the feedback on the call k before it; in the first
    k calls it holds none. The feedback on the last k calls of an episode is not delivered.

    Args:
        env: The environment.
        k: The delay in calls.

    Raises:
        ValueError: If `k` is not a whole number of 0 or more.
    """

    def __init__(self, env: gym.Env[TraceFeedback, dict[str, Any]], k: int) -> None:
        if type(k) is not int or k < 0:
            raise ValueError(f"DelayedFeedback: expected k to be a whole number of 0 or more, got {k!r}")
        self.k = k
        gym.utils.RecordConstructorArgs.__init__(self, k=k)
        Channel.__init__(self, env)

    def delivered(self, episode: int, call: int) -> tuple[Part, ...]:
        """The parts of the call k before, with its number in front of each text."""
        if not self.k:
            return self._parts[call]
        late = self._parts.get(call - self.k, ())
        return tuple(
            part._replace(content=f"[of call {call - self.k}] {part.content}")
            if part.media.startswith("text/")
            else part
            for part in late
        )
