"""Registers environments and agents by name: opto_gym's own, those of plug-ins (entry points), or ``module:Name``.

Environments are kept in Gymnasium's own registry, in the namespace ``opto_gym``. A plug-in is a package that declares

.. code-block:: toml

    [project.entry-points."opto_gym.envs"]
    "Mine-v0" = "my_package.envs:Mine"

    [project.entry-points."opto_gym.agents"]
    "MyAgent" = "my_package.agents:MyAgent"

Plug-ins are looked up when a name is not known, and before names are listed.

``module:Name`` must be a class of the right kind, or a function that is declared by `env_factory`: other functions are
refused without a call, so that a name such as ``os:system`` runs nothing.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import re
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from .utils.arguments import naming_arguments
from .utils.loading import import_module, join_working_folder, load_class, split_path
from .utils.suggestions import did_you_mean

if TYPE_CHECKING:
    from .agents import Agent

F = TypeVar("F", bound=Callable[..., Any])

NAMESPACE = "opto_gym"

registry = gym.registry
"""Environments by their full id: Gymnasium's own registry."""

AGENTS: dict[str, str] = {}
"""Agents by name; a value is ``"module:Class"``."""

BASES: dict[str, type] = {}
"""The base classes that classes of users are checked against, ``"env"`` and ``"agent"``. The packages `envs` and
`agents`, which this module can't import, enter them."""

_ENV = "a subclass of opto_gym.OptoEnv, or a function with the decorator @opto_gym.env_factory"
_AGENT = "a subclass of opto_gym.agents.Agent"


def register(id: str, entry_point: str | Any, **keywords: Any) -> None:
    """Registers an environment in the namespace ``opto_gym`` of Gymnasium's registry.

    Args:
        id: ``"Name-v0"``; the version must change whenever a stored result would.
        entry_point: An `OptoEnv` subclass, or ``"module:Class"``.
        keywords: Further arguments of `gymnasium.register` (``kwargs``, ``nondeterministic``, ...).

    Raises:
        ValueError: If the id has no version, or another namespace.
    """
    if "/" in id and not id.startswith(f"{NAMESPACE}/"):
        raise ValueError(f"register() expected an id such as 'Name-v0', got {id!r}")
    if not re.search(r"-v\d+$", id):
        raise ValueError(f"register() expected an id that ends in a version, such as {id}-v0, got {id!r}")
    gym.register(_full(id), entry_point=entry_point, **keywords)


def register_agent(name: str, entry_point: str) -> None:
    """Registers an agent.

    Args:
        name: The name that `make_agent` and the command line take.
        entry_point: ``"module:Class"``.

    Raises:
        ValueError: If the entry point has another form.
    """
    split_path(entry_point)
    AGENTS[name] = entry_point


def env_factory(function: F) -> F:
    """Declares a function that makes an environment, so that it can be named as ``module:function``.

    A function without this decorator is never called by its name. One that is registered needs no decorator.

    Args:
        function: Takes the environment's keyword arguments and returns an `OptoEnv`.

    Returns:
        The function itself.
    """
    function.makes_opto_env = True  # type: ignore[attr-defined]
    return function


def make(id: str | EnvSpec, **keywords: Any) -> gym.Env[Any, Any]:
    """Makes an environment.

    Args:
        id: ``"Battleship-v0"``, with or without the namespace; ``"module:Class"``, or ``"module:function"`` for a
            function that `env_factory` declares; or a spec.
        keywords: The environment's arguments, such as ``oracle_calls`` and ``render_mode``.

    Raises:
        gymnasium.error.NameNotFound: For an unknown name; the message has similar names.
        gymnasium.error.VersionNotFound: For a name without its version, or with another one; the message has the
            version that exists.
        ValueError: If a module, or the class in it, does not exist.
        ImportError: If the module can't be imported.
        TypeError: If the class is no `OptoEnv`, or for an unknown argument; the message has those that exist.
        MissingExtra: If a package of one of opto_gym's extras is missing; the message says how to install it.
    """
    wanted = spec(id) if isinstance(id, str) else id
    entry = _entry(wanted)
    with naming_arguments(entry, {**wanted.kwargs, **keywords}), _of_function(wanted):
        env = gym.make(wanted, **keywords)
    inner = env.unwrapped
    if not isinstance(inner, BASES["env"]):  # a function made it
        raise TypeError(f"{wanted.entry_point!r}: expected {_ENV}; the function returned a {type(inner).__name__}")
    if inner.spec is not None and getattr(inner, "nondeterministic", False):  # its arguments may decide that
        inner.spec.nondeterministic = True
    return env


def spec(id: str) -> EnvSpec:
    """The specification of an environment, as `gymnasium.spec` returns it. The arguments and errors are `make`'s."""
    if ":" in id:
        return _spec_of_path(id)
    full = _full(id)
    if full not in gym.registry:
        load_plugins()
    if full not in gym.registry and full.startswith(f"{NAMESPACE}/"):
        raise _unknown_env(id)
    return gym.spec(full)


def env_class(id: str) -> Any:
    """The class of an environment, or the function that makes it. Nothing is made, so no data is needed."""
    return _entry(spec(id))


def registered_envs() -> list[str]:
    """The ids of all registered environments, without the namespace, sorted."""
    load_plugins()
    return sorted(i.removeprefix(f"{NAMESPACE}/") for i in gym.registry if i.startswith(f"{NAMESPACE}/"))


def registered_agents() -> list[str]:
    """The names of all registered agents, sorted."""
    load_plugins()
    return sorted(AGENTS)


def agent_class(name: str) -> type[Agent]:
    """The class of an agent.

    Args:
        name: A registered name, or ``"module:Class"``.

    Raises:
        KeyError: For an unknown name; the message has similar names.
        ValueError: If a module, or the class in it, does not exist.
        ImportError: If the module can't be imported.
        TypeError: If the class is not derived from `Agent`.
        MissingExtra: If the module needs a package of one of opto_gym's extras that is missing.
    """
    if ":" not in name:
        if name not in AGENTS:
            load_plugins()
        if name not in AGENTS:
            raise _UnknownAgent(
                f"no agent is called {name!r}{did_you_mean(name, AGENTS) or '.'} "
                "`opto-gym agents` lists the names; an agent of your own is given as 'module:Class'"
            )
        name = AGENTS[name]
    else:
        join_working_folder()
    return load_class(name, BASES["agent"], _AGENT)  # type: ignore[no-any-return]


def make_agent(name: str, **settings: Any) -> Agent:
    """Makes an agent.

    Args:
        name: A registered name, or ``"module:Class"``.
        settings: The agent's settings, such as ``model``.

    Raises:
        KeyError, ValueError, ImportError: As `agent_class`.
        TypeError: As `agent_class`; and for an unknown setting, with those that exist.
        MissingExtra: If a package of one of opto_gym's extras is missing; the message says how to install it.
    """
    cls = agent_class(name)
    with naming_arguments(cls, settings):
        return cls(**settings)


@functools.cache
def load_plugins() -> None:
    """Registers what other packages declare. A broken plug-in causes a warning; the others are still registered."""
    for point in importlib.metadata.entry_points(group="opto_gym.envs"):
        try:
            split_path(point.value)
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


class _UnknownAgent(KeyError):
    __str__ = Exception.__str__  # KeyError would show the message's repr


def _full(id: str) -> str:
    return id if "/" in id else f"{NAMESPACE}/{id}"


def _entry(of: EnvSpec) -> Any:
    if isinstance(of.entry_point, str):
        return load_class(of.entry_point, BASES["env"], _ENV, allows=callable)  # whoever registers it, declares it
    return of.entry_point


@contextlib.contextmanager
def _of_function(wanted: EnvSpec) -> Iterator[None]:
    """Replaces Gymnasium's error for a function that returns no environment by one that names the function."""
    try:
        yield
    except TypeError as e:
        returned = re.match(
            r"The environment must inherit from the gymnasium.Env class, actual class: (.*?)\. See", str(e)
        )
        if returned is None:
            raise
        raise TypeError(f"{wanted.entry_point!r}: expected {_ENV}; the function returned a {returned[1]}") from e


def _is_env_factory(found: Any) -> bool:
    return callable(found) and getattr(found, "makes_opto_env", None) is True


def _unknown_env(id: str) -> gym.error.Error:
    """The error for an id that is not registered: a missing or wrong version, or an unknown name."""
    known = registered_envs()
    wanted = id.removeprefix(f"{NAMESPACE}/")
    name, _, version = re.fullmatch(r"(.*?)(-v(\d+))?", wanted, re.DOTALL).groups()  # type: ignore[union-attr]
    versions = [other for other in known if re.fullmatch(rf"{re.escape(name)}-v\d+", other)]
    if versions and version is None:
        return gym.error.VersionNotFound(f"expected an id with its version, such as {versions[-1]!r}, got {id!r}")
    if versions:
        return gym.error.VersionNotFound(f"{name} has no version {version!r}; did you mean {versions[-1]!r}?")
    found = did_you_mean(wanted, known) or did_you_mean(name, known)
    family = next((other for other in known if other.startswith(f"{name.partition('-')[0]}-")), None)
    page = f"`opto-gym envs {family}` shows the arguments of its family" if family else "`opto-gym envs` lists the ids"
    return gym.error.NameNotFound(f"no environment is called {id!r}{found or '.'} {page}")


def _spec_of_path(path: str) -> EnvSpec:
    """A spec for ``module:Class``, or for an id that importing the module registers."""
    join_working_folder()
    module_name, _, name = path.partition(":")
    if re.search(r"-v\d+$", name):
        import_module(path, module_name)
        return spec(name)
    load_class(path, BASES["env"], _ENV, allows=_is_env_factory)
    return EnvSpec(f"{name}-v0", entry_point=path)
