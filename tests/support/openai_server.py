"""A real HTTP server on loopback that speaks OpenAI's chat protocol, with scripted answers and mishaps, for tests."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opto_gym.agents.toolkit.prompt_budget import FRAME, count_tokens
from opto_gym.llm.probe import PROBE_TEXT

Reply = str | None | Callable[[dict[str, Any]], Any]


class Page(NamedTuple):
    """A whole response: its status, its body (JSON data, or a text as it is), and further headers."""

    status: int
    body: Any
    headers: dict[str, str] = {}


class OpenAIServer:
    """Answers chat requests until closed.

    The *script* is a list of outcomes, one for each request to come; after it every outcome is ``"ok"``:

    - ``"ok"``: the reply; a str, None, or what a function of the request's body returns.
    - an int: that HTTP status, with an OpenAI-like error object. ``(429, {"retry-after": "0.2"})`` adds headers.
    - ``"drop"``: the connection is closed without an answer; ``"torn"``: in the middle of one.
    - ``("delay", seconds)``: the reply, late.
    - bytes: the body of a 200, as it is. A `Page`: a whole response.

    A *profile* is a function of a request's body; it returns the outcome of each request that the script has none for.

    Attributes:
        url: The base URL for clients.
        requests: ``{"body", "path", "headers", "time"}`` of each request, in order.
        probes: The number of calls before runs (`opto_gym.llm.probe`), which are neither in `requests` nor scripted.
        usage: Whether answers say how many tokens they took. In answers a word is a token.
        count: The tokens of a prompt by its text; by default as many as agents estimate, with those of a chat template.
    """

    def __init__(
        self,
        reply: Reply = "ok",
        script: list[Any] | None = None,
        profile: Callable[[dict[str, Any]], Any] = lambda body: "ok",
    ) -> None:
        self.reply, self.script, self.usage, self.profile = reply, list(script or []), True, profile
        self.requests: list[dict[str, Any]] = []
        self.count: Callable[[str], int] = lambda text: count_tokens(text) + FRAME
        self.probes = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                try:
                    outer._answer(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> OpenAIServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server; `requests` stays readable."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, http: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in http.headers.items()}
        if body["messages"][-1].get("content") == PROBE_TEXT:
            self.probes += 1
            usage = {"prompt_tokens": 6, "completion_tokens": 1}
            page = json.dumps({"choices": [{"message": {"content": "OK"}}], "usage": usage}).encode()
            http.send_response(200)
            http.send_header("content-length", str(len(page)))
            http.end_headers()
            http.wfile.write(page)
            return
        with self._lock:
            self.requests.append({"body": body, "path": http.path, "headers": headers, "time": time.monotonic()})
            number, outcome = len(self.requests), self.script.pop(0) if self.script else self.profile(body)
        if outcome == "drop":
            http.close_connection = True
            http.connection.shutdown(socket.SHUT_RDWR)
            return
        status, extra = 200, {}
        if isinstance(outcome, Page):
            status, extra = outcome.status, outcome.headers
        elif isinstance(outcome, tuple) and outcome[0] == "delay":
            time.sleep(outcome[1])
        elif isinstance(outcome, tuple):
            status, extra = outcome
        elif isinstance(outcome, int):
            status = outcome
        if isinstance(outcome, Page):
            page = (outcome.body if isinstance(outcome.body, str) else json.dumps(outcome.body)).encode()
        elif status != 200:
            said = extra.pop("message", f"scripted {status}") if isinstance(extra, dict) else ""
            page = json.dumps({"error": {"message": said, "type": extra.pop("type", "scripted")}}).encode()
        elif isinstance(outcome, bytes):
            page = outcome
        else:
            page = json.dumps(self.completion(body, number)).encode()
        http.send_response(status)
        http.send_header("content-type", "application/json")
        http.send_header("content-length", str(len(page)))
        for name, value in extra.items():
            http.send_header(name, value)
        http.end_headers()
        if outcome == "torn":
            http.wfile.write(page[: len(page) // 2])
            http.close_connection = True
            http.connection.shutdown(socket.SHUT_RDWR)
            return
        http.wfile.write(page)

    def completion(self, body: dict[str, Any], number: int) -> dict[str, Any]:
        """The body of the answer to a request, which is the `number`-th."""
        text = self.reply(body) if callable(self.reply) else self.reply
        texts = [text if text is None else str(text).replace("{n}", str(number))] * body.get("n", 1)
        choices = [
            {"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": t}}
            for i, t in enumerate(texts)
        ]
        answer = {"id": f"chat-{number}", "object": "chat.completion", "created": 0, "model": body["model"]}
        answer["choices"] = choices
        if self.usage:
            tokens_in = self.count("\n".join(str(m.get("content") or "") for m in body["messages"]))
            tokens_out = sum(len((t or "").split()) for t in texts)
            usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}
            answer["usage"] = {**usage, "total_tokens": tokens_in + tokens_out}
        return answer


def letter_by_request(body: dict[str, Any]) -> str:
    """An answer that depends on the whole request, and on nothing else."""
    seed = hashlib.sha256(str(body["messages"]).encode()).digest()[0]
    return f"Let me think. Answer: ({'ABCD'[seed % 4]})"
