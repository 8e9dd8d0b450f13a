"""The source of a module of a user's own, which leaves the file ``ran`` when it is imported."""

from __future__ import annotations

OWN = """
import pathlib
pathlib.Path("ran").touch()
from opto_gym.agents.random_search import RandomSearch
from opto_gym.envs.numerical import NumericalOptimization

class Env(NumericalOptimization): pass
class Agent(RandomSearch): pass
def answer(messages): return "1"
"""
