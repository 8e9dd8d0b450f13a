"""The evaluation server: the trace oracle over HTTP beside the gateway, for optimizers in any language.

One server, one token a trial: ``/v1/chat/completions`` asks the trial's model, ``/v1/evaluations`` its oracle. What
both spend is in the trial's budget and record. docs/protocol.md describes the protocol; ``/openapi.json``, its document
for programs, is `openapi`'s.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...errors import BudgetSpent
from ...llm import LIMITS, Client
from ...llm.gateway import Access, Gateway, error, in_json, invalid, unknown_token
from ...problems import Problem, TraceFeedback
from ...reading.proposals import Unusable, cast_value, recordable
from ..base import Oracle, Values
from .messages import EvaluationRequest, InvalidAnswer, Proposal
from .openapi import openapi

TRACE = 6_000
"""Characters of an evaluation's trace as pseudo-code."""


class Session(Access):
    """One trial's access to its model and its oracle.

    Attributes:
        recommended: What the optimizer recommends, or None.
        last: When a call last ended, on `time.monotonic`'s clock.
    """

    def __init__(
        self,
        server: EvaluationServer,
        client: Client | None,
        problem: Problem,
        oracle: Oracle,
        seed: int,
        settings: Mapping[str, Any],
        invalid: Callable[[str], None],
    ) -> None:
        super().__init__(server, client)
        self.problem, self.oracle, self.seed, self.settings = problem, oracle, seed, dict(settings)
        self.recommended: Values | None = None
        self._invalid = invalid
        self.last = time.monotonic()

    def chat(self, body: bytes) -> Response:
        """The answer to a chat request; none is paid for a proposal that nobody would evaluate."""
        self._still()
        try:
            return super().chat(body)
        finally:
            self.last = time.monotonic()

    def task(self, _: bytes) -> Response:
        """What a program needs at its start."""
        problem = json.loads(self.problem.to_json())
        for told, p in zip(problem["parameters"], self.problem.parameters, strict=True):
            told["constraint"] = p.space.describe()
        data = {
            "problem": problem,
            "seed": self.seed,
            "model": self.client.model if self.client else None,
            "settings": self.settings,
        }
        return _answer(_spliced(data, "start", self._said(self.oracle.start)))

    def evaluate(self, body: bytes) -> Response:
        """One oracle call."""
        try:
            asked = msgspec.convert(json.loads(body), EvaluationRequest)
            parameters = self._parameters(asked)
            size = self.problem.examples.get(asked.split)
            if size is None:
                raise ValueError(f"expected a split of {list(self.problem.examples)}, got {asked.split!r}")
            if asked.examples and max(asked.examples) >= size:
                raise ValueError(f"expected examples from 0 to {size - 1}, got {str(max(asked.examples))[:100]}")
        except (ValueError, RecursionError) as e:
            return invalid("an evaluation request", e)
        self._still()
        try:
            said = self._said(self.oracle(parameters, asked.examples, asked.split))
        except (Exception, SystemExit) as e:
            self.failure = self.failure or e  # the author's, the record's or the task model's
            return error(424, "trial_failed", f"{type(e).__name__}: {e}")
        finally:
            self.last = time.monotonic()
        return _answer(said)

    def recommend(self, body: bytes) -> Response:
        """Notes what the optimizer recommends."""
        try:
            self.recommended = self._parameters(msgspec.convert(json.loads(body), Proposal))
        except (ValueError, RecursionError) as e:
            return invalid("a recommendation", e)
        return Response(status_code=204)

    def note(self, body: bytes) -> Response:
        """Notes that an answer of the model could not be used."""
        try:
            self._invalid(recordable(msgspec.convert(json.loads(body), InvalidAnswer).reason)[:1000])
        except (ValueError, RecursionError) as e:
            return invalid("a reason", e)
        return Response(status_code=204)

    def _still(self) -> None:
        if self.oracle.over:
            spent = "evaluations" if self.oracle.budget.left("evaluations") < 1 else "oracle_calls"
            raise BudgetSpent(spent, "no evaluation is possible any more: end, recommend before if you like")

    def _parameters(self, asked: Proposal) -> Values:
        wanted = [p.name for p in self.problem.parameters]
        if set(wanted) != set(asked.parameters):
            raise ValueError(f"expected exactly the parameters {wanted}, got {str(list(asked.parameters))[:200]}")
        values: Values = {}
        for p in self.problem.parameters:
            value = recordable(asked.parameters[p.name])
            if asked.texts and isinstance(value, str):
                try:
                    value = cast_value(value, p.space, p.name)
                except Unusable:
                    pass  # the text as it is: the oracle says what is wrong with it
            values[p.name] = value
        return values

    def _said(self, observation: TraceFeedback) -> bytes:
        graph, feedback = observation
        budget = self.oracle.budget
        left = {name: x if math.isfinite(x := budget.left(name)) else None for name in LIMITS}
        said: dict[str, Any] = {
            "score": feedback.score,
            "reward": feedback.reward,
            "rewards": feedback.rewards or [feedback.reward],
            "success": feedback.success,
            "text": str(feedback),
            "parts": [part._asdict() for part in feedback.parts],
            "trace": graph.to_pseudocode(TRACE),
            "left": left,
            "over": self.oracle.over,
        }
        return _spliced(said, "graph", graph.to_json().encode())


def _spliced(data: dict[str, Any], name: str, inner: bytes) -> bytes:
    """Data as JSON with one more member, which is JSON already: a graph may be large."""
    return json.dumps(data)[:-1].encode() + f', "{name}": '.encode() + inner + b"}"


def _answer(content: bytes) -> Response:
    return Response(content, 200, media_type="application/json")


class EvaluationServer(Gateway):
    """The gateway with the oracle beside it. A context manager; see `Gateway`.

    Raises:
        MissingExtra: On import, if starlette and uvicorn are not installed.
    """

    def open(
        self,
        client: Client | None,
        problem: Problem,
        oracle: Oracle,
        *,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        invalid: Callable[[str], None] = lambda reason: None,
    ) -> Session:
        """Lets a program work on a problem, by a token of its own.

        Args:
            client: Its model's; None for none.
            problem: The problem.
            oracle: Its oracle, which calls in several threads at once must not harm.
            seed: For the program's random choices.
            settings: Plain data that the program is given.
            invalid: Is told why an answer of the model could not be used.
        """
        session = Session(self, client, problem, oracle, seed, settings or {}, invalid)
        self._accesses[session.token] = session
        return session

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            *super().routes(),
            Route("/v1/task", self._task, methods=["GET"]),
            Route("/v1/evaluations", self._evaluations, methods=["POST"]),
            Route("/v1/recommendation", self._recommendation, methods=["POST"]),
            Route("/v1/invalid-answers", self._invalid_answers, methods=["POST"]),
            Route("/openapi.json", self._openapi, methods=["GET"]),
        ]

    async def _task(self, request: Request) -> Response:
        return await self.posted(request, lambda session: session.task)

    async def _evaluations(self, request: Request) -> Response:
        return await self.posted(request, lambda session: session.evaluate)

    async def _recommendation(self, request: Request) -> Response:
        return await self.posted(request, lambda session: session.recommend)

    async def _invalid_answers(self, request: Request) -> Response:
        return await self.posted(request, lambda session: session.note)

    async def _openapi(self, request: Request) -> Response:
        return in_json(200, openapi()) if self.access(request) else unknown_token()
