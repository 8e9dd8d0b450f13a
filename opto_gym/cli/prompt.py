"""``opto-gym prompt`` and ``tokens``: what an agent would send to its model, first or after a call. Nothing is sent."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from .. import registration
from ..errors import BudgetSpent, MissingExtra, OptoGymError, RecordError
from ..leaderboard.records import TrialFolder, read_trial
from ..leaderboard.replaying import Replayer
from ..leaderboard.schema import TrialRecord
from ..leaderboard.spec import TrialSpec
from ..leaderboard.trust import check as check_trust
from ..leaderboard.trust import of_spec, place_of_trial, without_endpoints
from ..llm import Budget, Client
from ..llm.answer import Answer, recorded_answer
from ..llm.calls import CallLine
from ..llm.record import CallRecord
from ..utils.text import visible
from ..utils.tokenizer import count_exactly
from ..wrappers.observations import unwrapped
from .arguments import parse_agent, parse_env

MAX_CALLS_WITHOUT_MODEL = 20
"""The number of oracle calls without a request to the model after which the search for a prompt ends with an error."""

DOMAINS = (
    "NumericalOptimization-v0",
    "Battleship-v0",
    "TrafficPaper-v0",
    "BBH-object_counting-v1",
    "MetaWorld-Reach-v1",
)
"""One task of each domain in the Trace paper's table of prompt tokens (Cheng, Nie and Swaminathan, NeurIPS 2024)."""

_HEADING = re.compile(r"^(?=#\w)", re.MULTILINE)


def show_prompt(options: argparse.Namespace) -> int:
    """Runs ``opto-gym prompt ENV AGENT``."""
    (env, arguments), (agent, settings) = parse_env(options.env, "ENV"), parse_agent(options.agent, "AGENT")
    if options.after is None:
        request = first_request(env, agent, env_arguments=arguments, settings=settings, seed=options.seed)
    else:
        request = request_after(*options.after, env=env, agent=agent, settings=settings, trust=options.trust)
    for message in request["messages"]:
        print(visible(f"--- {message['role']}\n{message['content']}"))
    others = {name: value for name, value in request.items() if name not in ("model", "messages")}
    print(f"--- and {json.dumps(others)}\n")
    table = Table("message", "part", "characters", "tokens", box=None)
    shown = parts(request["messages"])
    try:
        for role, heading, text in shown:
            table.add_row(role, heading, f"{len(text):,}", f"{count_exactly(text):,}")
        texts = [text for _, _, text in shown]
        table.add_row("total", "", f"{sum(map(len, texts)):,}", f"{sum(map(count_exactly, texts)):,}")
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

    @property
    def concurrency(self) -> int:
        """One, so that the first request of several that don't depend on each other is the one that is shown."""
        return 1

    def _call(self, request: dict[str, Any], *, record_body: bool, fewest_tokens: int | None = None) -> Answer:
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


class _RecordedAnswers(_Shown):
    """A client that gives the recorded answers in their order, and keeps the first request that comes after a call.

    Args:
        model: The recorded model.
        base_url: Its recorded endpoint.
        lines: The recorded calls of the optimizer's model.
        is_after: Whether the oracle has made the call after which a request is wanted.
    """

    def __init__(
        self, model: str | None, base_url: str | None, lines: Iterable[CallLine], is_after: Callable[[], bool]
    ) -> None:
        super().__init__(model, base_url=base_url)
        self._lines, self._is_after = iter(lines), is_after

    def _call(self, request: dict[str, Any], *, record_body: bool, fewest_tokens: int | None = None) -> Answer:
        if self._is_after():
            return super()._call(request, record_body=record_body)
        line = next(self._lines, None)
        if line is None:
            raise OptoGymError("the agent asked its model more often than the record says, before the call in question")
        return recorded_answer(line, None)


class _ReplayUntil(Replayer):
    """Replays a trial until a call, with the agent as it is now, and keeps what the agent would ask its model next."""

    agent_has_changed = False  # its recorded answers are read again, whatever else it asked then

    def __init__(self, record: TrialRecord, path: Path, call: int) -> None:
        super().__init__(record, path)
        self.test_scores, self.call = "never", call
        self.shown: _RecordedAnswers | None = None

    def _is_after(self) -> bool:
        return self.oracle is not None and self.oracle.steps[-1].call >= self.call

    def _client(self, model: str | None, role: str, budget: Budget | None, record: CallRecord) -> Client:
        if role != "optimizer":
            return super()._client(model, role, budget, record)
        lines = [line for line in self.folder.calls() if line.role == role and line.error is None]
        self.shown = _RecordedAnswers(model, self.spec.address(role), lines, self._is_after)
        return self.shown


def request_after(
    trial: str | Path,
    call: int,
    *,
    env: str,
    agent: str,
    settings: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> dict[str, Any]:
    """The request that an agent would send after an oracle call of a recorded trial. Nothing is sent.

    The trial's calls are evaluated again up to this one. The agent gets the recorded answers of its model.

    Args:
        trial: The trial's folder.
        call: The number of the oracle call; 0 is that of the start values.
        env: The trial's environment.
        agent: The trial's agent.
        settings: Settings of the agent to be tried in place of the recorded ones.
        trust: As for `opto_gym.leaderboard.replay`.

    Raises:
        OptoGymError: If the trial is of another environment or agent, has no such call, or the agent asked nothing
            after it.
        RecordError: If the folder holds no trial.
    """
    path = Path(trial)
    record = read_trial(path)
    if record is None:
        raise RecordError(f"{path} holds no trial.json: expected the folder of a trial")
    if (record.spec.env, record.spec.agent) != (env, agent):
        raise OptoGymError(
            f"expected {record.spec.env} and {record.spec.agent}, of which {path} is, got {env} and {agent}"
        )
    calls = [step.call for step in TrialFolder(path).steps()]
    if call not in calls:
        raise OptoGymError(f"expected a call of 0 to {max(calls, default=0)} in {path}, got {call}")
    check_trust(without_endpoints(of_spec(record.spec)), place_of_trial(path), trust=trust)
    spec = msgspec.structs.replace(record.spec, settings={**record.spec.settings, **(settings or {})})
    replayer = _ReplayUntil(msgspec.structs.replace(record, spec=spec), path, call)
    outcome = replayer.run()
    if replayer.shown is None or replayer.shown.request is None:
        raise OptoGymError(f"{agent} asked no model after call {call}: {outcome.error or 'its loop had ended'}")
    return replayer.shown.request


def parts(messages: Sequence[Mapping[str, str]]) -> list[tuple[str, str, str]]:
    """Divides messages at lines that begin with ``#Heading``; returns (role, heading, text) of each part."""
    found = []
    for message in messages:
        for text in filter(None, _HEADING.split(message["content"])):
            heading = re.match(r"#\w+", text)
            found.append((message["role"], heading.group() if heading else "", text))
    return found


def token_table(agents: Sequence[str] = ("OptoPrime", "OPRO-Trace"), envs: Sequence[str] = DOMAINS) -> list[list[Any]]:
    """A row for each first prompt: environment, agent, tokens of the system message, of the user message, of both."""
    rows: list[list[Any]] = []
    for env in envs:
        for agent in agents:
            messages = first_request(env, agent)["messages"]
            system, user = (
                sum(count_exactly(m["content"]) for m in messages if (m["role"] == "system") is first)
                for first in (True, False)
            )
            rows.append([env, agent, system, user, system + user])
    return rows
