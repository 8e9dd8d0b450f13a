"""Suites: lists of tasks with agents and budgets, which ``opto-gym run --suite NAME`` runs. Each suite is a TOML file.

The file has these keys: `about`, the purpose of the suite; `seeds`, the number of seeds; `test_scores`, when trials are
scored on test; `test_seed`, which draws the test splits, where they are not the published ones; `agents`, the agents
that run on every task; and `budget`, the limits of each trial. Then it has a ``[[tasks]]`` table for each task, with
the key `env` and these optional keys: `arguments`, the environment's arguments; `agents`, additional agents; and
`budget`, which replaces the suite's budget. An agent is a name, or ``["name", {setting = value}]``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec
from gymnasium.error import Error

from ... import registration
from ...core import NO_TEST_SEED
from ...errors import DataNotFound, MissingExtra
from ...utils.checks import budget_limits, check_name, one_of, seed_list
from ...utils.suggestions import did_you_mean
from ...utils.tables import as_struct, check_at, parse_toml, read_toml
from ...wrappers.observations import unwrapped
from ..amounts import Limits
from ..config import MOST_PAIRS, TEST_SEED_DRAWN, Named, RunConfig, check_test_seed, drawn_test_seed, named
from ..endpoints import CallSettings
from ..planning import Plan, Planned, grid
from ..scoring import SCORING
from ..trust import Found, of_tasks
from ..trust import check as check_trust


class _TaskTable(msgspec.Struct, forbid_unknown_fields=True):
    """A ``[[tasks]]`` table of a suite's file."""

    env: str
    arguments: dict[str, Any] = {}
    agents: list[str | tuple[str, dict[str, Any]]] = []
    budget: dict[str, Any] | None = None


class _SuiteFile(msgspec.Struct, forbid_unknown_fields=True):
    """The file of a suite."""

    about: str
    tasks: list[_TaskTable]
    seeds: Annotated[int, msgspec.Meta(ge=1)] = 1
    test_scores: str = "end"
    test_seed: int | str | None = None
    agents: list[str | tuple[str, dict[str, Any]]] = []
    budget: dict[str, Any] = {}


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """One environment of a suite.

    Attributes:
        env: The environment's id or ``module:Class``.
        arguments: The environment's keyword arguments.
        agents: All agents that run on the task, including those of the suite.
        budget: The limits of each trial, by the names of `opto_gym.llm.LIMITS`.
    """

    env: str
    arguments: Mapping[str, Any]
    agents: tuple[Named, ...]
    budget: Mapping[str, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Suite:
    """A list of tasks.

    Attributes:
        about: The purpose of the suite, in one sentence.
        tasks: The tasks.
        seeds: The number of trials of each agent on each task.
        test_scores: When trials are scored on test: after ``each`` oracle call, at the ``end``, or ``never``.
        test_seed: As in `RunConfig`.
    """

    about: str
    tasks: tuple[Task, ...]
    seeds: int = 1
    test_scores: str = "end"
    test_seed: int | str | None = None


def names() -> list[str]:
    """The names of opto_gym's own suites."""
    files = resources.files(__name__).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load(name: str) -> Suite:
    """Reads a suite.

    Args:
        name: The name of one of opto_gym's suites, or the path of a file that ends in ``.toml``.

    Raises:
        ValueError: If there is no such suite, or if the file is not a valid suite. The message has the place in the
            file and what was expected there. `suite_plan` checks whether the environments and agents exist.
    """
    known = names()
    if not name.endswith(".toml") and name not in known:
        raise ValueError(
            f"there is no suite {name!r}: expected one of {known}, or the path of a .toml file"
            f"{did_you_mean(name, known)}"
        )
    try:
        if name.endswith(".toml"):
            if not Path(name).exists():
                raise ValueError("the file does not exist")
            tables = read_toml(Path(name))
        else:
            tables = parse_toml((resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))
        return _suite(as_struct(tables, _SuiteFile))
    except ValueError as e:
        raise ValueError(f"the suite {name} can't be read: {e}") from e


def _suite(file: _SuiteFile) -> Suite:
    """Makes a suite from the contents of its file, and checks the values of which only the types are known."""
    if not file.tasks:
        raise ValueError("expected at least one [[tasks]] table, got none")
    one_of(SCORING, test_scores=file.test_scores)
    check_at("seeds", seed_list, file.seeds)
    if sum(len(file.agents) + len(table.agents) for table in file.tasks) > MOST_PAIRS:
        raise ValueError(f"expected at most {MOST_PAIRS:,} pairs of task and agent, got more")
    for number, table in enumerate(file.tasks, 1):
        check_at(f"task {number}: env", check_name, table.env)
        for agent in (*file.agents, *table.agents):
            check_at(f"task {number}: agent", check_name, named(agent)[0])
    if file.test_seed not in (None, TEST_SEED_DRAWN):
        check_test_seed(file.test_seed)
    budget = check_at("budget", budget_limits, file.budget)
    tasks = [
        Task(
            env=table.env,
            arguments=table.arguments,
            agents=(*file.agents, *table.agents),
            budget=budget if table.budget is None else check_at(f"task {number}: budget", budget_limits, table.budget),
        )
        for number, table in enumerate(file.tasks, 1)
    ]
    return Suite(file.about, tuple(tasks), file.seeds, file.test_scores, file.test_seed)


def suite_plan(
    name: str,
    *,
    seeds: int | Sequence[int] | None = None,
    limits: Mapping[str, float | None] | None = None,
    test_scores: str | None = None,
    test_seed: int | str | None = None,
    agents: Sequence[Named] | None = None,
    trust: bool = False,
    **settings: Any,
) -> Plan:
    """Plans the trials of a suite. Pairs of task and agent that can't run on this machine are skipped with a reason.

    Args:
        name: As for `load`.
        seeds: The number of seeds or the seeds themselves; replaces the suite's number.
        limits: Limits of each trial; each one replaces the tasks' limit of the same name, and None keeps that.
        test_scores: Replaces the suite's `test_scores`; None keeps it.
        test_seed: Replaces the suite's `test_seed`; None keeps it. Tasks that can't draw a test split are skipped.
        agents: Replace the agents of every task; None keeps them.
        trust: Whether to use what a suite's file names and is not registered, if this user has not trusted it before;
            see `leaderboard.trust`.
        settings: Further arguments of `plan`: `cap`, the models, the endpoint, `mask`, `feedback`, `wrappers`.

    Raises:
        ValueError: If a task can't be planned, for example because its environment does not exist; the message has the
            number of the task. Also if no task can run on this machine.
        TrustError: If a suite's file names what is not registered, and `trust` is not set.
    """
    suite = load(name)
    if name.endswith(".toml"):
        check_trust(_named_code(suite, with_agents=agents is None), name, trust=trust)
    new_limits = {k: v for k, v in (limits or {}).items() if v is not None}
    test_seed = drawn_test_seed(suite.test_seed if test_seed is None else test_seed)  # one for all tasks
    seeds, scores = suite.seeds if seeds is None else seeds, test_scores or suite.test_scores
    common = {"seeds": seeds, "test_scores": scores, "test_seed": test_seed, **settings}
    with_model = bool(settings.get("task_model") or settings.get("model"))
    trials, calls = dict[str, Planned](), CallSettings()
    skipped: list[tuple[str, str, str]] = []
    for number, task in enumerate(suite.tasks, 1):
        for agent in task.agents if agents is None else agents:
            agent_name, _ = named(agent)
            try:
                reason = unsupported_pair(task, agent_name, with_model, test_seed)
                if reason is None:
                    env, budget = (task.env, task.arguments), {**task.budget, **new_limits}
                    made = grid(RunConfig.of([env], [agent], limits=budget, **common))
                    trials.update(made.trials)
                    calls = made.calls
            except (MissingExtra, DataNotFound) as e:
                reason = str(e)
            except (ValueError, TypeError, KeyError, ImportError, Error) as e:
                raise ValueError(f"the suite {name}, task {number} ({task.env}): {e}") from e
            if reason is not None:
                skipped.append((task.env, agent_name, reason))
    _check_any(name, trials, skipped)
    cap = Limits.of({k: v for k, v in (settings.get("cap") or {}).items() if v is not None})
    return Plan(trials, tuple(skipped), cap, scores, calls)


def _check_any(name: str, trials: Mapping[str, Planned], skipped: Sequence[tuple[str, str, str]]) -> None:
    if not trials:
        reasons = "; ".join(f"{env}: {reason}" for env, _, reason in skipped)
        raise ValueError(f"expected at least one task of the suite {name} to be able to run, got none: {reasons}")


def _named_code(suite: Suite, *, with_agents: bool) -> Found:
    """What a suite names that is not registered."""
    agents = [agent for task in suite.tasks for agent in task.agents] if with_agents else []
    return of_tasks([(task.env, task.arguments) for task in suite.tasks], agents)


def unsupported_pair(task: Task, agent: str, with_model: bool, test_seed: int | None = None) -> str | None:
    """The reason why an agent can't run on a task, or None if it can.

    Args:
        task: The task.
        agent: The agent's name.
        with_model: Whether a model was named for the environments that use one.
        test_seed: Draws the task's test split; None takes the published one.
    """
    inner = unwrapped(registration.make(task.env, disable_env_checker=True, **task.arguments))
    if inner.uses_model and not with_model:
        return "the environment needs a language model: name one with --task-model"
    if test_seed is not None and not inner.draws_test:
        return f"the environment takes no test seed: {NO_TEST_SEED}"
    return registration.agent_class(agent).unsupported_reason(inner.problem)
