"""Which wrappers a trial can honour.

A trial evaluates parameters through the environment's stateless oracle (`OptoEnv.evaluate`), so that calls can be made
side by side and replayed; no wrapper's ``step`` or ``reset`` is called. It applies wrappers that change observations
alone. Any other would be dropped, and the trial's rewards would differ from those of the same environment by ``step``.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from ..errors import OptoGymError
from .channels import Channel

_CHECKS_ONLY = (OrderEnforcing, PassiveEnvChecker)  # `gymnasium.make` adds them; they change nothing


def check_wrappers(env: gym.Env[Any, Any]) -> None:
    """Checks that a trial can honour all wrappers of an environment.

    Args:
        env: The environment with its wrappers, those of an environment factory and of its spec included.

    Raises:
        OptoGymError: For a wrapper that can't be honoured; the message names it, the reason, and what to do.
    """
    while isinstance(env, gym.Wrapper):
        reason = unsupported_reason(env)
        if reason is not None:
            raise OptoGymError(f"a trial can't honour the wrapper {type(env).__name__}: {reason}")
        env = env.env


def unsupported_reason(wrapper: gym.Wrapper[Any, Any, Any, Any]) -> str | None:
    """Why a trial can't honour a wrapper, with what to do instead; None if it can."""
    cls = type(wrapper)
    if cls in _CHECKS_ONLY:
        return None
    if isinstance(wrapper, gym.ActionWrapper):
        return "it changes the parameters on their way to the environment. Change them in the environment's forward()"
    if isinstance(wrapper, gym.RewardWrapper):
        return "it changes the reward, which is the task's score. Change the score in the environment's judge()"
    if isinstance(wrapper, TimeLimit):
        return (
            "a trial's length is its budget. Leave out max_episode_steps, and give oracle_calls to the run or to the "
            "environment"
        )
    for base in (Channel, gym.ObservationWrapper, gym.Wrapper):
        if isinstance(wrapper, base):
            changed = [name for name in ("reset", "step") if getattr(cls, name) is not getattr(base, name)]
            if changed:
                return (
                    f"it defines {' and '.join(changed)}, which a trial does not call. Derive it from "
                    "gymnasium.ObservationWrapper if it changes observations alone; else move what it does into the "
                    "environment, or leave it out"
                )
            break
    return None
