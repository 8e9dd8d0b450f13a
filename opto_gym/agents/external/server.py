"""The evaluation server: the trace oracle over HTTP, beside the model's gateway, for optimizers in any language.

A trial has a token for the server: ``/v1/chat/completions`` asks the trial's model, and ``/v1/evaluations`` its oracle.
Both spend the trial's budget and are recorded. docs/protocol.md describes the protocol; ``/openapi.json`` is its
OpenAPI document, see `openapi`.
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
from ...utils import bounded_json
from ..base import Oracle, Values
from .messages import EvaluationRequest, InvalidAnswer, Proposal
from .openapi import openapi

TRACE_CHARACTERS = 6_000
"""The length of an evaluation's trace as pseudo-code."""


class Session(Access):
    """One trial's access to its model and its oracle.

    Attributes:
        recommended: The parameters that the optimizer recommends, or None.
        last: When the last call ended, on `time.monotonic`'s clock.
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
        """The answer to a chat request; refused when no evaluation is possible, since a proposal would be of no use."""
        self._check_not_over()
        try:
            return super().chat(body)
        finally:
            self.last = time.monotonic()

    def task(self, _: bytes) -> Response:
        """The problem with the evaluation of its start values, which a program asks for first."""
        problem = json.loads(self.problem.to_json())
        for data, p in zip(problem["parameters"], self.problem.parameters, strict=True):
            data["constraint"] = p.space.describe()
        task = {
            "problem": problem,
            "seed": self.seed,
            "model": self.client.model if self.client else None,
            "settings": self.settings,
        }
        return _json_response(_json_with_member(task, "start", self._evaluation(self.oracle.start)))

    def evaluate(self, body: bytes) -> Response:
        """One oracle call."""
        try:
            request = msgspec.convert(bounded_json.loads(body), EvaluationRequest)
            parameters = self._parameters(request)
            size = self.problem.examples.get(request.split)
            if size is None:
                raise ValueError(f"expected a split of {list(self.problem.examples)}, got {request.split!r}")
            if request.examples and max(request.examples) >= size:
                raise ValueError(f"expected examples from 0 to {size - 1}, got {str(max(request.examples))[:100]}")
        except ValueError as e:
            return invalid("an evaluation request", e)
        self._check_not_over()
        try:
            evaluation = self._evaluation(self.oracle(parameters, request.examples, request.split))
        except (Exception, SystemExit) as e:
            self.failure = self.failure or e  # of the environment's author, the record or the task's model
            return error(424, "trial_failed", f"{type(e).__name__}: {e}")
        finally:
            self.last = time.monotonic()
        return _json_response(evaluation)

    def recommend(self, body: bytes) -> Response:
        """Stores the parameters that the optimizer recommends."""
        try:
            self.recommended = self._parameters(msgspec.convert(bounded_json.loads(body), Proposal))
        except ValueError as e:
            return invalid("a recommendation", e)
        return Response(status_code=204)

    def note(self, body: bytes) -> Response:
        """Records that an answer of the model could not be used."""
        try:
            self._invalid(recordable(msgspec.convert(bounded_json.loads(body), InvalidAnswer).reason)[:1000])
        except ValueError as e:
            return invalid("a reason", e)
        return Response(status_code=204)

    def _check_not_over(self) -> None:
        """Raises `BudgetSpent` if no further evaluation is possible."""
        if self.oracle.over:
            spent = "evaluations" if self.oracle.budget.left("evaluations") < 1 else "oracle_calls"
            raise BudgetSpent(spent, "no evaluation is possible any more: end, recommend before if you like")

    def _parameters(self, proposal: Proposal) -> Values:
        """The values of a proposal, with those that are given as texts converted where that is possible."""
        wanted = [p.name for p in self.problem.parameters]
        if set(wanted) != set(proposal.parameters):
            raise ValueError(f"expected exactly the parameters {wanted}, got {str(list(proposal.parameters))[:200]}")
        values: Values = {}
        for p in self.problem.parameters:
            value = recordable(proposal.parameters[p.name])
            if proposal.texts and isinstance(value, str):
                try:
                    value = cast_value(value, p.space, p.name)
                except Unusable:
                    pass  # the text stays: the oracle's feedback says what is wrong with it
            values[p.name] = value
        return values

    def _evaluation(self, observation: TraceFeedback) -> bytes:
        """An observation as JSON, in the form of `messages.Evaluation`."""
        graph, feedback = observation
        budget = self.oracle.budget
        left = {name: x if math.isfinite(x := budget.left(name)) else None for name in LIMITS}
        data: dict[str, Any] = {
            "score": feedback.score,
            "reward": feedback.reward,
            "rewards": feedback.rewards or [feedback.reward],
            "success": feedback.success,
            "text": str(feedback),
            "parts": [part._asdict() for part in feedback.parts],
            "trace": graph.to_pseudocode(TRACE_CHARACTERS),
            "left": left,
            "over": self.oracle.over,
        }
        return _json_with_member(data, "graph", graph.to_json().encode())


def _json_with_member(data: dict[str, Any], name: str, value: bytes) -> bytes:
    """Data as JSON with one more member whose value is JSON already: a large graph is not parsed again."""
    return json.dumps(data)[:-1].encode() + f', "{name}": '.encode() + value + b"}"


def _json_response(content: bytes) -> Response:
    return Response(content, 200, media_type="application/json")


class EvaluationServer(Gateway):
    """A `Gateway` that also serves the oracle. A context manager.

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
        """Gives a program access to a problem by a new token.

        Args:
            client: The client of the program's model; None if it has no model.
            problem: The problem.
            oracle: Its oracle, which must be thread-safe.
            seed: The seed of the program's random choices.
            settings: Plain data that the program gets with its task.
            invalid: Called with the reason when the program reports an unusable answer of the model.
        """
        session = Session(self, client, problem, oracle, seed, settings or {}, invalid)
        self._accesses[session.token] = session
        return session

    def routes(self) -> list[Route]:
        """The routes of the gateway and of the oracle."""
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
