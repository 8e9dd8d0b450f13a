"""Agents and tasks on the scripted endpoints: three calls each, and what came of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import opto_gym
from opto_gym.agents.toolkit.model_agent import ModelAgent
from opto_gym.errors import BudgetSpent, OptoGymError
from opto_gym.llm import Budget, Client, adapting
from opto_gym.registration import agent_class
from tests.support.openai_server import OpenAIServer
from tests.support.registered import AGENTS

from .profiles import PROFILES, Profile

ASKING = [name for name in AGENTS if issubclass(agent_class(name), ModelAgent)]
TASKS = {"GSM8K": "GSM8K-v1", "BBH": "BBH-object_counting-v1"}
CALLS = 3
SETTINGS: dict[str, dict[str, Any]] = {"OPRO": {"n": 2}}
PAGE = Path(__file__).parents[3] / "docs" / "models.md"
TABLE = re.compile(r"(?<=<!-- made by scripts/make_endpoints_table\.py -->\n).*?(?=<!-- end -->)", re.DOTALL)


class Cell(NamedTuple):
    """What came of three calls.

    Attributes:
        problem: What went wrong; "" if every call had a usable answer.
        changes: How the requests were changed, see `opto_gym.llm.adapting`.
    """

    problem: str
    changes: tuple[str, ...]

    def __str__(self) -> str:
        return self.problem or "✓"


def agent_cell(profile: Profile, name: str) -> Cell:
    """Three calls of an agent on `NumericalOptimization-v0`, with a schema where the agent has one."""

    def calls(llm: Client) -> Iterator[str]:
        env = opto_gym.make("NumericalOptimization-v0", oracle_calls=99)
        observation, _ = env.reset(seed=0)
        agent: Any = opto_gym.make_agent(name, model=llm.model, constrained=True, **SETTINGS.get(name, {}))
        agent.llm = llm
        agent.reset(env.unwrapped.problem, seed=0)
        while True:
            observation = env.step(agent.propose(observation))[0]
            yield from [said for said in agent.invalid_answers if "there before" not in said]  # OPRO's duplicates

    return _cell(profile, calls, "optimizer")


def task_cell(profile: Profile, name: str, first: Any = None) -> Cell:
    """Three calls of the model inside a task.

    Args:
        profile: The endpoint.
        name: The task, of `TASKS`.
        first: The endpoint's first response; None for the profile's own.
    """

    def calls(llm: Client) -> Iterator[str]:
        env = opto_gym.make(TASKS[name], data="sample", oracle_calls=99)
        env.unwrapped.llm = llm
        observation, _ = env.reset(seed=0)
        while True:
            yield from [said for said in [str(observation.feedback)] if "gave no reply" in said]
            observation = env.step(env.unwrapped.problem.start)[0]

    return _cell(profile, calls, "task", first)


def _cell(profile: Profile, calls: Any, role: str, first: Any = None) -> Cell:
    adapting.forget()
    with OpenAIServer(profile=profile.behave, script=[first] if first else None) as server:
        llm = Client(profile.model, base_url=server.url, role=role, budget=Budget({"llm_calls": CALLS}), attempts=3)
        problems: list[str] = []
        try:
            problems += calls(llm)
        except BudgetSpent:
            pass
        except OptoGymError as e:
            problems.append(str(e))
        answered = len({a.call for a in llm.ledger.attempts if a.error is None})
        changes = adapting.adaptations_of(llm.endpoint, llm.model).changes
    if answered < CALLS and not problems:
        problems.append(f"{answered} of {CALLS} calls were answered")
    return Cell("; ".join(dict.fromkeys(problems)), changes)


def row(profile: Profile) -> list[str]:
    """The row of an endpoint in the table: its name, how it is asked, and a cell for each agent and task."""
    cells = [agent_cell(profile, name) for name in ASKING] + [task_cell(profile, name) for name in TASKS]
    changes = dict.fromkeys(change for cell in cells for change in cell.changes)
    return [profile.name, adapting.describe_changes(sorted(changes)) or "as it is", *map(str, cells)]


def markdown(cells: list[str]) -> str:
    """A row in Markdown."""
    return f"| {' | '.join(cells)} |\n"


def how_to() -> str:
    """How each endpoint is reached, in Markdown."""
    head = markdown(["endpoint", "`OPENAI_BASE_URL`", "`OPENAI_API_KEY`", "`OPTO_GYM_MODEL`"]) + "| --- " * 4 + "|\n"
    return head + "".join(
        markdown([p.name, f"`{p.url}`", f"`${p.key}`" if p.key else "not needed", f"`{p.model}`"]) for p in PROFILES
    )


def table() -> str:
    """Both tables, in Markdown."""
    columns = ["endpoint", "is asked", *ASKING, *TASKS]
    head = markdown(columns) + "| --- " * len(columns) + "|\n"
    return f"{how_to()}\n{head}{''.join(markdown(row(p)) for p in PROFILES)}"
