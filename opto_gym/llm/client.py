"""The client: one chat call with its attempts, its budget, its record. All model calls of opto_gym go through here."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import BudgetSpent, EndpointError, OptoGymError
from . import local
from .budget import Budget, Reservation
from .endpoint import Endpoint, Failure
from .ledger import ROLES, Attempt, Ledger
from .prices import Price, price_of
from .record import CallRecord

Message = Mapping[str, str]
"""``{"role": ..., "content": ...}``."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_TOKENS_A_MESSAGE = 8  # what a chat template adds: role, separators
_MAX_TOKENS = 1024
_NOT_PASSED = ("stream", "stream_options", "user", "max_completion_tokens")


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
        counted: Who counted the tokens: ``usage`` (the endpoint), ``estimate``, ``none`` (nothing was computed).
        problem: Why a well-received answer holds no usable completion, or None.
        replayed: Whether it came from the record.
        body: What the endpoint sent, as it is: JSON. Only of `Client.complete`, and where it holds completions.
    """

    text: str
    texts: tuple[str, ...]
    finish_reason: str | None
    tokens_in: int
    tokens_out: int
    seconds: float
    usd: float | None
    counted: str
    problem: str | None = None
    replayed: bool = False
    body: str | None = None


class Client:
    """A language model behind an OpenAI-compatible endpoint, or the embedded one. Thread-safe.

    Args:
        model: A name, or ``"local"`` for the embedded model. None takes ``OPTO_GYM_MODEL``, else ``"local"``.
        base_url: The endpoint; None takes ``OPENAI_BASE_URL``, else OpenAI's own. The embedded model has none.
        api_key: None takes ``OPENAI_API_KEY``.
        role: Of ``ledger.ROLES``: what the calls are for.
        budget: Where calls are reserved before they are made.
        ledger: Where every attempt is entered.
        record: Where calls are recorded, and found again.
        price: (USD a million tokens in, out), for a model that the price list does not know.
        attempts: How often a call is tried on 408, 409, 429, 5xx and broken connections, with growing pauses.
        timeout: Seconds an attempt may take; None is 120, and 600 for the embedded model, whose callers queue.

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
        timeout: float | None = None,
    ) -> None:
        if role not in ROLES:
            raise ValueError(f"Client: expected a role of {ROLES}, got {role!r}")
        if attempts < 1:
            raise ValueError(f"Client: expected at least 1 attempt, got {attempts!r}")
        base_url = base_url or os.environ.get("OPENAI_BASE_URL")
        model = model or os.environ.get("OPTO_GYM_MODEL")
        if not model:
            if base_url or api_key or os.environ.get("OPENAI_API_KEY"):
                raise OptoGymError(
                    "an endpoint is configured but no model: name it by model=..., --model or OPTO_GYM_MODEL "
                    "('local' is the embedded one)"
                )
            model = "local"
        self.model, self.role, self.attempts = model, role, attempts
        self.budget, self.ledger, self.record = budget or Budget(), ledger or Ledger(), record
        self.price = Price(price[0] / 1e6, price[1] / 1e6, "given by the user") if price else price_of(model)
        timeout = timeout or (600.0 if model == "local" else 120.0)
        self._endpoint = Endpoint(model, base_url, api_key, timeout)
        if self.price is None and self.budget.limited("usd"):
            raise OptoGymError(
                f"money is limited but the price of {model!r} is unknown: give it as Client(price=(in, out)), in USD "
                "a million tokens, or limit tokens instead"
            )

    @property
    def endpoint(self) -> str:
        """The endpoint's URL without credentials, or ``"local"``."""
        return self._endpoint.name

    def __repr__(self) -> str:
        return f"Client({self.model!r}, endpoint={self.endpoint!r}, role={self.role!r})"

    def describe(self) -> dict[str, Any]:
        """What a record says of the model: plain data without keys."""
        price = None if self.price is None else self.price._asdict()
        said: dict[str, Any] = {"model": self.model, "endpoint": self.endpoint, "usd_per_token": price}
        if self.model == "local":
            said["file"] = local.MODELS[local.DEFAULT].describe()
        return said

    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = _MAX_TOKENS,
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
            "messages": _sendable(messages),
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
        return dataclasses.replace(self._call(request, whole=False), body=None)

    def complete(self, body: Mapping[str, Any]) -> Answer:
        """One logical call with a whole body of OpenAI's chat completions: tools, JSON mode and what else it holds.

        Args:
            body: JSON data with ``messages``. The model becomes this client's; an answer without a limit gets 1,024
                tokens, so that a token budget can refuse beforehand. What is None is not sent, nor ``user``, which
                would keep the call from being found in the record, nor what asks for a stream.

        Returns:
            The answer, with the endpoint's in `Answer.body`.

        Raises:
            ValueError: If a number is infinite or NaN, which JSON can't hold.
            EndpointError: As in `chat`, and so `BudgetSpent` and `ReplayMismatch`.
        """
        request = {k: _sendable(v) for k, v in body.items() if v is not None and k not in _NOT_PASSED}
        request["max_tokens"] = body.get("max_completion_tokens") or body.get("max_tokens") or _MAX_TOKENS
        request["model"] = self.model
        return self._call(request, whole=True)

    def lose(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Books recorded calls that are lost as they were booked when they were made, whatever the limits are now."""
        for line in lines:
            number = self.ledger.next_call()
            bound, failed = line["bound"], line["failed_attempts"]
            for fact in failed:
                self._enter_failure(number, fact, bound, replayed=True, lost=True)
            unseen = sum(fact["lost"] for fact in failed)
            spent = {"llm_calls": 0.0, "tokens": sum(bound) * unseen, "usd": self._usd(bound) * unseen}
            if line["error"] is None:
                answer = self._recorded(line)
                spent["llm_calls"] = 1.0
                spent["tokens"] += answer.tokens_in + answer.tokens_out
                spent["usd"] += answer.usd or 0.0
                if answer.counted != "none":
                    self._enter(number, answer, lost=True)
            Reservation(self.budget, spent).settle()

    def repeat(self, keys: Iterable[str]) -> None:
        """Books recorded calls, whose answers nobody needs any more, as if they were asked again."""
        for key in keys:
            line = self.record.find(key, self.record.times(key)) if self.record else None
            if line is not None:
                number = self.ledger.next_call()
                self._repeat_failures(line, number)
                if line["error"] is None:
                    self._repeat(line, number)

    def _call(self, request: dict[str, Any], *, whole: bool) -> Answer:
        """From the record, or else from the endpoint and into the record; there with the body if it is `whole`."""
        number = self.ledger.next_call()
        if self.record is None:
            return self._ask(request, number, self._bound(request), [])
        key, times = self.record.key(request, self.endpoint, self.role)
        line = self.record.find(key, times)
        replay = self.record.mode == "replay"
        if line is not None:
            self._repeat_failures(line, number)
            if line["error"] is None:
                return self._repeat(line, number)
            if replay:
                raise EndpointError(line["error"], line["failed_attempts"][-1]["status"])
        if replay:
            # where the original's budget ended, so does the replay's: a call that was refused is not recorded
            self._reserve(_bytes_bound(request)).cancel()
            raise self.record.mismatch(request, times)
        if self.role == "optimizer" and self.budget.left("llm_calls") < 1 + self.record.unasked(self.role):
            # it does something else than before it was interrupted: what is on record was paid from the same budget
            raise BudgetSpent("llm_calls", "what is on record, and is not asked again, leaves nothing")
        bound = self._bound(request)
        failures: list[dict[str, Any]] = []
        line = {"key": key, "n": times, "call": number, "role": self.role, "model": self.model}
        line |= {"endpoint": self.endpoint, "request": request, "bound": bound, "failed_attempts": failures}
        try:
            answer = self._ask(request, number, bound, failures)
        except EndpointError as e:
            self.record.write({**line, "error": str(e), "time": round(time.time(), 3)})
            raise
        said = dataclasses.asdict(answer)
        del said["text"], said["replayed"]
        if not whole:
            del said["body"]
        self.record.write({**line, **said, "error": None, "time": round(time.time(), 3)})
        return answer

    def _ask(
        self, request: dict[str, Any], number: int, bound: Sequence[int], failures: list[dict[str, Any]]
    ) -> Answer:
        """From the endpoint, in several attempts; what failed is appended to `failures`."""
        held = self._reserve(bound)
        try:
            for attempt in range(1, self.attempts + 1):
                begin = time.monotonic()
                try:
                    answer = self._read(self._endpoint.post(request), request, begin)
                except Failure as f:
                    failed = f
                else:
                    self._enter(number, answer)
                    held.settle(tokens=answer.tokens_in + answer.tokens_out, usd=answer.usd or 0.0)
                    return answer
                seconds = round(time.monotonic() - begin, 4)
                fact = {"status": failed.status, "error": failed.error, "seconds": seconds, "lost": failed.lost}
                failures.append(fact)
                self._enter_failure(number, fact, bound)
                if failed.too_long:
                    held.settle(tokens=0, usd=0.0)
                    problem = f"the prompt is longer than the model's context ({failed.error})"
                    return Answer("", (), None, 0, 0, seconds, 0.0, "none", problem)
                if failed.final:
                    said = f"{self.endpoint} refused {self.model!r}: {failed.error}{self._mend(failed)}"
                    raise EndpointError(said, failed.status)
                if failed.lost:
                    held.settle(llm_calls=0)  # nobody can say what it cost: all that it may have
                if attempt < self.attempts:
                    time.sleep(_pause(attempt) if failed.pause is None else failed.pause)
                    held = self._reserve(bound) if failed.lost else held
            raise EndpointError(
                f"{self.endpoint} gave no answer in {self.attempts} attempts; the last: {failed.error}. What is "
                "recorded is safe: resume when it is up again",
                failed.status,
            )
        finally:
            held.cancel()  # no effect on what is settled

    def _repeat(self, line: dict[str, Any], number: int) -> Answer:
        """From the record: books what the original booked, but nothing is paid."""
        answer = self._recorded(line)
        held = self._reserve(line["bound"])
        held.settle(tokens=answer.tokens_in + answer.tokens_out, usd=answer.usd or 0.0)
        if answer.counted != "none":
            self._enter(number, answer)
        return answer

    def _recorded(self, line: Mapping[str, Any]) -> Answer:
        fields = {f.name: line[f.name] for f in dataclasses.fields(Answer) if f.name in line}
        texts = tuple(fields.pop("texts"))
        if fields["usd"] is None and self.price:  # the price was not known then
            fields["usd"] = self.price.of(fields["tokens_in"], fields["tokens_out"])
        return Answer(text=texts[0] if texts else "", texts=texts, replayed=True, **fields)

    def _repeat_failures(self, line: dict[str, Any], number: int) -> None:
        for fact in line["failed_attempts"]:
            self._enter_failure(number, fact, line["bound"], replayed=True)
            if fact["lost"]:
                self._reserve(line["bound"]).settle(llm_calls=0)

    def _reserve(self, bound: Sequence[int]) -> Reservation:
        return self.budget.reserve(llm_calls=1, tokens=sum(bound), usd=self._usd(bound))

    def _usd(self, tokens: Sequence[int]) -> float:
        return self.price.of(*tokens) if self.price else 0.0

    def _bound(self, request: dict[str, Any]) -> tuple[int, int]:
        """Tokens in and out at most: counted for the embedded model, else one a byte and a few a message."""
        tokens_in, tokens_out = _bytes_bound(request)
        if self.model == "local":
            tokens_in = local.server().count(request["messages"], request.get("tools"))
        return tokens_in, tokens_out

    def _enter(self, number: int, answer: Answer, *, lost: bool = False) -> None:
        a = answer
        tokens = (a.tokens_in, a.tokens_out, a.counted)
        where = (self.role, self.model, self.endpoint, number)
        self.ledger.add(Attempt(*where, *tokens, a.seconds, a.usd, time.time(), None, a.replayed, lost))

    def _enter_failure(
        self, number: int, fact: dict[str, Any], bound: Sequence[int], *, replayed: bool = False, lost: bool = False
    ) -> None:
        tokens: tuple[int, int, str] = (bound[0], bound[1], "bound") if fact["lost"] else (0, 0, "none")
        usd = self.price.of(*tokens[:2]) if self.price else None if fact["lost"] else 0.0
        where = (self.role, self.model, self.endpoint, number)
        self.ledger.add(Attempt(*where, *tokens, fact["seconds"], usd, time.time(), fact["error"], replayed, lost))

    def _read(self, body: bytes, request: dict[str, Any], begin: float) -> Answer:
        """A 200's answer. One that holds no completion is unusable, not an error."""
        data, contents, finish = _completions(body)
        texts = [text for text in contents or () if isinstance(text, str)]
        problem = None
        if contents is None:
            problem = f"the answer holds no completion: {body[:200].decode('utf-8', 'replace')}"
        elif len(texts) < len(contents):
            problem = f"the answer has no text (it ended by {finish!r})"
        usage = data.get("usage") if isinstance(data, dict) else None
        usage = usage if isinstance(usage, dict) else {}
        tokens_in, tokens_out, counted = usage.get("prompt_tokens"), usage.get("completion_tokens"), "usage"
        if not (isinstance(tokens_in, int) and isinstance(tokens_out, int) and min(tokens_in, tokens_out) >= 0):
            # four bytes a token is the rule of thumb for English and code
            tokens_in = _bytes(request) // 4
            tokens_out = sum(len(t.encode("utf-8", "replace")) for t in texts) // 4
            counted = "estimate"
        usd = self.price.of(tokens_in, tokens_out) if self.price else None
        seconds = round(time.monotonic() - begin, 4)
        text = texts[0] if texts else ""
        said = self._endpoint.scrub(problem) if problem else None
        sent = None if contents is None else body.decode(json.detect_encoding(body), "surrogatepass")
        return Answer(text, tuple(texts), finish, tokens_in, tokens_out, seconds, usd, counted, said, body=sent)

    def _mend(self, failed: Failure) -> str:
        if failed.status in (401, 403):
            return ". Set OPENAI_API_KEY to a key that is valid there"
        if failed.status == 404:
            return f". Is {self.model!r} the name of a model there, and the URL complete (often it ends in /v1)?"
        return ""


def _completions(body: bytes) -> tuple[Any, list[Any] | None, str | None]:
    """(JSON, contents, finish reason) of a body, whatever it is; no contents where it holds no completion."""
    data: Any = None
    try:
        data = json.loads(body)
        choices = data["choices"]
        contents = [c["message"].get("content") for c in choices]
        finish = choices[0].get("finish_reason")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return data, None, None
    return data, contents, str(finish) if finish is not None else None


def _bytes_bound(request: dict[str, Any]) -> tuple[int, int]:
    """Tokens in and out at most, for any tokenizer over bytes."""
    tokens_in = _bytes(request) + _TOKENS_A_MESSAGE * len(request["messages"])
    return tokens_in, request["max_tokens"] * request.get("n", 1)


def _bytes(request: dict[str, Any]) -> int:
    """Bytes of what the model reads: the texts, and as JSON what is more than a text."""
    texts = [m["content"] for m in request["messages"] if isinstance(m.get("content"), str) and len(m) == 2]
    rest = [m for m in request["messages"] if not isinstance(m.get("content"), str) or len(m) != 2]
    rest += [request[field] for field in ("tools", "functions", "response_format") if field in request]
    return sum(len(text.encode()) for text in texts) + sum(len(json.dumps(part)) for part in rest)


def _sendable(value: Any) -> Any:
    """JSON data with lone surrogates written out: JSON over HTTP can't hold them."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_sendable(name): _sendable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_sendable(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected finite numbers, got {value!r}")
    return value


def _pause(attempt: int) -> float:
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempt - 1)) * random.uniform(0.8, 1.2)
