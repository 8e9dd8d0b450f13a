"""The client: one logical call to a language model, with its attempts, its budget and its record.

All model calls of opto_gym go through here. A call is answered from the record where that has it. Else it is reserved
in the budget, tried until an attempt succeeds or another would fail too, settled, and written to the record.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import BudgetSpent, EndpointError, OptoGymError
from . import local
from .accounting import Account
from .adapting import N
from .answer import Answer, record_fields
from .attempts import Attempts
from .budget import Budget
from .callables import NAME, Function, PythonModel, find_function, function_name
from .calls import CallLine, FailedAttempt
from .endpoint import Endpoint
from .ledger import ROLES, Ledger
from .limiter import limiter_of
from .monitor import CallMonitor
from .prices import given_price, price_of, unknown_price
from .probe import refusal
from .record import CallRecord
from .request import MAX_TOKENS, ChatMessage, chat_request, completion_request, token_bound
from .settings import from_environment, read_model, trimmed

_WHERE = ("OPENAI_BASE_URL", "OPENAI_API_KEY")
DEFAULT_ATTEMPTS, DEFAULT_TIMEOUT = 6, 600.0


class _Limited(NamedTuple):
    """A request within its budget.

    Attributes:
        request: The body.
        max_tokens: Its limit of the answer, if it is lower than what was asked for; else None.
        bound: The most tokens (in, out) that it can cost.
    """

    request: dict[str, Any]
    max_tokens: int | None
    bound: tuple[int, int]


class Client:
    """A language model behind an OpenAI-compatible endpoint, or the embedded one. Thread-safe.

    Args:
        model: A name, or ``"local"`` for the embedded model. None takes ``OPTO_GYM_MODEL``, else ``"local"``. A
            Python function, or its name ``module:function``, answers in place of an endpoint, see
            `callables.PythonModel`.
        base_url: The endpoint; None takes ``OPENAI_BASE_URL``, else OpenAI's own. The embedded model has none.
        api_key: None takes ``OPENAI_API_KEY``.
        role: What the calls are for, of ``ledger.ROLES``.
        extra_body: Fields that are added to every request, such as ``{"reasoning_effort": "low"}``.
        label: A name that tells the endpoint from others whose models have equal names but other weights; part of the
            keys of recorded calls. The address is not.
        budget: Where calls are reserved before they are made.
        ledger: Where every attempt is entered.
        record: Where calls are recorded, and looked up.
        price: USD per million tokens (in, out) or (in, out, read from the cache), in place of the price list's.
        attempts: How often a call is tried on 408, 409, 429, 5xx and broken connections, with growing pauses; None is
            6. After an attempt whose time was over there is one more at most.
        timeout: Seconds that an attempt may take as a whole; None is 600. A limit of `budget` on time bounds it too.
        monitor: Where the calls of all clients of a run are watched and stopped; None for a client by itself.

    Attributes:
        price: The price of the model's tokens, or None where it is unknown.

    Raises:
        ValueError: For an unknown role, fewer than 1 attempt, or a time of 0 or less.
        OptoGymError: If there is an endpoint but no model, or money is limited and the price is unknown.
        SettingsError: If the model's name, the URL, the key or a proxy can't be used as it is given.
    """

    def __init__(
        self,
        model: str | Function | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        role: str = "optimizer",
        extra_body: Mapping[str, Any] | None = None,
        label: str | None = None,
        budget: Budget | None = None,
        ledger: Ledger | None = None,
        record: CallRecord | None = None,
        price: Sequence[float] | None = None,
        attempts: int | None = None,
        timeout: float | None = None,
        monitor: CallMonitor | None = None,
    ) -> None:
        if role not in ROLES:
            raise ValueError(f"Client: expected a role of {ROLES}, got {role!r}")
        self.attempts = DEFAULT_ATTEMPTS if attempts is None else attempts
        self.timeout = DEFAULT_TIMEOUT if timeout is None else timeout
        if self.attempts < 1:
            raise ValueError(f"Client: expected at least 1 attempt, got {attempts!r}")
        if not 0 < self.timeout < float("inf"):
            raise ValueError(f"Client: expected a timeout of more than 0 seconds, got {timeout!r}")
        model = _model_name(model, base_url, api_key)
        self.model, self.role, self.label, self.extra_body = model, role, label, dict(extra_body or {})
        self.budget, self.ledger, self.record = budget or Budget(), ledger or Ledger(), record
        self.price = given_price(price) if price else price_of(model)
        if self.price is None and self.budget.limited("usd"):
            raise OptoGymError(unknown_price(model))
        self.monitor = monitor or CallMonitor()
        function = find_function(model)
        self._endpoint = (
            PythonModel(function, self.timeout) if function else Endpoint(model, base_url, api_key, self.timeout)
        )
        self._account = Account(role, model, self._endpoint, self.price, self.budget, self.ledger)
        self._attempts = Attempts(model, self._endpoint, self._account, self.monitor, self.attempts, self.timeout)
        if record is not None and record.mode == "resume":  # the trial goes on as it began
            self._attempts.adaptations.add(record.changes(self.endpoint, model))

    @property
    def endpoint(self) -> str:
        """The endpoint's URL without credentials, or ``"local"``."""
        return self._endpoint.name

    @property
    def concurrency(self) -> int:
        """How many calls may be made at a time. It is 1 where the record's calls are told apart by their order."""
        if self.record is not None and not self.record.has_places:
            return 1
        return limiter_of(self.endpoint).most

    @property
    def is_remote(self) -> bool:
        """Whether the model is behind an endpoint: neither the embedded one nor a function."""
        return self.endpoint not in ("local", NAME)

    def __repr__(self) -> str:
        return f"Client({self.model!r}, endpoint={self.endpoint!r}, role={self.role!r})"

    def describe(self) -> dict[str, Any]:
        """The model, its endpoint and its price as plain data for a trial's record, without keys."""
        price = None if self.price is None else self.price._asdict()
        description: dict[str, Any] = {"model": self.model, "endpoint": self.endpoint, "usd_per_token": price}
        if self.model == "local":
            description["file"] = local.MODELS[local.DEFAULT].describe()
        return description

    def chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int = MAX_TOKENS,
        fewest_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] | None = None,
        json_schema: Mapping[str, Any] | None = None,
        json_object: bool = False,
        n: int = 1,
    ) -> Answer:
        """Makes one logical call. Arguments that are None are not sent.

        Args:
            messages: ``{"role": ..., "content": ...}``.
            max_tokens: The most tokens of the answer; always sent, so that a token budget can refuse the call.
            fewest_tokens: Where the budget does not hold `max_tokens`, as many as it holds are sent instead, if they
                are not fewer than this; None refuses the call.
            temperature: As the endpoint takes it.
            top_p: As the endpoint takes it.
            seed: As the endpoint takes it.
            stop: Texts that end the answer.
            json_schema: A schema for the answer, where the endpoint supports it.
            json_object: Asks for a JSON object.
            n: The number of completions.

        Raises:
            EndpointError: If the endpoint refuses the request, or all attempts failed.
            BudgetSpent: If the budget can't hold the call; nothing was sent.
            ReplayMismatch: In replay, if the call is not recorded.
        """
        optional = {"temperature": temperature, "top_p": top_p, "seed": seed, "stop": list(stop) if stop else None}
        request = chat_request(
            self.model,
            messages,
            max_tokens=max_tokens,
            optional=optional,
            json_schema=json_schema,
            json_object=json_object,
            n=n,
        )
        answer = self._call(request, record_body=False, fewest_tokens=fewest_tokens)
        return dataclasses.replace(answer, body=None)

    def complete(self, body: Mapping[str, Any]) -> Answer:
        """Makes one logical call with a complete body of OpenAI's chat completions, such as one with tools.

        Args:
            body: JSON data with ``messages``. The model becomes this client's; without a limit on the answer it gets
                1,024 tokens, so that a token budget can refuse the call. Fields that are None are not sent, nor
                ``user``, by which the call could not be found in the record, nor those that ask for a stream.

        Returns:
            The answer, with the endpoint's body in `Answer.body`.

        Raises:
            ValueError: If a number is infinite or NaN, which JSON can't hold.
            EndpointError: As in `chat`, and so `BudgetSpent` and `ReplayMismatch`.
        """
        return self._call(completion_request(self.model, body), record_body=True)

    def prepare(self) -> None:
        """Loads the package that makes requests, and connects to nothing. The first call does so, too.

        Raises:
            EndpointError: If there is no key where one is needed.
        """
        self._endpoint.prepare()

    def probe(self) -> None:
        """Makes one small call, which is booked in the budget and not recorded.

        Raises:
            EndpointError: If the endpoint refuses it for a reason that holds for every call.
        """
        refused = refusal(self.model, self._endpoint.post, self._account, self.price)
        if refused is not None:
            raise EndpointError(f"{self.endpoint} {refused[0]}", refused[1])

    def book_lost(self, lines: Iterable[CallLine]) -> None:
        """Books recorded calls of abandoned tries of a trial, whatever the limits are now.

        Args:
            lines: Lines of ``llm.jsonl``.
        """
        for line in lines:
            self._account.book_lost(line)

    def book_recorded(self, keys: Iterable[str]) -> None:
        """Books recorded calls as if they were made again, for a caller that does not need their answers.

        Args:
            keys: The keys of the calls, as `record.collect_call_keys` gives them.
        """
        for key in keys:
            if self.record is None:
                return
            n = self.record.next_occurrence(key)
            line = self.record.find(key, n)
            if line is not None:
                number = self.ledger.next_call()
                self._account.book_recorded_failures(number, line)
                if line.error is None:
                    self._account.book_recorded_answer(number, line, self.record.parts(key, n))

    def lose(self, lines: Iterable[CallLine]) -> None:
        """Deprecated name of `book_lost`."""
        warnings.warn("Client.lose is now called book_lost", DeprecationWarning, stacklevel=2)
        self.book_lost(lines)

    def repeat(self, keys: Iterable[str]) -> None:
        """Deprecated name of `book_recorded`."""
        warnings.warn("Client.repeat is now called book_recorded", DeprecationWarning, stacklevel=2)
        self.book_recorded(keys)

    def _call(self, request: dict[str, Any], *, record_body: bool, fewest_tokens: int | None = None) -> Answer:
        """The answer from the record, else from the endpoint, which is then recorded."""
        number, request = self.ledger.next_call(), {**request, **self.extra_body}
        if self.record is None:
            limited = self._limited(request, fewest_tokens)
            answer = self._attempts.answer(limited.request, number, limited.bound, [], lambda **_: None)
            return dataclasses.replace(answer, max_tokens=limited.max_tokens)
        place = self.record.next_place()
        key, n = self.record.key(request, self.role, self.label, place)
        recorded, parts = self.record.find(key, n), self.record.parts(key, n)
        if recorded is not None:
            self._account.book_recorded_failures(number, recorded)
            if recorded.error is None:
                return self._account.book_recorded_answer(number, recorded, parts)
            if self.record.mode == "replay" and not recorded.interrupted:
                self._account.book_recorded_parts(number, parts)
                attempts = (recorded, *parts)[-1].failed_attempts or recorded.failed_attempts
                raise EndpointError(recorded.error, attempts[-1].status if attempts else None)
        limited = self._limited(request, fewest_tokens)
        self._check_new_call(self.record, limited.request, n)
        failures: list[FailedAttempt] = []

        def write(**outcome: Any) -> None:
            fields: dict[str, Any] = {"request": request, "max_tokens": limited.max_tokens, "bound": limited.bound}
            fields["place"] = place
            fields |= {"failed_attempts": tuple(failures), **outcome}
            fields |= {"role": self.role, "model": self.model, "endpoint": self.endpoint}
            assert self.record is not None
            self.record.write(CallLine(key=key, n=n, call=number, time=round(time.time(), 3), **fields))

        try:
            answer = self._attempts.answer(limited.request, number, limited.bound, failures, write, parts)
        except EndpointError as e:
            write(error=str(e))
            raise
        except BudgetSpent as e:  # between two attempts: what these cost is known, and booked when it is resumed
            if failures:
                write(error=str(e), interrupted=True)
            raise
        write(**record_fields(answer, with_body=record_body))
        return dataclasses.replace(answer, call=key, max_tokens=limited.max_tokens)

    def _check_new_call(self, record: CallRecord, request: dict[str, Any], n: int) -> None:
        """Refuses a call that the record does not have, in replay or where the recorded calls use up the budget.

        Raises:
            ReplayMismatch: In replay.
            BudgetSpent: If the original call would have been refused; or if an optimizer that does something else than
                before its interruption has no call left besides the recorded ones, which the same budget has paid.
        """
        if record.mode == "replay":
            # A call that the original's budget refused is not recorded: the replay has to end by its budget, too.
            tokens_in, tokens_out = token_bound(request)
            if request.get("n", 1) > 1 and N in record.changes(self.endpoint, self.model):  # each with its own prompt
                tokens_in *= request["n"]
            self._account.reserve((tokens_in, tokens_out)).cancel()
            raise record.mismatch(request, n)
        if self.role == "optimizer" and self.budget.left("llm_calls") < 1 + record.unused_answers(self.role):
            raise BudgetSpent("llm_calls", "the recorded calls, whose answers were not asked for again, take the rest")

    def _limited(self, request: dict[str, Any], fewest_tokens: int | None) -> _Limited:
        """The request with as many tokens of the answer as the budget holds, see `chat`."""
        bound, n = self._bound(request), request.get("n", 1)
        held = self._account.tokens_out_held(bound[0]) / n
        if fewest_tokens is None or held >= request["max_tokens"]:
            return _Limited(request, None, bound)
        fewer = max(int(held), fewest_tokens)
        return _Limited({**request, "max_tokens": fewer}, fewer, (bound[0], fewer * n))

    def _bound(self, request: dict[str, Any]) -> tuple[int, int]:
        """The most tokens (in, out) of a call; the embedded model counts those of the prompt, except in replay."""
        tokens_in, tokens_out = token_bound(request)
        if self.model == "local" and (self.record is None or self.record.mode != "replay"):
            tokens_in = local.server().count(request["messages"], request.get("tools"))
        return tokens_in, tokens_out


def _model_name(model: str | Function | None, base_url: str | None, api_key: str | None) -> str:
    """The name of a client's model; see `Client` for the arguments and errors."""
    name = function_name(model) if callable(model) else read_model(model, "model")
    name = name or read_model(from_environment("OPTO_GYM_MODEL"), "OPTO_GYM_MODEL")
    if name is None and (any(map(trimmed, (base_url, api_key))) or any(map(from_environment, _WHERE))):
        raise OptoGymError(
            "an endpoint is configured but no model: name it by model=..., --model or OPTO_GYM_MODEL "
            "('local' is the embedded one)"
        )
    return name or "local"
