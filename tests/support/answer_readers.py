"""Malformed answers through every reader of answers: what became of each, and whether a promise was broken."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import opto_gym
from opto_gym import OptoEnv
from opto_gym.interop import as_gepa_evaluator
from opto_gym.llm import Answer, Client
from opto_gym.reading.task_answers import ANSWER_KINDS, read, right
from tests.support.malformed_answers import VALUES, Everything, of_kind, recordable

OTHER = json.dumps({"suggestion": {**VALUES, "times": 1}})
AGENTS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "OptoPrime": ("OptoPrime", {}, ()),
    "OptoPrime, tags": ("OptoPrime", {"form": "tags"}, ()),
    "OptoPrime, compat": ("OptoPrime", {"parser": "compat"}, ()),
    "OptoPrime-CoT, thoughts too": ("OptoPrime-CoT", {}, ()),
    "OptoPrime-Candidates, selection": ("OptoPrime-Candidates", {"n": 2}, (json.dumps({"suggestion": VALUES}), OTHER)),
    "OPRO-Trace": ("OPRO-Trace", {}, ()),
    "OPRO": ("OPRO", {"n": 1}, ()),
    "TextGrad, criticism too": ("TextGrad", {"max_calls": 6}, ()),
}
"""Reader -> (agent, its settings, proper answers to its first calls)."""
FORMS = {"choice": r"\([A-Z]\)", "yes or no": "yes|no", "true or false": "true|false", "integer": r"-?\d+(\.\d+)?"}
FORMS |= {"valid or invalid": "valid|invalid", "words": r"\S+( \S+)*", "brackets": r"[()\[\]{}<>]( [()\[\]{}<>])*"}


class Outcome(NamedTuple):
    """What became of an answer.

    Attributes:
        seconds: Of the processor, from the (first) answer to the proposal.
        reasons: Why it was not used, or not all of it.
        values: The parameters proposed; None where the reader gives no parameters.
        broken: The promise that was broken, or None.
    """

    seconds: float
    reasons: list[str]
    values: dict[str, Any] | None = None
    broken: str | None = None


class Scripted(Client):
    """A client for a run of 100,000: its model says what it is told to, without the way over HTTP."""

    def __init__(self) -> None:
        super().__init__("scripted", base_url="http://localhost")
        self.first: list[str] = []
        self.then, self.since, self.asked = "", 0.0, 0

    def chat(self, messages: Any, **_: Any) -> Answer:
        text = self.first.pop(0) if self.first else self.then
        self.asked += 1
        self.since = self.since or time.process_time()
        return Answer(text, (text,), "stop", 0, 0, 0.0, None, "none")


def readers() -> Iterator[tuple[str, Callable[[str], Outcome]]]:
    """Every reader of answers with its name: the agents', the tasks' and the evaluator's for gepa."""
    env = Everything()
    start = env.evaluate(env.problem.start, seed=0).observation
    for name, (agent, settings, first) in AGENTS.items():
        yield name, _of_agent(opto_gym.make_agent(agent, model="scripted", **settings), env, start, first)
    for kind in ANSWER_KINDS:
        yield f"a task's answer, {kind}", _of_task(kind)
    evaluator = as_gepa_evaluator(env)

    def values(text: str) -> Outcome:
        begin = time.process_time()
        found = evaluator.values(dict.fromkeys(VALUES, text))
        return Outcome(time.process_time() - begin, [], found)  # texts as they are, where they are no values

    yield "a candidate of gepa's", values


def _of_agent(agent: Any, env: OptoEnv, start: Any, first: tuple[str, ...]) -> Callable[[str], Outcome]:
    agent.llm = client = Scripted()
    if hasattr(agent, "messages"):  # the prompt, which takes the longest, is the same each time
        agent.messages = _once(agent.messages)

    def propose(text: str) -> Outcome:
        turns = getattr(agent, "order", None)
        agent.reset(env.problem, seed=0)
        if turns is not None:  # TextGrad's parameters take turns
            agent.order = turns
        client.first, client.then, client.since, client.asked = list(first), text, 0.0, 0
        values = agent.propose(start)
        seconds, reasons = time.process_time() - client.since, agent.invalid_answers
        fault = broken(env, values, reasons)
        if client.asked == 1 and reasons and values != env.problem.start:
            fault = "an unusable answer changed the parameters"
        return Outcome(seconds, reasons, values, fault)

    return propose


def _once(make: Callable[..., Any]) -> Callable[..., Any]:
    made: list[Any] = []

    def again(*arguments: Any) -> Any:
        if not made:
            made.append(make(*arguments))
        return made[0]

    return again


def broken(env: OptoEnv, values: dict[str, Any], reasons: list[str]) -> str | None:
    """The promise of agents that a proposal breaks, or None.

    What an agent proposes has each parameter, in its kind, as a record can hold it; if it lies in its space is for the
    environment to judge. Each answer that was not used has its reason, of bounded length.
    """
    if set(values) != set(env.problem.start):
        return "not the problem's parameters"
    wrong = [p.name for p in env.problem.parameters if not of_kind(p, values[p.name])]
    if wrong:
        return f"another kind: {wrong}"
    if not recordable(values):
        return "no record can hold it"
    if any(not reason.strip() or len(reason) > 1000 for reason in reasons):
        return "a reason that is blank or endless"
    return None


def judged(env: OptoEnv, values: dict[str, Any]) -> str | None:
    """What an environment does wrong with a proposal, or None: bad values are feedback that names them."""
    try:
        result = env.evaluate(values, seed=0)
        result.graph.to_json(), str(result.feedback).encode()
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    wrong = [p.name for p in env.problem.parameters if p.space.invalid_reason(values[p.name]) is not None]
    missing = [name for name in wrong if f"{name}: expected " not in (result.error or "")]
    return f"no word about {missing}: {result.error}" if missing else None


def _of_task(kind: str) -> Callable[[str], Outcome]:
    def answer(text: str) -> Outcome:
        begin = time.process_time()
        found = read(kind, text)
        seconds = time.process_time() - begin
        judged = {right(rule, kind, text, "(B)") for rule in ("lenient", "strict")}
        if found is None:
            return Outcome(seconds, [f"no {kind}"], None, None if judged <= {True, False} else "no verdict")
        form = re.fullmatch(FORMS[kind], found)
        return Outcome(seconds, [], None, None if form else f"no {kind}: {found[:50]!r}")

    return answer
