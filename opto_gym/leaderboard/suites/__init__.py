"""Suites: lists of tasks with agents and budgets, that ``opto-gym run --suite NAME`` runs. One TOML file a suite.

A file holds what the suite is `about`, its `seeds`, when it scores on test (`test_scores`), the `agents` that run on
every task and the `budget` of each trial; then a ``[[tasks]]`` table a task: `env`, and where wanted its `arguments`,
`agents` of its own beside the others, and a `budget` of its own. An agent is a name, or
``["name", {setting = value}]``.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ... import registration
from ...errors import DataNotFound, MissingExtra
from ...wrappers.observations import unwrapped
from ..config import Named, RunConfig
from ..planning import Plan, Planned, grid
from ..schema import Limits


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """One environment of a suite.

    Attributes:
        env: Its id or ``module:Class``.
        arguments: Its keyword arguments.
        agents: All that run on it.
        budget: Of each trial.
    """

    env: str
    arguments: Mapping[str, Any]
    agents: tuple[Named, ...]
    budget: Mapping[str, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Suite:
    """A list of tasks.

    Attributes:
        about: What it is for.
        tasks: Its tasks.
        seeds: Trials of each agent on each task.
        test_scores: When they are scored on test.
    """

    about: str
    tasks: tuple[Task, ...]
    seeds: int = 1
    test_scores: str = "end"


def names() -> list[str]:
    """The suites of opto_gym."""
    files = resources.files(__name__).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load(name: str) -> Suite:
    """A suite by its name, or by the path of a file of one's own, which ends in ``.toml``.

    Raises:
        ValueError: For an unknown name, or a file that holds no suite.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.exists():
            raise ValueError(f"there is no suite {name}: the file does not exist")
        text = path.read_text()
    elif name in names():
        text = (resources.files(__name__) / f"{name}.toml").read_text()
    else:
        raise ValueError(f"there is no suite {name!r}: expected one of {names()}, or the path of a .toml file")
    try:
        data = tomllib.loads(text)
        agents, budget = data.pop("agents", []), data.pop("budget", {})
        tasks = [_task(t, agents, budget) for t in data.pop("tasks")]
        return Suite(tasks=tuple(tasks), **data)
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as e:
        raise ValueError(f"the suite {name} can't be read: {type(e).__name__}: {e}") from e


def _task(data: dict[str, Any], agents: Sequence[Any], budget: Mapping[str, float]) -> Task:
    everyone = [a if isinstance(a, str) else (a[0], a[1]) for a in (*agents, *data.pop("agents", ()))]
    own = {"arguments": {}, "budget": budget, **data}
    return Task(agents=tuple(everyone), **own)


def suite_plan(
    name: str,
    *,
    seeds: int | Sequence[int] | None = None,
    limits: Mapping[str, float | None] | None = None,
    test_scores: str | None = None,
    agents: Sequence[Named] | None = None,
    **settings: Any,
) -> Plan:
    """The trials of a suite. What can't run on this machine is skipped, with the reason.

    Args:
        name: See `load`.
        seeds: How many, or which, in place of the suite's.
        limits: In place of the tasks' budgets of the same name.
        test_scores: In place of the suite's.
        agents: In place of each task's.
        settings: What `plan` takes beside these: `cap`, models, endpoint, `mask`, `feedback`, `wrappers`.

    Raises:
        ValueError: If nothing of it can run.
    """
    suite = load(name)
    new = {k: v for k, v in (limits or {}).items() if v is not None}
    scores = test_scores or suite.test_scores
    trials: dict[str, Planned] = {}
    skipped: list[tuple[str, str, str]] = []
    for task in suite.tasks:
        for agent in task.agents if agents is None else agents:
            called = agent if isinstance(agent, str) else agent[0]
            try:
                reason = unsupported_pair(task, called, bool(settings.get("task_model") or settings.get("model")))
                if reason is None:
                    config = RunConfig.of(
                        [(task.env, task.arguments)],
                        [agent],
                        seeds=suite.seeds if seeds is None else seeds,
                        limits={**task.budget, **new},
                        test_scores=scores,
                        **settings,
                    )
                    trials.update(grid(config).trials)
            except (MissingExtra, DataNotFound) as e:
                reason = str(e)
            if reason is not None:
                skipped.append((task.env, called, reason))
    if not trials:
        raise ValueError(f"nothing of the suite {name} can run: " + "; ".join(f"{e}: {why}" for e, _, why in skipped))
    cap = {k: v for k, v in (settings.get("cap") or {}).items() if v is not None}
    return Plan(trials, tuple(skipped), Limits.of(cap), scores)


def unsupported_pair(task: Task, agent: str, with_model: bool) -> str | None:
    """Why an agent can't run on a task, or None."""
    inner = unwrapped(registration.make(task.env, disable_env_checker=True, **task.arguments))
    if inner.uses_model and not with_model:
        return "a language model answers inside it: give one by --task-model"
    return registration.agent_class(agent).unsupported_reason(inner.problem)
