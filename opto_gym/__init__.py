"""opto_gym: benchmarking optimizers that learn from execution traces (OPTO).

>>> import opto_gym
>>> env = opto_gym.make("NumericalOptimization-v0", oracle_calls=5)
>>> (graph, feedback), info = env.reset(seed=0)
"""

from typing import TYPE_CHECKING, Any

from . import errors, trace
from .core import (
    KINDS,
    Anchors,
    Evaluation,
    Feedback,
    OptoEnv,
    Parameter,
    Parameters,
    Part,
    Problem,
    TraceFeedback,
    normalized,
)
from .errors import BudgetSpent, OptoGymError
from .registration import (
    make,
    make_agent,
    register,
    register_agent,
    registered_agents,
    registered_envs,
    registry,
    spec,
)
from .spaces import Choice, Code, Number, Permutation, Prompt

if TYPE_CHECKING:
    from .functional import from_function

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "from_function":  # imports agents and optimizers, which a plain import need not
        from .functional import from_function

        return from_function
    raise AttributeError(f"module 'opto_gym' has no attribute {name!r}")


__all__ = [
    "KINDS",
    "Anchors",
    "BudgetSpent",
    "Choice",
    "Code",
    "Evaluation",
    "Feedback",
    "Number",
    "OptoEnv",
    "OptoGymError",
    "Parameter",
    "Parameters",
    "Part",
    "Permutation",
    "Problem",
    "Prompt",
    "TraceFeedback",
    "errors",
    "from_function",
    "make",
    "make_agent",
    "normalized",
    "register",
    "register_agent",
    "registered_agents",
    "registered_envs",
    "registry",
    "spec",
    "trace",
]
