"""The gateway: an OpenAI-compatible server on loopback, by which any package uses a model through a `Client`.

A package that takes a base URL and a key gets those of the gateway. Its calls then count in the trial's budget and are
in its ledger and its record, and the real key never leaves this process. docs/protocol.md describes the protocol.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, Self

import msgspec

from ..errors import BudgetSpent, EndpointError, OptoGymError
from ..utils import bounded_json
from ..utils.extras import require
from .client import Client
from .endpoint import REFUSALS

require("starlette", "uvicorn")

import uvicorn  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.middleware.trustedhost import TrustedHostMiddleware  # noqa: E402
from starlette.requests import ClientDisconnect, Request  # noqa: E402
from starlette.responses import Response  # noqa: E402
from starlette.routing import Route  # noqa: E402

LONGEST_BODY = 16 * 2**20
"""The most bytes of a request; a longer one is refused."""

_CALLS_AT_ONCE = 256

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
            return answer(body)
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
        self._pool = ThreadPoolExecutor(_CALLS_AT_ONCE, "gateway")
        # With protocol 0, asyncio would not disable Nagle's algorithm, which delays a call by 44 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        # Against DNS rebinding: a web page can make its host name resolve to loopback, but can't change the Host that
        # is sent.
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
        handlers = dict.fromkeys((404, 405), self._not_served)
        app = Starlette(routes=self.routes(), middleware=[hosts], exception_handlers=handlers)
        app.router.redirect_slashes = False
        # A client that stops in the middle of its request must not delay the shutdown.
        settings: dict[str, Any] = {"log_config": None, "access_log": False, "timeout_graceful_shutdown": 2}
        self._server = uvicorn.Server(uvicorn.Config(app, **settings, lifespan="off", ws="none"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="gateway", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.002)

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
        self._server.should_exit = True
        self._thread.join()
        self._pool.shutdown()
        self._socket.close()

    def access(self, request: Request) -> Any:
        """The `Access` of a request's token, or None."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
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
        body, size = bytearray(), 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size <= LONGEST_BODY:  # the rest is dropped; it is read, since a client first sends all of it
                    body += chunk
        except ClientDisconnect:
            return Response(status_code=400)  # the client is gone
        if size > LONGEST_BODY:
            return error(413, "request_too_large", f"expected at most {LONGEST_BODY} bytes, got {size}")
        return await asyncio.get_running_loop().run_in_executor(self._pool, access.serve, how(access), bytes(body))

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
