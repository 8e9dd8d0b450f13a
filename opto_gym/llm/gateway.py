"""The gateway: an OpenAI-compatible server on loopback, so that any package asks the model through our `Client`.

A package that knows only a base URL and a key gets those of the gateway. Its calls are then in the trial's ledger,
under its budget and in its record, and the real key never leaves this process. docs/protocol.md describes the protocol.
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
"""Bytes of a request; a longer one is refused."""

_CALLS_AT_ONCE = 256

_Tokens = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
_Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class TextPart(msgspec.Struct):
    """A part of a message: text alone, since what a picture costs can't be told before it is sent."""

    type: Literal["text"]
    text: str


class Message(msgspec.Struct):
    """A message of a chat."""

    role: str
    content: str | list[TextPart] | None = None


class ChatRequest(msgspec.Struct):
    """What the gateway relies on. Other fields are passed on as they are, for the endpoint to judge.

    `model` is the trial's. Streaming is refused.
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
    """One trial's right to ask its model through the gateway. A context manager: after it the token is unknown.

    Attributes:
        base_url: What the package takes as OpenAI's base URL.
        token: What it takes as its key.
        client: Where its calls go: role, budget, ledger and record are the client's. None has no model to ask.
        refused: Calls that the budget could not hold. A package that keeps asking should be ended.
        spent: The budget's word on the first of these.
        failure: The first error that ends the trial, the endpoint's or the record's; None while there is none. After
            it nothing is answered.
        refusal: The endpoint's word on the last call, if it found that wrong: without its JSON mode, say, it may not.
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
        """Ends the access, and waits for its calls in flight: they are paid, so their answers go into the record."""
        self._gateway._accesses.pop(self.token, None)
        with self._idle:
            self._open = False
            self._idle.wait_for(lambda: self._calls == 0)

    def serve(self, answer: Callable[[bytes], Response], body: bytes) -> Response:
        """The answer to a request's body, in the calling thread; `close` waits for it."""
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
        """The answer to a chat request.

        Raises:
            BudgetSpent: If the budget can't hold the call.
        """
        if self.client is None:
            return error(400, "not_served", "this trial has no model to ask")
        try:
            data = json.loads(body)
            asked = msgspec.convert(data, ChatRequest)
            if asked.stream:
                return error(400, "not_served", "expected POST /v1/chat/completions without streaming, got stream=true")
            if asked.model != self.client.model:
                said = f"expected model {self.client.model!r}, the only one of this trial, got {asked.model[:100]!r}"
                return error(404, "model_not_found", said)
            answer = self.client.complete(data)
        except (ValueError, RecursionError) as e:
            return invalid("a chat request", e)
        except OptoGymError as e:
            if isinstance(e, EndpointError) and e.status in REFUSALS:
                self.refusal = e
                return error(400, "endpoint_refused", str(e))
            self.failure = self.failure or e
            # a status that clients do not try again: the attempts were made here, and are in the ledger
            return error(424, "endpoint_failed" if isinstance(e, EndpointError) else "trial_failed", str(e))
        self.refusal = None
        if answer.counted == "none":
            return error(400, "context_length_exceeded", str(answer.problem))
        if answer.body is None:
            # a status that clients do try again: it was one answer, paid for, and the next may be better
            return error(502, "endpoint_failed", str(answer.problem))
        return Response(answer.body.encode("utf-8", "backslashreplace"), 200, media_type="application/json")


class Gateway:
    """The server. Starts at once, on a free port of 127.0.0.1, in a thread of its own. A context manager.

    ::

        with Gateway() as gateway, gateway.register(Client("gpt-4o-mini", budget=Budget({"llm_calls": 50}))) as access:
            openai.OpenAI(base_url=access.base_url, api_key=access.token).chat.completions.create(...)

    Attributes:
        base_url: For OpenAI's client; ends in ``/v1``.

    Raises:
        MissingExtra: On import, if starlette and uvicorn are not installed.
    """

    def __init__(self) -> None:
        self._accesses: dict[str, Access] = {}
        self._pool = ThreadPoolExecutor(_CALLS_AT_ONCE, "gateway")
        # With the protocol left at 0, asyncio would not switch off Nagle's delay: 44 ms a call
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        # a page in a browser can make a name of its own point to loopback, but not change the Host that is sent
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
        others = dict.fromkeys((404, 405), self._not_served)
        app = Starlette(routes=self.routes(), middleware=[hosts], exception_handlers=others)
        app.router.redirect_slashes = False
        # a client that stops in the middle of its request must not hold up the end
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
        """Lets a package ask a client's model, by a token of its own."""
        access = Access(self, client)
        self._accesses[access.token] = access
        return access

    def close(self) -> None:
        """Ends all accesses, waits for the calls in flight, and frees the port."""
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
        """What is served."""
        return [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/models", self._models, methods=["GET"]),
        ]

    async def _chat(self, request: Request) -> Response:
        return await self.posted(request, lambda access: access.chat)

    async def posted(self, request: Request, how: Callable[[Any], Callable[[bytes], Response]]) -> Response:
        """Answers a request that has a body, in a thread of its own: `how` gives the method of its access."""
        access = self.access(request)
        if access is None:
            return unknown_token()
        body, size = bytearray(), 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size <= LONGEST_BODY:  # the rest is read and dropped: a client that still sends hears no answer
                    body += chunk
        except ClientDisconnect:
            return Response(status_code=400)  # nobody hears it
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
        status = 405 if path in served else 400  # not 404, which a package may take for a model that is still loading
        said = error(status, "not_served", f"expected {names}, got {request.method[:100]} {path[:100]}")
        said.headers.update(getattr(e, "headers", None) or {})  # at 405, what is allowed
        return said


def unknown_token() -> Response:
    """The answer to a request without a valid token."""
    return error(401, "invalid_api_key", "expected the token of a trial that runs, as Authorization: Bearer TOKEN")


def invalid(expected: str, e: Exception) -> Response:
    """The answer to a body that is not what was expected; msgspec's errors are ValueErrors."""
    said = "it is nested too deeply" if isinstance(e, RecursionError) else str(e)[:300]
    return error(400, "invalid_request", f"expected {expected} as JSON: {said}")


def error(status: int, code: str, message: str) -> Response:
    """An error object as OpenAI's endpoint sends it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return in_json(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def in_json(status: int, data: Any) -> Response:
    """Data as JSON, in ASCII: a lone surrogate is written out."""
    return Response(json.dumps(data), status, media_type="application/json")
