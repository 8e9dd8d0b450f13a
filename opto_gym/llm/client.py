"""The client: one chat call with its attempts, its budget, its record. All model calls of opto_gym go through here."""

from __future__ import annotations

import dataclasses
import os
import random
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..errors import EndpointError, OptoGymError
from . import local
from .budget import Budget, Reservation
from .ledger import ROLES, Attempt, Ledger
from .prices import Price, price_of
from .record import CallRecord

Message = Mapping[str, str]
_CONTEXT = ("exceed_context_size", "context_length_exceeded", "maximum context length")


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered.

    Attributes:
        text: The completion, "" if there is none.
        texts: All of them, where several were asked for.
        finish_reason: ``stop``, ``length``, ...
        tokens_in: Tokens of the prompt, as counted by the endpoint (estimated if it says nothing).
        tokens_out: Tokens of the answer, likewise.
        seconds: Latency of the successful attempt.
        usd: Price, or None where it is unknown.
        problem: Why a well-received answer holds no usable completion, or None.
        replayed: Whether it came from the record.
    """

    text: str
    texts: tuple[str, ...]
    finish_reason: str | None
    tokens_in: int
    tokens_out: int
    seconds: float
    usd: float | None
    problem: str | None = None
    replayed: bool = False


class Client:
    """A language model behind an OpenAI-compatible endpoint, or the embedded one.

    Args:
        model: A name, or ``"local"`` for the embedded model. None takes ``OPTO_GYM_MODEL``, else ``"local"``.
        base_url: The endpoint; None takes ``OPENAI_BASE_URL``, else OpenAI's own.
        api_key: None takes ``OPENAI_API_KEY``.
        role: Of ``ledger.ROLES``: what the calls are for.
        budget: Where calls are reserved before they are made.
        ledger: Where every attempt is entered.
        record: Where calls are recorded, and found again.
        price: (USD a million tokens in, out), for a model that the price list does not know.
        attempts: How often a call is tried on 429, 5xx and broken connections, with growing pauses.
        timeout: Seconds an attempt may take.

    Raises:
        OptoGymError: If an endpoint is given but no model, or money is limited and the price unknown.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        role: str = "optimizer",
        budget: Budget | None = None,
        ledger: Ledger | None = None,
        record: CallRecord | None = None,
        price: tuple[float, float] | None = None,
        attempts: int = 6,
        timeout: float = 120.0,
    ) -> None:
        base_url = base_url or (os.environ.get("OPENAI_BASE_URL") if model != "local" else None)
        model = model or os.environ.get("OPTO_GYM_MODEL")
        if model is None:
            if base_url or api_key or os.environ.get("OPENAI_API_KEY"):
                raise OptoGymError("an endpoint is configured but no model: set model=..., --model or OPTO_GYM_MODEL")
            model = "local"
        if role not in ROLES:
            raise ValueError(f"Client: expected a role of {ROLES}, got {role!r}")
        self.model, self.role, self.attempts, self.timeout = model, role, attempts, timeout
        self.budget, self.ledger, self.record = budget or Budget(), ledger or Ledger(), record
        self._base_url, self._api_key = base_url, api_key or os.environ.get("OPENAI_API_KEY")
        self.endpoint = "local" if model == "local" else without_credentials(base_url or "https://api.openai.com/v1")
        self.price = Price(price[0] / 1e6, price[1] / 1e6, "given by the user") if price else price_of(model)
        self._openai: Any = None
        self._require_price()

    def __repr__(self) -> str:
        return f"Client({self.model!r}, endpoint={self.endpoint!r}, role={self.role!r})"

    def describe(self) -> dict[str, Any]:
        """What a record says of the model: plain data without keys."""
        price = None if self.price is None else {"in": self.price.tokens_in, "out": self.price.tokens_out}
        said: dict[str, Any] = {"model": self.model, "endpoint": self.endpoint, "usd_per_token": price}
        if self.model == "local":
            said["file"] = local.MODELS[local.DEFAULT].describe()
        return said

    def _require_price(self) -> None:
        if self.price is None and self.budget.limited("usd"):
            raise OptoGymError(
                f"money is limited but the price of {self.model!r} is unknown: give it (USD a million tokens in and "
                "out), or limit tokens instead"
            )

    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 1024,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] | None = None,
        json_schema: Mapping[str, Any] | None = None,
        json_object: bool = False,
        n: int = 1,
    ) -> Answer:
        """One logical call. What is None is not sent.

        Args:
            messages: ``{"role": ..., "content": ...}``.
            max_tokens: Tokens of the answer; always sent, so that a token budget can refuse beforehand.
            temperature: As the endpoint takes it.
            top_p: As the endpoint takes it.
            seed: As the endpoint takes it.
            stop: Texts that end the answer.
            json_schema: Constrains the answer, where the endpoint can.
            json_object: Asks for a JSON object.
            n: Number of completions.

        Raises:
            EndpointError: If the endpoint refuses, or all attempts failed.
            BudgetSpent: If the call would be over the budget; nothing was sent.
            ReplayMismatch: In replay, if the call is not recorded.
        """
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [dict(m) for m in messages],
            "max_tokens": max_tokens,
        }
        optional = {"temperature": temperature, "top_p": top_p, "seed": seed, "stop": list(stop) if stop else None}
        request.update({k: v for k, v in optional.items() if v is not None})
        if n != 1:
            request["n"] = n
        if json_schema is not None:
            form = {"name": "answer", "schema": dict(json_schema), "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": form}
        elif json_object:
            request["response_format"] = {"type": "json_object"}
        call = self.ledger.next_call()
        key, times, line = "", 0, None
        if self.record is not None:
            key, times = self.record.key(request, self.endpoint, self.role)
            line = self.record.find(key, times, request)
        with_tokens = (line["tokens_in"], line["tokens_out"]) if line else (self._prompt_bound(request), max_tokens * n)
        held = self._reserve(*with_tokens)
        if line is not None:
            return self._from_record(line, call, held)
        try:
            answer, failures = self._send(request, call)
        except BaseException:
            held.cancel()
            raise
        if self.record is not None:
            self.record.write(
                {
                    "key": key,
                    "n": times,
                    "call": call,
                    "role": self.role,
                    "model": self.model,
                    "endpoint": self.endpoint,
                    "request": request,
                    "texts": list(answer.texts),
                    "finish_reason": answer.finish_reason,
                    "problem": answer.problem,
                    "tokens_in": answer.tokens_in,
                    "tokens_out": answer.tokens_out,
                    "usd": answer.usd,
                    "seconds": round(answer.seconds, 4),
                    "failed_attempts": failures,
                    "time": round(time.time(), 3),
                }
            )
        held.settle(tokens=answer.tokens_in + answer.tokens_out, usd=answer.usd or 0.0)
        return answer

    def _reserve(self, tokens_in: int, tokens_out: int) -> Reservation:
        usd = self.price.of(tokens_in, tokens_out) if self.price else 0.0
        return self.budget.reserve(llm_calls=1, tokens=tokens_in + tokens_out, usd=usd)

    def _prompt_bound(self, request: dict[str, Any]) -> int:
        """Tokens of the prompt: counted for the embedded model, else at most one a byte and a few a message."""
        if not (self.budget.limited("tokens") or self.budget.limited("usd")):
            return 0
        texts = [str(m.get("content", "")) for m in request["messages"]]
        if self.model == "local":
            return local.server().count(request["messages"])
        return sum(len(t.encode("utf-8", "surrogatepass")) + 8 for t in texts)

    def _from_record(self, line: dict[str, Any], call: int, held: Reservation) -> Answer:
        held.settle(tokens=line["tokens_in"] + line["tokens_out"], usd=line["usd"] or 0.0)
        for failed in line["failed_attempts"]:
            self._enter(call, 0, 0, failed["seconds"], 0.0, failed["error"], replayed=True)
        self._enter(call, line["tokens_in"], line["tokens_out"], line["seconds"], line["usd"], None, replayed=True)
        texts = tuple(line["texts"])
        return Answer(
            texts[0] if texts else "",
            texts,
            line["finish_reason"],
            line["tokens_in"],
            line["tokens_out"],
            line["seconds"],
            line["usd"],
            line["problem"],
            replayed=True,
        )

    def _enter(
        self,
        call: int,
        tin: int,
        tout: int,
        seconds: float,
        usd: float | None,
        error: str | None,
        replayed: bool = False,
    ) -> None:
        self.ledger.add(Attempt(self.role, self.model, call, tin, tout, seconds, usd, error, replayed))

    def _send(self, request: dict[str, Any], call: int) -> tuple[Answer, list[dict[str, Any]]]:
        """The call with its attempts: the answer, and what failed before it."""
        import openai

        failures: list[dict[str, Any]] = []
        for attempt in range(1, self.attempts + 1):
            begin = time.monotonic()
            try:
                raw = self._client().chat.completions.with_raw_response.create(**request)
                return self._read(raw.http_response.content, request, time.monotonic() - begin, call), failures
            except openai.APIStatusError as e:
                error, pause = self._scrub(f"{e.status_code}: {_message(e)}"), _retry_after(e)
                if any(mark in error for mark in _CONTEXT):
                    said = f"the prompt is longer than the model's context ({error})"
                    return self._unusable(said, call, time.monotonic() - begin), failures
                final = e.status_code < 500 and e.status_code not in (408, 409, 429)
            except openai.APIConnectionError as e:
                error, pause, final = self._scrub(f"{type(e).__name__}: {e.__cause__ or e}"), None, False
            seconds = time.monotonic() - begin
            self._enter(call, 0, 0, seconds, 0.0, error)
            failures.append({"error": error, "seconds": round(seconds, 4)})
            if final:
                raise EndpointError(f"{self.endpoint} refused {self.model!r}: {error}{self._mend(error)}")
            if attempt < self.attempts:
                time.sleep(
                    pause if pause is not None else min(30.0, 0.5 * 2 ** (attempt - 1)) * random.uniform(0.8, 1.2)
                )
        raise EndpointError(f"{self.endpoint} did not answer in {self.attempts} attempts; the last said: {error}")

    def _client(self) -> Any:
        if self._openai is None:
            import openai

            base_url = local.server().base_url if self.model == "local" else self._base_url
            key = "none" if self.model == "local" else self._api_key or ("none" if base_url else None)
            if key is None:
                raise EndpointError(
                    "no key for OpenAI's endpoint: set OPENAI_API_KEY, or --base-url for another endpoint"
                )
            arguments: dict[str, Any] = {
                "base_url": base_url,
                "api_key": key,
                "timeout": self.timeout,
                "max_retries": 0,
            }
            if base_url and urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1"):
                arguments["http_client"] = openai.DefaultHttpxClient(trust_env=False)  # no proxy to this very machine
            self._openai = openai.OpenAI(**arguments)
        return self._openai

    def _read(self, body: bytes, request: dict[str, Any], seconds: float, call: int) -> Answer:
        """A 200's answer. One that holds no completion is unusable, not an error."""
        import json

        problem, texts, finish = None, [], None
        data: Any = None
        try:
            data = json.loads(body)
            choices = data["choices"]
            texts = [c["message"]["content"] for c in choices]
            finish = choices[0].get("finish_reason")
            if not all(isinstance(t, str) for t in texts):
                problem, texts = "the answer has no text", [t for t in texts if isinstance(t, str)]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            problem = f"the answer holds no completion: {self._scrub(body[:200].decode('utf-8', 'replace'))}"
        told = data.get("usage") if isinstance(data, dict) else None
        usage = told if isinstance(told, dict) else {}
        guess_in = sum(len(m["content"].encode("utf-8", "surrogatepass")) for m in request["messages"]) // 4
        counted = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
        tokens_in, tokens_out = (
            c if isinstance(c, int) else guess
            for c, guess in zip(counted, (guess_in, sum(map(len, texts)) // 4), strict=True)
        )
        usd = self.price.of(tokens_in, tokens_out) if self.price else None
        self._enter(call, tokens_in, tokens_out, seconds, usd, None)
        text = texts[0] if texts else ""
        return Answer(text, tuple(texts), finish, tokens_in, tokens_out, seconds, usd, problem)

    def _unusable(self, problem: str, call: int, seconds: float) -> Answer:
        self._enter(call, 0, 0, seconds, 0.0, problem)
        return Answer("", (), None, 0, 0, seconds, 0.0, problem)

    def _scrub(self, text: str) -> str:
        """The text without keys."""
        if self._api_key:
            text = text.replace(self._api_key, "***")
        return re.sub(r"\b(sk|key|Bearer)[-_ ][A-Za-z0-9_\-]{8,}", "***", text)[:500]

    def _mend(self, error: str) -> str:
        if error.startswith("401"):
            return ". Set OPENAI_API_KEY to a valid key"
        if error.startswith("404"):
            return f". Is {self.model!r} the name of a model there, and the URL complete (often it ends in /v1)?"
        return ""


def without_credentials(url: str) -> str:
    """A URL without user name, password and query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path.rstrip("/"), "", ""))


def _message(e: Any) -> str:
    body = e.body if isinstance(e.body, dict) else {}
    said = body.get("message") or str(e.message)
    return f"{said} ({body['type']})" if body.get("type") else str(said)


def _retry_after(e: Any) -> float | None:
    try:
        return min(60.0, max(0.0, float(e.response.headers.get("retry-after"))))
    except (TypeError, ValueError):
        return None
