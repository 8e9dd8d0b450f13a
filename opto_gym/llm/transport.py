"""The HTTP transport to an endpoint that may be hostile.

The HTTP library bounds the time of each read, but neither the time nor the size of a whole response, and it follows a
redirect to any host with the prompt. This transport ends a response that takes too long or grows too large, headers and
interim responses such as ``100 Continue`` included, and refuses redirects to another origin.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from ..utils.redaction import redact

LONGEST_RESPONSE = 64 * 2**20
"""The most bytes of a response with its headers, as it is sent, and of its body when it is unpacked."""

LONGEST_HEAD = 256 * 2**10
"""The most bytes of its headers, with all interim responses before it."""

_PACKINGS = ("gzip", "x-gzip", "deflate")
_PIECE = 2**20  # bytes that are unpacked at a time
_DESCRIBES_PACKING = (b"content-encoding", b"content-length", b"transfer-encoding")


class ResponseRefused(Exception):
    """A response that is not read to its end, or not believed.

    Attributes:
        status: Its HTTP status, for a redirect; else None.
        timed_out: Whether the time for it was over.
        final: Whether another attempt would fail too.
    """

    def __init__(self, error: str, status: int | None = None, *, timed_out: bool = False, final: bool = False) -> None:
        super().__init__(error)
        self.status, self.timed_out, self.final = status, timed_out, final


class _Allowance(threading.local):
    """What the request that this thread makes may still take.

    Attributes:
        seconds: The time for all of it.
        deadline: The monotonic time of its end.
        bytes: The bytes that may still arrive.
    """

    seconds = deadline = math.inf
    bytes = LONGEST_HEAD

    def time(self, timeout: float | None) -> float | None:
        """The seconds that the next operation may take.

        Raises:
            ResponseRefused: If no time is left.
        """
        if self.deadline == math.inf:
            return timeout
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise ResponseRefused(f"no answer within {self.seconds:.4g} s", timed_out=True)
        return left if timeout is None or left < timeout else timeout

    def take(self, number: int) -> None:
        """Counts bytes that arrived.

        Raises:
            ResponseRefused: If they are too many.
        """
        self.bytes -= number
        if self.bytes < 0:
            raise _too_long()


_allowance = _Allowance()


@contextlib.contextmanager
def allowed(seconds: float) -> Iterator[None]:
    """Bounds the request that the block makes in this thread.

    Args:
        seconds: The most that it may take as a whole.
    """
    _allowance.seconds, _allowance.deadline = seconds, time.monotonic() + seconds
    try:
        yield
    finally:
        _allowance.deadline = math.inf


class Transport:
    """A transport for the HTTP library's client, on top of the library's own.

    Args:
        http: The HTTP library, ``httpx`` or its successor of the same interface.
        query: Parameters that are added to each address here, below the library's log, since they may be keys.
        settings: The arguments of its ``HTTPTransport``.
    """

    def __init__(self, http: ModuleType, query: Mapping[str, str], **settings: Any) -> None:
        limits = http.Limits(max_connections=1000, max_keepalive_connections=100)
        self._http, self._inner = http, http.HTTPTransport(trust_env=False, limits=limits, **settings)
        self._query = query
        pool = self._inner._pool  # no public argument takes a backend
        pool._network_backend = _Backend(pool._network_backend)

    def handle_request(self, request: Any) -> Any:
        """Sends a request and reads the whole response.

        Raises:
            ResponseRefused: If it is too long, too slow, a redirect to another origin, or can't be unpacked.
        """
        sent = request
        if self._query:
            url, headers, body = request.url.copy_merge_params(self._query), request.headers, request.stream
            sent = self._http.Request(request.method, url, headers=headers, stream=body, extensions=request.extensions)
        _allowance.bytes = LONGEST_HEAD
        response = self._inner.handle_request(sent)
        _allowance.bytes = LONGEST_RESPONSE
        try:
            self._check_redirect(request.url, response)
            content = b"".join(_unpacked(response.stream, response.headers.get("content-encoding", "")))
        finally:
            response.close()
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _DESCRIBES_PACKING]
        return self._http.Response(
            response.status_code, headers=headers, content=content, extensions=response.extensions
        )

    def close(self) -> None:
        """Closes the connections."""
        self._inner.close()

    def _check_redirect(self, url: Any, response: Any) -> None:
        """Refuses a redirect, unless the same request is to be sent to the same origin, as after a slash at the end.

        Raises:
            ResponseRefused: If it is refused.
        """
        if not response.has_redirect_location:
            return
        try:
            target = url.join(response.headers["location"])
            origin = _origin(target)
        except Exception:  # anything may be in a header, and the library has several errors for it
            origin = None
        if origin == _origin(url) and response.status_code in (307, 308):
            return
        here = "{}://{}:{}".format(*_origin(url))
        to = "{}://{}:{}".format(*origin)[:200] if origin else "an address that can't be read"
        why = "by a request without the prompt" if origin == _origin(url) else f"and the prompt goes to {here} alone"
        raise ResponseRefused(
            f"{response.status_code}: it redirects to {redact(to)}, {why}: redirects are not followed. If that is the "
            "endpoint that you mean, give its address as the base URL",
            response.status_code,
            final=True,
        )


def _origin(url: Any) -> tuple[str, str, int]:
    return url.scheme, url.host.lower(), url.port or (443 if url.scheme == "https" else 80)


def _too_long() -> ResponseRefused:
    most = f"{LONGEST_RESPONSE // 2**20} MB, or its headers than {LONGEST_HEAD // 2**10} KB"
    return ResponseRefused(f"its response is longer than {most}", final=True)


def _unpacked(packed: Iterable[bytes], how: str) -> Iterator[bytes]:
    """The body of a response, unpacked.

    Args:
        packed: The body as it is sent, whose size is bounded already.
        how: The Content-Encoding.

    Raises:
        ResponseRefused: If it is too long, or packed in another way than was offered.
    """
    how = how.strip().lower()
    if how in ("", "identity"):
        yield from packed
        return
    if how not in _PACKINGS:
        raise ResponseRefused(f"its response is packed by {how[:40]!r}, expected gzip or deflate", final=True)
    unpacker, begun, size = zlib.decompressobj(zlib.MAX_WBITS | 32), False, 0
    try:
        for part in packed:
            if not begun and how == "deflate" and part[:1] and part[0] & 15 != 8:  # without the header of zlib
                unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
            begun = begun or bool(part)
            while part:
                piece = unpacker.decompress(part, _PIECE)
                size += len(piece)
                if size > LONGEST_RESPONSE:
                    raise _too_long()
                yield piece
                part = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as e:
        raise ResponseRefused(f"its response can't be unpacked: {e}") from e


class _Backend:
    """Opens connections whose reads and writes count in the allowance of the thread."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, *args: Any, timeout: float | None = None, **settings: Any) -> _Stream:
        return _Stream(self._backend.connect_tcp(*args, timeout=_allowance.time(timeout), **settings))

    def connect_unix_socket(self, *args: Any, timeout: float | None = None, **settings: Any) -> _Stream:
        return _Stream(self._backend.connect_unix_socket(*args, timeout=_allowance.time(timeout), **settings))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Stream:
    """A connection, see `_Backend`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data: bytes = self._stream.read(max_bytes, timeout=_allowance.time(timeout))
        _allowance.take(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=_allowance.time(timeout))

    def start_tls(self, *args: Any, timeout: float | None = None, **settings: Any) -> _Stream:
        return _Stream(self._stream.start_tls(*args, timeout=_allowance.time(timeout), **settings))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()
