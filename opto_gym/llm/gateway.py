"""The gateway: an OpenAI-compatible server on loopback, by which any package uses a model through a `Client`.

A package that takes a base URL and a key gets those of the gateway. Its calls then count in the trial's budget and are
in its ledger and its record, and the real key never leaves this process. docs/protocol.md describes the protocol.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, Self

import msgspec

from ..errors import BudgetSpent, EndpointError, OptoGymError
from ..utils import bounded_json
from ..utils.extras import require
from ..utils.redaction import redact_body
from .client import Client
from .endpoint import REFUSALS

require("starlette", "uvicorn")

from starlette.applications import Starlette  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.requests import ClientDisconnect, Request  # noqa: E402
from starlette.responses import Response  # noqa: E402
from starlette.routing import Route  # noqa: E402

from .serving import CONNECTIONS, BodyMemory, BoundedServer, LocalOnly  # noqa: E402

LONGEST_BODY = 16 * 2**20
"""The most bytes of a request; a longer one is refused."""

BODY_SECONDS = 60.0
"""The seconds that a request's body may take to arrive."""

_Tokens = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
_Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class TextPart(msgspec.Struct):
    """A text part of a message; other parts are refused, since the price of a picture is not known before the call."""

    type: Literal["text"]
    text: str


class Message(msgspec.Struct):
    """A message of a chat."""

    role: str
    content: str | list[TextPart] | None = None


class ChatRequest(msgspec.Struct):
    """The fields of a chat request that the gateway checks. It passes on other fields unchanged.

    `model` has to be the trial's. Streaming is refused.
    """

    model: str
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    max_tokens: _Tokens | None = None
    max_completion_tokens: _Tokens | None = None
    seed: _Seed | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None
    functions: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None


class Access:
    """The access of one trial to its model through the gateway. A context manager, which invalidates the token.

    Args:
        gateway: The gateway.
        client: Makes the calls, with its role, budget, ledger and record; None for a trial without a model.

    Attributes:
        base_url: The base URL for the package.
        token: The key for the package.
        client: The client.
        refused: The number of calls that the budget could not hold. A package that keeps asking should be ended.
        spent: The error of the first of these calls.
        failure: The first error that ends the trial, of the endpoint or the record, or None. After it no call is
            answered.
        refusal: The error of the last call if the endpoint refused its request, or None. The package may succeed with
            another request, for example without JSON mode.
    """

    def __init__(self, gateway: Gateway, client: Client | None) -> None:
        self.base_url, self.token, self.client = gateway.base_url, secrets.token_urlsafe(32), client
        self.refused = 0
        self.spent: BudgetSpent | None = None
        self.failure: BaseException | None = None
        self.refusal: EndpointError | None = None
        self._gateway = gateway
        self._idle = threading.Condition()
        self._open, self._calls = True, 0

    def __repr__(self) -> str:
        return f"Access({self.client!r} at {self.base_url})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the access, after its calls in flight: these are paid, so their answers have to be recorded."""
        self._gateway._accesses.pop(self.token, None)
        with self._idle:
            self._open = False
            self._idle.wait_for(lambda: self._calls == 0)

    def serve(self, answer: Callable[[bytes], Response], body: bytes) -> Response:
        """Answers a request in the calling thread; `close` waits for it.

        Args:
            answer: Makes the response to a body, such as `chat`.
            body: The body of the request.
        """
        with self._idle:
            if not self._open:
                return unknown_token()
            if self.failure is not None:
                return error(424, "trial_failed", str(self.failure))
            self._calls += 1
        try:
            return answer(redact_body(body))  # a program may have found a key somewhere
        except BudgetSpent as e:
            with self._idle:
                self.refused += 1
                self.spent = self.spent or e
            return error(400, "budget_exhausted", str(e))
        finally:
            with self._idle:
                self._calls -= 1
                self._idle.notify_all()

    @property
    def idle(self) -> bool:
        """Whether no call is in flight."""
        return self._calls == 0

    def chat(self, body: bytes) -> Response:
        """The response to a chat request.

        Raises:
            BudgetSpent: If the budget can't hold the call.
        """
        if self.client is None:
            return error(400, "not_served", "this trial has no model to ask")
        try:
            data = bounded_json.loads(body)
            request = msgspec.convert(data, ChatRequest)
            if request.stream:
                return error(400, "not_served", "expected POST /v1/chat/completions without streaming, got stream=true")
            if request.model != self.client.model:
                message = (
                    f"expected model {self.client.model!r}, the only one of this trial, got {request.model[:100]!r}"
                )
                return error(404, "model_not_found", message)
            answer = self.client.complete(data)
        except ValueError as e:
            return invalid("a chat request", e)
        except OptoGymError as e:
            if isinstance(e, EndpointError) and e.status in REFUSALS:
                self.refusal = e
                return error(400, "endpoint_refused", str(e))
            self.failure = self.failure or e
            # Clients do not retry on this status: the attempts were made here, and are in the ledger.
            return error(424, "endpoint_failed" if isinstance(e, EndpointError) else "trial_failed", str(e))
        self.refusal = None
        if answer.is_refusal:
            return error(400, "context_length_exceeded" if answer.too_long else "content_filter", str(answer.problem))
        if answer.body is None:
            # Clients retry on this status: the answer is paid, but another one may hold a completion.
            return error(502, "endpoint_failed", str(answer.problem))
        return Response(answer.body.encode("utf-8", "backslashreplace"), 200, media_type="application/json")


class Gateway:
    """The server, which starts at once in a thread of its own, on a free port of 127.0.0.1. A context manager.

    ::

        with Gateway() as gateway, gateway.register(Client("gpt-4o-mini", budget=Budget({"llm_calls": 50}))) as access:
            openai.OpenAI(base_url=access.base_url, api_key=access.token).chat.completions.create(...)

    Attributes:
        base_url: The URL for OpenAI's client, which ends in ``/v1``.

    Raises:
        MissingExtra: On import, if starlette and uvicorn are not installed.
    """

    def __init__(self) -> None:
        self._accesses: dict[str, Access] = {}
        self._pool = ThreadPoolExecutor(CONNECTIONS, "gateway")
        self._bodies = BodyMemory(4 * LONGEST_BODY)
        handlers = dict.fromkeys((404, 405), self._not_served)
        app = Starlette(routes=self.routes(), middleware=[Middleware(LocalOnly)], exception_handlers=handlers)
        app.router.redirect_slashes = False
        self._server = BoundedServer(app, lambda headers: self._access_of(headers) is not None)
        self.base_url = f"http://127.0.0.1:{self._server.port}/v1"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def register(self, client: Client) -> Access:
        """Gives a package access to a client's model, by a token of its own."""
        access = Access(self, client)
        self._accesses[access.token] = access
        return access

    def close(self) -> None:
        """Ends all accesses after their calls in flight, stops the server and frees the port."""
        for access in list(self._accesses.values()):
            access.close()
        self._server.close()
        self._pool.shutdown()

    def access(self, request: Request) -> Any:
        """The `Access` of a request's token, or None."""
        return self._access_of(request.headers.get("authorization", ""))

    def _access_of(self, authorization: str) -> Access | None:
        """The `Access` of the value of an Authorization header, or None."""
        kind, _, token = authorization.partition(" ")
        return self._accesses.get(token.strip()) if kind.lower() == "bearer" else None

    def routes(self) -> list[Route]:
        """The routes that are served; subclasses add theirs."""
        return [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/models", self._models, methods=["GET"]),
        ]

    async def _chat(self, request: Request) -> Response:
        return await self.posted(request, lambda access: access.chat)

    async def posted(self, request: Request, how: Callable[[Any], Callable[[bytes], Response]]) -> Response:
        """Answers a POST request in a thread of its own.

        Args:
            request: The request.
            how: Returns the method of an access that makes the response to a body.
        """
        access = self.access(request)
        if access is None:
            return unknown_token()
        length = request.headers.get("content-length", "")
        expected = min(int(length), LONGEST_BODY) if length.isdecimal() and len(length) < 20 else LONGEST_BODY
        async with self._bodies.hold(expected) as held:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await _read_body(request)
            except TimeoutError:
                return error(408, "request_timeout", f"expected the whole request within {BODY_SECONDS:g} seconds")
            except ClientDisconnect:
                return Response(status_code=400)  # the client is gone
            if isinstance(body, int):
                return error(413, "request_too_large", f"expected at most {LONGEST_BODY} bytes, got {body}")
            held.shrink(len(body))
            return await asyncio.get_running_loop().run_in_executor(self._pool, access.serve, how(access), body)

    async def _models(self, request: Request) -> Response:
        access = self.access(request)
        if access is None:
            return unknown_token()
        models = [access.client.model] if access.client else []
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "opto_gym"} for name in models]
        return in_json(200, {"object": "list", "data": data})

    async def _not_served(self, request: Request, e: Exception) -> Response:
        if self.access(request) is None:
            return unknown_token()
        served = {route.path: "POST" if "POST" in (route.methods or ()) else "GET" for route in self.routes()}
        path = request.url.path
        names = ", ".join(f"{method} {name}" for name, method in served.items())
        status = 405 if path in served else 400  # packages may take 404 for a model that is still loading
        response = error(status, "not_served", f"expected {names}, got {request.method[:100]} {path[:100]}")
        response.headers.update(getattr(e, "headers", None) or {})  # those of a 405 name the allowed methods
        return response


async def _read_body(request: Request) -> bytes | int:
    """The body of a request, or its size if it is too long."""
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= LONGEST_BODY:  # the rest is dropped; it is read, since a client first sends all of it
            body += chunk
    return bytes(body) if size <= LONGEST_BODY else size


def unknown_token() -> Response:
    """The response to a request without a valid token."""
    return error(401, "invalid_api_key", "expected the token of a trial that runs, as Authorization: Bearer TOKEN")


def invalid(expected: str, e: Exception) -> Response:
    """The response to a body that can't be read.

    Args:
        expected: What the body should be, with an article.
        e: The error, such as msgspec's ValidationError.
    """
    return error(400, "invalid_request", f"expected {expected} as JSON: {str(e)[:300]}")


def error(status: int, code: str, message: str) -> Response:
    """A response with an error object in the form of OpenAI's endpoint."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return in_json(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def in_json(status: int, data: Any) -> Response:
    """A response with JSON data, in ASCII, so that lone surrogates are escaped."""
    return Response(json.dumps(data), status, media_type="application/json")
