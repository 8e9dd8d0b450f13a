"""opto_gym: benchmarking optimizers that learn from execution traces (OPTO).

>>> import opto_gym
>>> env = opto_gym.make("NumericalOptimization-v0", oracle_calls=5)
>>> (graph, feedback), info = env.reset(seed=0)
"""

from typing import TYPE_CHECKING, Any

from . import agents as _agents  # noqa: F401  these three register what opto_gym.make and opto_gym.make_agent know
from . import baselines as _baselines  # noqa: F401
from . import envs as _envs  # noqa: F401
from . import errors, trace
from .core import OptoEnv, Parameters
from .errors import BudgetSpent, OptoGymError
from .problems import KINDS, Anchors, Evaluation, Feedback, Parameter, Part, Problem, TraceFeedback, normalized
from .registration import (
    env_factory,
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
from .utils.moved import install as _make_old_paths_importable

if TYPE_CHECKING:
    from .envs.function import from_function

__version__ = "0.1.0"
_make_old_paths_importable()


def __getattr__(name: str) -> Any:
    if name == "from_function":
        from .envs.function import from_function

        return from_function
    raise AttributeError(f"module 'opto_gym' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


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
    "env_factory",
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
