"""A server on loopback that answers each HTTP request with whatever bytes a function sends, for tests of attacks."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

Answering = Callable[[socket.socket, bytes], None]

GOOD: dict[str, Any] = {
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "blue"}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1},
}


class HostileServer:
    """Reads each request and leaves the answer to a function, then closes the connection. A context manager.

    Args:
        answer: Called with the connection and the whole request.

    Attributes:
        url: The base URL for clients.
        requests: The requests, with their headers.
        open: The number of connections that it is busy with.
    """

    def __init__(self, answer: Answering) -> None:
        self.answer, self.requests, self.open = answer, list[bytes](), 0
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> HostileServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.close()

    def wait(self, seconds: float) -> bool:
        """Waits; returns whether the server is to go on."""
        return not self._ended.wait(seconds)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self.open += 1
        try:
            with connection:
                request = read_request(connection)
                if request:
                    self.requests.append(request)
                    self.answer(connection, request)
        except OSError:  # the client is gone
            pass
        finally:
            self.open -= 1


def dripping(head: bytes, part: bytes = b" ", *, pause: float = 0.05, seconds: float = 120.0) -> Answering:
    """An answer that sends a beginning, and then some bytes now and then."""

    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(head)
        for _ in range(int(seconds / pause)):
            connection.sendall(part)
            time.sleep(pause)

    return answer


def read_request(connection: socket.socket) -> bytes:
    """A request with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def response(body: Any = None, status: int = 200, headers: dict[str, str] | None = None) -> bytes:
    """A whole response: JSON data, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(GOOD if body is None else body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content
