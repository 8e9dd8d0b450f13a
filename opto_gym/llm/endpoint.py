"""One HTTP attempt at an OpenAI-compatible endpoint: what it answered, or how it failed, without keys."""

from __future__ import annotations

import email.utils
import json
import os
import re
import time
import weakref
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from ..errors import EndpointError
from . import local

_TOO_LONG = ("exceed_context_size", "context_length_exceeded", "maximum context length")
_NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout")
_SECRETS = re.compile(r"\bsk-[\w*-]{6,}|(?<=Bearer )[^\s'\"]+|(?<=://)[^/@\s]+(?=@)|(?<=key=)[^&\s'\"]+")
_LONGEST_PAUSE = 60.0
REFUSALS = (400, 404, 413, 422)
"""Statuses by which an endpoint finds a request wrong; another one may be right."""


class Failure(Exception):
    """An attempt that brought no answer.

    Attributes:
        error: Status and the server's message, or the kind of broken connection. Without keys.
        status: Of HTTP; None where none came.
        final: Whether another attempt would fail too.
        lost: Whether the request was sent and may have been answered and billed, unseen.
        too_long: Whether the prompt is longer than the model's context.
        pause: Seconds that the server asks to wait, or None.
    """

    def __init__(
        self, error: str, status: int | None, *, final: bool = False, lost: bool = False, pause: float | None = None
    ) -> None:
        super().__init__(error)
        self.error, self.status, self.final, self.lost, self.pause = error, status, final, lost, pause
        self.too_long = any(mark in error for mark in _TOO_LONG)


class Endpoint:
    """Where a model is asked. No connection is made, and no server started, before the first `post`.

    Args:
        model: ``"local"`` is the embedded model, whatever the URL.
        base_url: None is OpenAI's own.
        api_key: None takes ``OPENAI_API_KEY``.
        timeout: Seconds an attempt may take.

    Attributes:
        name: The URL without credentials, or ``"local"``.
    """

    def __init__(self, model: str, base_url: str | None, api_key: str | None, timeout: float) -> None:
        self._is_local, self._base_url, self._timeout = model == "local", base_url, timeout
        self._api_key = api_key or os.environ.get("OPENAI_API_KEY")
        self.name = "local" if self._is_local else without_credentials(base_url or "https://api.openai.com/v1")
        self._openai: Any = None
        self._limit_field = "max_tokens"

    def post(self, request: dict[str, Any]) -> bytes:
        """The body of a 200.

        Raises:
            Failure: If there is none.
            EndpointError: If there is no key where one is needed.
        """
        import openai

        if self._is_local and request.get("n", 1) > 1:
            return self._one_by_one(request)
        body = dict(request)
        body[self._limit_field] = body.pop("max_tokens")
        model, messages = body.pop("model"), body.pop("messages")
        try:
            # extra_body: fields that the package does not know are sent too
            raw = self._client().chat.completions.with_raw_response.create(
                model=model, messages=messages, extra_body=body
            )
            return bytes(raw.http_response.content)
        except openai.APIStatusError as e:
            failure = self._refused(e)
        except openai.APIConnectionError as e:
            kind = type(e.__cause__ or e).__name__
            said = self.scrub(f"{type(e).__name__}: {e.__cause__ or e}")
            failure = Failure(said, None, lost=kind not in _NOT_SENT)
        raise failure

    def _one_by_one(self, request: dict[str, Any]) -> bytes:
        """Several completions of the embedded model, whose server gives one a request; the prompt counts once."""
        whole: dict[str, Any] = {}
        for i in range(request["n"]):
            one = {k: v for k, v in request.items() if k != "n"}
            if "seed" in one:
                one["seed"] += i  # or all would be the same
            data = json.loads(self.post(one))
            if not whole:
                whole = data
            else:
                whole["choices"] += [{**choice, "index": i} for choice in data["choices"]]
                for field in ("completion_tokens", "total_tokens"):
                    whole["usage"][field] += data["usage"]["completion_tokens"]
        return json.dumps(whole).encode()

    def _refused(self, e: Any) -> Failure:
        body = e.body if isinstance(e.body, dict) else {}
        said = str(body.get("message") or e.message)
        kind = f" ({body['type']})" if body.get("type") else ""
        error, status = self.scrub(f"{e.status_code}: {said}{kind}"), int(e.status_code)
        if status == 400 and "max_completion_tokens" in error and self._limit_field == "max_tokens":
            self._limit_field = "max_completion_tokens"  # what OpenAI's newer models call the same field
            return Failure(error, status, pause=0.0)
        broke = status == 429 and "insufficient_quota" in (body.get("type"), body.get("code"))
        final = (status < 500 and status not in (408, 409, 429)) or broke
        return Failure(error, status, final=final, pause=_retry_after(e.response.headers.get("retry-after")))

    def _client(self) -> Any:
        if self._openai is None:
            import openai

            base_url = local.server().base_url if self._is_local else self._base_url
            key = "none" if self._is_local else self._api_key or ("none" if base_url else None)
            if key is None:
                raise EndpointError("no key for OpenAI's endpoint: set OPENAI_API_KEY, or name another by --base-url")
            settings: dict[str, Any] = {"base_url": base_url, "api_key": key, "timeout": self._timeout}
            if base_url:
                parts = urlsplit(base_url)
                loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
                # a name and password in the URL would be logged with it by the HTTP library
                login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
                settings["base_url"] = without_credentials(base_url)
                # trust_env: no proxy of the environment may catch what is for this very machine
                settings["http_client"] = openai.DefaultHttpxClient(trust_env=not loopback, auth=login)
            self._openai = openai.OpenAI(**settings, max_retries=0)  # the client's loop enters every attempt
            weakref.finalize(self, self._openai.close)  # or its sockets would be closed with a warning, some time
        return self._openai

    def scrub(self, text: str) -> str:
        """The text without keys, cut at 500 characters."""
        if self._api_key and len(self._api_key) > 3:  # shorter ones are placeholders
            text = text.replace(self._api_key, "***")
        return _SECRETS.sub("***", text)[:500]


def without_credentials(url: str) -> str:
    """A URL without user name, password and query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path.rstrip("/"), "", ""))


def _retry_after(header: str | None) -> float | None:
    """Seconds of a Retry-After, which gives seconds or a date (RFC 9110, 10.2.3)."""
    try:
        seconds = float(header or "")
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header or "").timestamp() - time.time()
        except ValueError:
            return None
    return min(_LONGEST_PAUSE, max(0.0, seconds)) if seconds == seconds else None
