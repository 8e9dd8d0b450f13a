"""What the tests of every registered environment share."""

from __future__ import annotations

import inspect

import pytest

from opto_gym import Code, registered_envs
from tests.support.registered import ENVS

ALL = registered_envs()
LONG = "TrafficPaper-v0"  # a second a call
SIBLINGS = [pytest.param(n, marks=() if n in ENVS and n != LONG else pytest.mark.slow) for n in ALL]
FULL = [pytest.param(name, marks=pytest.mark.slow if name == LONG else ()) for name in ENVS]


def best(env):
    """The reference solution, or the start where none is known."""
    return env.reference_solution() or env.problem.start


def code_of(env):
    """The parameters of kind code."""
    return [p for p in env.parameters if isinstance(p.space, Code)]


def arguments(env):
    """The constructor's arguments by name, with those of its bases."""
    signatures = [inspect.signature(c.__init__) for c in type(env).__mro__ if "__init__" in vars(c)]
    return {n: p for s in signatures for n, p in s.parameters.items() if p.kind is p.KEYWORD_ONLY}
