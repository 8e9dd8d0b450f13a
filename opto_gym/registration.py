"""Names for environments and agents: built in, from plug-ins (entry points), or as ``module:Name``.

Environments live in Gymnasium's own registry, in the namespace ``opto_gym``. A plug-in is a package that declares

.. code-block:: toml

    [project.entry-points."opto_gym.envs"]
    "Mine-v0" = "my_package.envs:Mine"

    [project.entry-points."opto_gym.agents"]
    "MyAgent" = "my_package.agents:MyAgent"

Plug-ins are looked for at the first unknown name, and when names are listed.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import re
import warnings
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from .utils.moved import moved_names

if TYPE_CHECKING:
    from .agents import Agent
from .utils.arguments import naming_arguments

NAMESPACE = "opto_gym"

registry = gym.registry  # environments by full id: Gymnasium's own

AGENTS: dict[str, str] = {}
"""Agents by name; a value is ``"module:Class"``."""


def register(id: str, entry_point: str | Any, **keywords: Any) -> None:
    """Registers an environment in the namespace ``opto_gym`` of Gymnasium's registry.

    Args:
        id: ``"Name-v0"``; the version changes whenever a stored result would.
        entry_point: An `OptoEnv` subclass, or ``"module:Class"``.
        keywords: What `gymnasium.register` takes (``kwargs``, ``nondeterministic``, ...).
    """
    if "/" in id and not id.startswith(f"{NAMESPACE}/"):
        raise ValueError(f"register() expected an id such as 'Name-v0', got {id!r}")
    if not re.search(r"-v\d+$", id):
        raise ValueError(f"register() expected an id that ends in a version, such as {id}-v0, got {id!r}")
    gym.register(_full(id), entry_point=entry_point, **keywords)


def register_agent(name: str, entry_point: str) -> None:
    """Registers an agent.

    Args:
        name: What `make_agent` and the command line take.
        entry_point: ``"module:Class"``.
    """
    _split(entry_point)
    AGENTS[name] = entry_point


def make(id: str | EnvSpec, **keywords: Any) -> gym.Env[Any, Any]:
    """Makes an environment.

    Args:
        id: ``"Battleship-v0"``, with or without the namespace; ``"module:Class"``; or a spec.
        keywords: The environment's arguments, such as ``oracle_calls`` and ``render_mode``.

    Raises:
        gymnasium.error.NameNotFound: For an unknown name, with the nearest known one.
        gymnasium.error.VersionNotFound: For a name without its version, or with another, with the one that there is.
        TypeError: For an unknown argument, with those that there are.
        MissingExtra: If the extra that it needs is not installed; the message is the line that installs it.
    """
    wanted = spec(id) if isinstance(id, str) else id
    with naming_arguments(_entry(wanted), {**wanted.kwargs, **keywords}):
        env = gym.make(wanted, **keywords)
    inner = env.unwrapped
    if inner.spec is not None and getattr(inner, "nondeterministic", False):  # its arguments may have made it so
        inner.spec.nondeterministic = True
    return env


def spec(id: str) -> EnvSpec:
    """The spec of an environment, as `gymnasium.spec`; an unknown name of a known family comes with its page."""
    if ":" in id:
        return _own_spec(id)
    if id not in gym.registry and _full(id) not in gym.registry:
        load_plugins()
        versions = [name for name in gym.registry if re.fullmatch(rf"{re.escape(_full(id))}-v\d+", name)]
        if versions:
            known = versions[-1].removeprefix(f"{NAMESPACE}/")
            raise gym.error.VersionNotFound(f"expected an id with its version, such as {known!r}, got {id!r}")
    try:
        return gym.spec(_full(id))
    except gym.error.NameNotFound as e:
        family = _full(id).removeprefix(f"{NAMESPACE}/").partition("-")[0]
        relative = next((name for name in registered_envs() if name.startswith(f"{family}-")), None)
        if relative is None:
            raise
        raise gym.error.NameNotFound(f"{e} `opto-gym envs {relative}` tells the arguments of its family.") from None


def env_class(id: str) -> Any:
    """The class of an environment, or the function that makes it; none is made, which may want data or an extra."""
    return _entry(spec(id))


def registered_envs() -> list[str]:
    """The ids of all registered environments, without the namespace."""
    load_plugins()
    return sorted(i.removeprefix(f"{NAMESPACE}/") for i in gym.registry if i.startswith(f"{NAMESPACE}/"))


def registered_agents() -> list[str]:
    """The names of all registered agents."""
    load_plugins()
    return sorted(AGENTS)


def agent_class(name: str) -> type[Agent]:
    """The class of an agent: a registered name, or ``"module:Class"``.

    Raises:
        KeyError: For an unknown name, with the nearest known one.
    """
    if ":" not in name:
        if name not in AGENTS:
            load_plugins()
        if name not in AGENTS:
            near = difflib.get_close_matches(name, AGENTS, 1, 0.4)
            raise _Unknown(
                f"no agent is called {name!r}{f'; did you mean {near[0]!r}?' if near else ''}. "
                f"Registered: {', '.join(sorted(AGENTS))}; or give 'module:Class'"
            )
        name = AGENTS[name]
    return _load(name)  # type: ignore[no-any-return]


def make_agent(name: str, **settings: Any) -> Agent:
    """Makes an agent: a registered name or ``"module:Class"``, and its settings (``model``, ...).

    Raises:
        KeyError: For an unknown name, with the nearest known one.
        TypeError: For an unknown setting, with those that there are.
        MissingExtra: If the extra that it needs is not installed; the message is the line that installs it.
    """
    cls = agent_class(name)
    with naming_arguments(cls, settings):
        return cls(**settings)


@functools.cache
def load_plugins() -> None:
    """Registers what other packages declare. A broken plug-in is named in a warning and hides nothing else."""
    for point in importlib.metadata.entry_points(group="opto_gym.envs"):
        try:
            _split(point.value)
            if _full(point.name) not in gym.registry:
                register(point.name, point.value)
        except Exception as e:
            warnings.warn(f"plug-in environment {point.name!r} ({point.value}) is broken: {e}", stacklevel=2)
    for point in importlib.metadata.entry_points(group="opto_gym.agents"):
        try:
            if point.name not in AGENTS:
                register_agent(point.name, point.value)
        except Exception as e:
            warnings.warn(f"plug-in agent {point.name!r} ({point.value}) is broken: {e}", stacklevel=2)


class _Unknown(KeyError):
    __str__ = Exception.__str__


def _full(id: str) -> str:
    return id if "/" in id else f"{NAMESPACE}/{id}"


def _entry(of: EnvSpec) -> Any:
    return _load(of.entry_point) if isinstance(of.entry_point, str) else of.entry_point


def _split(path: str) -> tuple[str, str]:
    module, _, name = path.partition(":")
    if not module or not name.isidentifier():
        raise ValueError(f"expected 'module:Class', got {path!r}")
    return module, name


def _load(path: str) -> Any:
    module_name, name = _split(path)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as e:
        if e.name != module_name.split(".")[0] and e.name != module_name:
            raise
        raise ValueError(f"{path!r}: there is no module {module_name!r} on the path") from e
    if not hasattr(module, name):
        raise ValueError(f"{path!r}: the module {module_name!r} has no {name!r}")
    return getattr(module, name)


def _own_spec(path: str) -> EnvSpec:
    """A spec for ``module:Class``, or for an id that importing the module registers."""
    module_name, _, name = path.partition(":")
    if not name.isidentifier():
        importlib.import_module(module_name)
        return spec(name)
    if not callable(_load(path)):
        raise ValueError(f"{path!r}: expected an environment class, got {_load(path)!r}")
    return EnvSpec(f"{name}-v0", entry_point=path)


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {},
    )
