"""The HTTP server of the gateway: for programs of this machine alone, with bounds on connections and memory.

A port on loopback is open to every program of the machine, and to web pages by the user's browser. Neither may end a
run: connections are few, so that the process keeps its file descriptors, those that do nothing give way to new ones,
and the memory that bodies take together is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import socket
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if sys.platform != "win32":
    import resource

CONNECTIONS = 256
"""The most connections of a server, and the most calls that it makes at the same time."""

_BACKLOG = 128  # connections that wait in the kernel; further ones wait at the client's side
_PAUSE = 0.05  # seconds, until there may be room for another connection
_LOGGER = logging.getLogger("opto_gym.gateway")
_LOGGER.setLevel(logging.ERROR)  # a warning for each malformed request is for whoever sends it
_HOSTS = ("127.0.0.1", "localhost")


class LocalOnly:
    """Middleware that refuses requests of web pages and for other hosts.

    A page can send requests to loopback, with its Origin. By DNS rebinding it can even read the answers, since its host
    name resolves to loopback; but the Host that is sent is still its own.

    Args:
        app: The application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers a request, or passes it on."""
        headers = [(name, value.decode("latin-1")) for name, value in scope.get("headers", ())]
        hosts = [value for name, value in headers if name == b"host"]
        port = scope["server"][1] if scope.get("server") else None
        own = {f"{host}:{port}" for host in _HOSTS}
        if len(hosts) != 1 or hosts[0].lower() not in {*own, *_HOSTS}:
            await _refuse(
                send, 400, "invalid_host", "Invalid host header: expected 127.0.0.1, on the server's own port"
            )
            return
        origins = [value.lower() for name, value in headers if name == b"origin"]
        if any(origin not in {f"http://{host}" for host in own} for origin in origins):
            await _refuse(send, 403, "foreign_origin", "expected a program of this machine, got a web page's request")
            return
        await self._app(scope, receive, send)


async def _refuse(send: Any, status: int, code: str, message: str) -> None:
    """Sends an error object in the form of OpenAI's endpoint."""
    said = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    body = json.dumps({"error": said}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class BodyMemory:
    """The memory that the bodies of requests take together. A request waits until there is room for its body.

    Args:
        most: The bytes, at least those of the longest body.
    """

    def __init__(self, most: int) -> None:
        self._left, self._changed = most, asyncio.Condition()

    @contextlib.asynccontextmanager
    async def hold(self, number: int) -> AsyncIterator[Held]:
        """Holds so many bytes until the block ends."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._left >= number)
            self._left -= number
        held = Held(number, self._release)
        try:
            yield held
        finally:
            self._release(held.number)

    def _release(self, number: int) -> None:
        self._left += number
        task = asyncio.ensure_future(self._notify())
        _tasks.add(task)  # the loop alone would let it be collected
        task.add_done_callback(_tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Held:
    """What a body holds of a `BodyMemory`.

    Attributes:
        number: The bytes.
    """

    def __init__(self, number: int, release: Callable[[int], None]) -> None:
        self.number, self._release = number, release

    def shrink(self, number: int) -> None:
        """Gives back what is more than so many bytes."""
        if number < self.number:
            more, self.number = self.number - number, number
            self._release(more)


class _Protocol(H11Protocol):
    """uvicorn's protocol, which also knows whether a connection may be closed for another one.

    Attributes:
        is_trusted: Whether its last request had a token that is valid.
        last: The monotonic time at which something last arrived.
    """

    is_trusted, last = False, 0.0

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.logger = _LOGGER

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to serve a connection."""
        self.last = time.monotonic()
        super().connection_made(transport)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def handle_events(self) -> None:
        """Handles what arrived, and looks for the token of a new request."""
        self.last = time.monotonic()
        super().handle_events()
        if self.headers is not None:
            sent = next((value for name, value in self.headers if name == b"authorization"), b"")
            self.is_trusted = self.config.is_trusted(sent.decode("latin-1"))  # type: ignore[attr-defined]


class BoundedServer(uvicorn.Server):
    """A server in a thread of its own, on a free port of 127.0.0.1, which it frees at `close`.

    Args:
        app: The ASGI application.
        is_trusted: Whether the value of an Authorization header is valid; connections without one give way first.

    Attributes:
        port: The port.
    """

    def __init__(self, app: Any, is_trusted: Callable[[str], bool]) -> None:
        # A client that stops in the middle of its request must not delay the shutdown.
        settings: dict[str, Any] = {"log_config": None, "access_log": False, "timeout_graceful_shutdown": 2}
        config = uvicorn.Config(app, **settings, lifespan="off", ws="none", http=_Protocol)
        config.is_trusted = is_trusted  # type: ignore[attr-defined]
        super().__init__(config)
        # With protocol 0, asyncio would not disable Nagle's algorithm, which delays a call by 44 ms.
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._accepting: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self.run, args=([self._listener],), name="gateway", daemon=True)
        self._thread.start()
        while not self.started and self._thread.is_alive():
            time.sleep(0.002)

    def close(self) -> None:
        """Stops the server."""
        self.should_exit = True
        self._thread.join()
        self._listener.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections, one by one: asyncio's own server accepts all that wait at once."""
        self.servers: list[asyncio.base_events.Server] = []
        await self.lifespan.startup()
        self._listener.listen(_BACKLOG)
        self._accepting = asyncio.create_task(self._accept())
        self.started = True
        _servers.add(self)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts no more connections, and waits for the requests that are being answered."""
        _servers.discard(self)
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        await super().shutdown(sockets)

    async def _accept(self) -> None:
        loop, state = asyncio.get_running_loop(), self.server_state
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError:  # no file descriptor is left: those that wait are served when there is one
                self._make_room()
                await asyncio.sleep(_PAUSE)
                continue
            try:
                while not self._has_room() and not self._make_room():
                    await asyncio.sleep(_PAUSE)
                await loop.connect_accepted_socket(
                    lambda: _Protocol(self.config, state, self.lifespan.state, loop), connection
                )
            except OSError:  # the client is gone
                connection.close()
            except asyncio.CancelledError:
                connection.close()
                raise

    def _has_room(self) -> bool:
        """Whether one more connection leaves the process the file descriptors that it needs elsewhere."""
        everywhere = sum(len(server.server_state.connections) for server in list(_servers))
        return everywhere < _most_descriptors() // 3 and len(self.server_state.connections) < CONNECTIONS

    def _make_room(self) -> bool:
        """Closes the connection that did nothing for longest, first of those without a token; whether there was one."""
        connections: list[Any] = list(self.server_state.connections)
        for idle in sorted((one for one in connections if one.is_idle), key=lambda one: (one.is_trusted, one.last)):
            idle.transport.abort()
            self.server_state.connections.discard(idle)
            return True
        return False


_servers: weakref.WeakSet[BoundedServer] = weakref.WeakSet()
_tasks: set[asyncio.Task[None]] = set()


def _most_descriptors() -> float:
    """The most files that this process may have open."""
    if sys.platform == "win32":
        return math.inf
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return math.inf if most == resource.RLIM_INFINITY else most
