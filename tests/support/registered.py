"""The registered agents and environments that tests of every one of them run on."""

from __future__ import annotations

import gymnasium as gym

import opto_gym
from opto_gym.agents.external.base import External
from opto_gym.registration import agent_class

# programs in processes of their own have a contract of their own, in test_external*.py
AGENTS = [name for name in opto_gym.registered_agents() if not issubclass(agent_class(name), External)]

REGISTERED = [name.removeprefix("opto_gym/") for name in gym.registry if name.startswith("opto_gym/")]
OLD = {f"{name}-v{k}" for name, _, version in (n.rpartition("-v") for n in REGISTERED) for k in range(int(version))}
"""Older versions of environments."""
REGISTERED = [name for name in REGISTERED if name not in OLD]
ENVS = list({opto_gym.spec(name).entry_point: name for name in reversed(REGISTERED)}.values())[::-1]
"""One environment a class, the one registered first; the others of its family differ in arguments alone."""
