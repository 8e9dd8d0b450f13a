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

import contextlib
import difflib
import functools
import importlib
import importlib.metadata
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

if TYPE_CHECKING:
    from .agents import Agent

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


@contextlib.contextmanager
def naming_arguments(made: Any, given: Mapping[str, Any]) -> Iterator[None]:
    """Where a class is called with an argument that it does not have, or without one that it needs, says what it has.

    Python's own message names neither the class that was asked for nor its arguments. It is mended where it comes up;
    a check beforehand would refuse what a class with ``**keywords`` takes out of them for itself.

    Args:
        made: What is called.
        given: The arguments that it is called with by name.

    Raises:
        TypeError: In place of Python's.
    """
    try:
        yield
    except TypeError as e:
        wrong = re.match(r"(\S+)\.__init__\(\) (got an unexpected|missing \d+ required) [^']*'(\w+)'", str(e))
        if wrong is None or not inspect.isclass(made) or wrong[1] not in {c.__qualname__ for c in made.__mro__}:
            raise
        known, name, unknown = _arguments(made), wrong[3], wrong[2].startswith("got")
        if (name in given, name in known) != (unknown, not unknown):
            raise  # the class's own mistake
        said = f"has no argument {name!r}" if unknown else f"needs the argument {name!r}"
        raise TypeError(f"{made.__name__} {said}; it has: {', '.join(known)}") from e


def _arguments(made: type) -> list[str]:
    """The arguments that a class takes by name: its own, and those of its bases where it passes others on."""
    names: set[str] = set()
    for cls in made.__mro__:
        if "__init__" in vars(cls):
            parameters = list(inspect.signature(vars(cls)["__init__"]).parameters.values())[1:]
            names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return sorted(names - {"env"})  # a wrapper's first, which is not given by name


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


register("Battleship-v0", "opto_gym.envs.battleship:Battleship")
register("BattleshipOnline-v0", "opto_gym.envs.battleship:BattleshipOnline")
register("NumericalOptimization-v0", "opto_gym.envs.numerical:NumericalOptimization")
register("BinaryLock-v0", "opto_gym.envs.lock:BinaryLock")
register("BlameAssign-v0", "opto_gym.envs.blame:BlameAssign")
register("LongTrace-v0", "opto_gym.envs.long_trace:LongTrace")
register("Traffic-v0", "opto_gym.envs.traffic:Traffic")
register("TrafficPaper-v0", "opto_gym.envs.traffic:TrafficPaper")
register("TrafficGrid-v0", "opto_gym.envs.traffic:TrafficGrid")
register("GSM8K-v0", "opto_gym.envs.questions:GSM8K", nondeterministic=True)
for _subject in ("college_physics", "machine_learning"):
    _settings = {"subject": _subject}
    register(f"MMLU-{_subject}-v0", "opto_gym.envs.questions:MMLU", kwargs=_settings, nondeterministic=True)
for _task in (
    *("boolean_expressions", "causal_judgement", "date_understanding", "disambiguation_qa", "dyck_languages"),
    *("formal_fallacies", "geometric_shapes", "hyperbaton", "logical_deduction_five_objects"),
    *("logical_deduction_seven_objects", "logical_deduction_three_objects", "movie_recommendation"),
    *("multistep_arithmetic_two", "navigate", "object_counting", "penguins_in_a_table"),
    *("reasoning_about_colored_objects", "ruin_names", "salient_translation_error_detection", "snarks"),
    *("sports_understanding", "temporal_sequences", "tracking_shuffled_objects_five_objects"),
    *("tracking_shuffled_objects_seven_objects", "tracking_shuffled_objects_three_objects", "web_of_lies"),
    "word_sorting",
):
    register(f"BBH-{_task}-v0", "opto_gym.envs.bbh:BBH", kwargs={"task": _task}, nondeterministic=True)
register("LinearRegression-v0", "opto_gym.envs.opro:LinearRegression")
register("TSP-v0", "opto_gym.envs.opro:TSP")
register("Greeting-v0", "opto_gym.envs.tutorials:Greeting")
register("StrangeSortList-v0", "opto_gym.envs.tutorials:StrangeSortList")
register("BatchRegression-v0", "opto_gym.envs.tutorials:BatchRegression")
register("Negotiation-v0", "opto_gym.envs.negotiation:Negotiation")

for _task in (
    *("reach", "push", "pick-place"),  # the paper's
    *("assembly", "box-close", "button-press", "button-press-topdown", "button-press-topdown-wall", "coffee-button"),
    *("coffee-push", "dial-turn", "door-close", "door-lock", "door-open", "door-unlock", "drawer-close"),
    *("drawer-open", "faucet-close", "faucet-open", "hand-insert", "handle-press-side", "handle-press"),
    *("plate-slide-back-side", "plate-slide-back", "plate-slide", "push-wall", "reach-wall"),
    *("sweep-into", "window-close", "window-open"),
):
    _name = "".join(map(str.capitalize, _task.split("-")))
    register(f"MetaWorld-{_name}-v0", "opto_gym.envs.metaworld:MetaWorld", kwargs={"task": f"{_task}-v3"})

for _name, _path in {
    "OptoPrime": "opto_gym.agents.optoprime:OptoPrime",
    "OptoPrime-NoMem": "opto_gym.agents.optoprime_variants:NoMem",
    "OptoPrime-Masked": "opto_gym.agents.optoprime_variants:Masked",
    "OptoPrime-Scalar": "opto_gym.agents.optoprime_variants:Scalar",
    "OptoPrime-CoT": "opto_gym.agents.optoprime_variants:CoT",
    "OptoPrime-FewShot": "opto_gym.agents.optoprime_variants:FewShot",
    "OptoPrime-Candidates": "opto_gym.agents.optoprime_variants:Candidates",
    "OPRO": "opto_gym.agents.opro:OPRO",
    "OPRO-Trace": "opto_gym.agents.opro_trace:OPROTrace",
    "TextGrad": "opto_gym.agents.textgrad:TextGrad",
    "TraceDescent": "opto_gym.agents.trace_descent:TraceDescent",
    "RandomSearch": "opto_gym.agents.random_search:RandomSearch",
    "Human": "opto_gym.agents.human:Human",
    "Program": "opto_gym.agents.external.program:Program",
    "Program-Model": "opto_gym.agents.external.program:ModelProgram",
    "external/trace-opt-OptoPrime": "opto_gym.agents.external.trace_opt:TraceOptOptoPrime",
    "external/trace-opt-OPRO": "opto_gym.agents.external.trace_opt:TraceOptOPRO",
    "external/gepa": "opto_gym.agents.external.gepa:GEPA",
    "external/dspy-COPRO": "opto_gym.agents.external.dspy:COPRO",
    "external/dspy-MIPROv2": "opto_gym.agents.external.dspy:MIPROv2",
    "external/dspy-SIMBA": "opto_gym.agents.external.dspy:SIMBA",
    "external/dspy-GEPA": "opto_gym.agents.external.dspy:GEPA",
    "external/textgrad": "opto_gym.agents.external.textgrad:TextGradPackage",
    "external/openevolve": "opto_gym.agents.external.openevolve:OpenEvolve",
    "Enumeration": "opto_gym.baselines.battleship:Enumeration",
    "EnumerationPublished": "opto_gym.baselines.battleship:EnumerationPublished",
    "Parity": "opto_gym.baselines.battleship:Parity",
    "HuntTarget": "opto_gym.baselines.battleship:HuntTarget",
    "Density": "opto_gym.baselines.battleship:Density",
    "Adam": "opto_gym.baselines.adam:Adam",
    "SCATS": "opto_gym.baselines.traffic:SCATS",
    "GaussianProcess": "opto_gym.baselines.search:GaussianProcess",
    "PSO": "opto_gym.baselines.search:PSO",
    "CMA-ES": "opto_gym.baselines.search:CMAES",
    "TPE": "opto_gym.baselines.search:TPE",
    "Grid": "opto_gym.baselines.search:Grid",
    "AdamBare": "opto_gym.baselines.numerical:AdamBare",
    "LBFGS": "opto_gym.baselines.numerical:LBFGS",
    "NelderMead": "opto_gym.baselines.numerical:NelderMead",
    "Bisection": "opto_gym.baselines.numerical:Bisection",
    "LockGraph": "opto_gym.baselines.locks:LockGraph",
    "LockBlind": "opto_gym.baselines.locks:LockBlind",
    "BlameGraph": "opto_gym.baselines.blame:BlameGraph",
    "BlameBlind": "opto_gym.baselines.blame:BlameBlind",
    "LeastSquares": "opto_gym.baselines.opro:LeastSquares",
    "NearestNeighbour": "opto_gym.baselines.opro:NearestNeighbour",
    "NearestInsertion": "opto_gym.baselines.opro:NearestInsertion",
    "FarthestInsertion": "opto_gym.baselines.opro:FarthestInsertion",
    "ExactTour": "opto_gym.baselines.opro:ExactTour",
    "ScriptedExpert": "opto_gym.baselines.metaworld:ScriptedExpert",
    "ModelAlone": "opto_gym.baselines.prompting:ModelAlone",
    "ChainOfThought": "opto_gym.baselines.prompting:ChainOfThought",
    "FewShot": "opto_gym.baselines.prompting:FewShot",
}.items():
    register_agent(_name, _path)
