"""What an agent did to make a proposal, for the record of the step."""

from __future__ import annotations

import msgspec

from ..agents.base import Agent
from ..agents.toolkit.model_agent import ModelAgent
from .schema import AnswerReading, plain


class AgentNotes(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent did to make a proposal. The fields are those of `StepRecord`."""

    invalid_answers: list[str] = []
    optimizer_calls: list[str] | None = None
    answers: list[AnswerReading] | None = None
    token_factor: float | None = None


def take_notes(agent: Agent, calls: list[str]) -> AgentNotes:
    """What an agent did since the last oracle call; resets it.

    Args:
        agent: The agent.
        calls: The keys of the calls of its model since then, in the order in which they began. Where some were side by
            side, that order is chance, and they are put in the order in which the agent read the answers.
    """
    reasons, agent.invalid_answers = agent.invalid_answers, []
    optimizer_calls = calls if agent.uses_model else None
    if not isinstance(agent, ModelAgent):
        return AgentNotes(invalid_answers=reasons, optimizer_calls=optimizer_calls)
    readings, agent.readings = agent.readings, []
    places = {reading.call: place for place, reading in reversed(list(enumerate(readings)))}
    return AgentNotes(
        invalid_answers=reasons,
        optimizer_calls=sorted(calls, key=lambda call: places.get(call, -1)),
        answers=[AnswerReading(call=r.call or "", read=plain(r.read), refused=r.refused) for r in readings],
        token_factor=agent.calibration.factor,
    )
