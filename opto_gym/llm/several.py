"""A call for several completions, where the endpoint gives one for each request.

Some endpoints refuse `n`, others ignore it and send one completion. The call is then divided into requests for one
completion each, which run side by side. It stays one logical call, with one key; its parts are recorded one by one, so
that none is paid again after a kill.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from ..errors import BudgetSpent, EndpointError
from .adapting import N
from .answer import Answer
from .budget import Reservation
from .calls import CallLine, FailedAttempt
from .ledger import sum_of_known


class SeveralRefused(Exception):
    """An endpoint refuses to give several completions for one request. Nothing was paid."""


class Ask(Protocol):
    """Asks an endpoint, with retries, on a reservation that is made already."""

    def __call__(
        self,
        request: dict[str, Any],
        bound: tuple[int, int],
        failures: list[FailedAttempt],
        reservation: Reservation,
        calls: int,
    ) -> Answer:
        """The answer; ``calls`` is what the reservation holds of logical calls: 1 or 0."""


class Division:
    """A call for several completions, divided into requests for one each.

    Args:
        request: What is asked, with ``n`` above 1.
        bound: The most tokens (in, out) that the whole call can cost if its prompt counts once.
        ask: Makes a request for a part.
        reserve: Reserves a part: a function of its bound and of 1 or 0 for `calls`.
        write: Records a part: its index, request, bound and failed attempts, and the answer or the error.

    Attributes:
        answers: The answers so far, by the index of their first completion.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        bound: tuple[int, int],
        *,
        ask: Ask,
        reserve: Callable[[tuple[int, int], int], Reservation],
        write: Callable[..., None],
    ) -> None:
        self.request, self.n = dict(request), int(request["n"])
        self.bound = (bound[0], bound[1] // self.n)
        self.answers: dict[int, Answer] = {}
        self._ask, self._reserve, self._write = ask, reserve, write

    def add_recorded(self, parts: Sequence[CallLine], answers: Sequence[Answer]) -> None:
        """Adds recorded parts that have an answer.

        Args:
            parts: Their lines, and those of parts without an answer.
            answers: The answers, in the same order.
        """
        answered = [line for line in parts if line.error is None]
        self.answers |= {line.part or 0: answer for line, answer in zip(answered, answers, strict=True)}

    def add_first(self, answer: Answer) -> None:
        """Adds and records the answer to the undivided request, which has too few completions."""
        self.answers[0] = answer
        self._write(0, self.request, (self.bound[0], self.bound[1] * self.n), (), answer, None)

    @property
    def missing(self) -> list[int]:
        """The indices of the completions that there are not yet."""
        there = {i for k, answer in self.answers.items() for i in range(k, k + max(1, len(answer.texts)))}
        return [k for k in range(self.n) if k not in there]

    def run(self) -> Answer:
        """Asks for what is missing, all at once, and returns the whole answer.

        All parts are reserved before one is sent. If the budget can't hold them, the answer has the completions that
        are there already.

        Raises:
            BudgetSpent: If the budget can't hold the parts, and nothing is there.
            EndpointError: If a part got no answer. The others are recorded.
        """
        parts = self._reserved()
        if parts:
            with ThreadPoolExecutor(len(parts), "completion") as pool:
                futures = [pool.submit(self._ask_part, k, reservation, calls) for k, reservation, calls in parts]
            for future in futures:
                future.result()
        return joined_answer([answer for _, answer in sorted(self.answers.items())])

    def _reserved(self) -> list[tuple[int, Reservation, int]]:
        """The missing parts, each with its reservation and the logical calls that it holds."""
        parts: list[tuple[int, Reservation, int]] = []
        try:
            for k in self.missing:
                calls = 0 if self.answers or parts else 1
                parts.append((k, self._reserve(self.bound, calls), calls))
        except BudgetSpent:
            for _, reservation, _ in parts:
                reservation.cancel()
            if not self.answers:
                raise
            return []
        return parts

    def _ask_part(self, k: int, reservation: Reservation, calls: int) -> None:
        """Asks for the k-th completion, and records it."""
        request, failures = single_request(self.request, k), list[FailedAttempt]()
        try:
            answer = self._ask(request, self.bound, failures, reservation, calls)
        except EndpointError as e:
            self._write(k, request, self.bound, failures, None, str(e))
            raise
        self._write(k, request, self.bound, failures, answer, None)
        self.answers[k] = answer


def single_request(request: Mapping[str, Any], k: int) -> dict[str, Any]:
    """The request for the k-th completion alone. Equal seeds would give equal completions, so each has its own."""
    single = {name: value for name, value in request.items() if name != "n"}
    if isinstance(single.get("seed"), int):
        single["seed"] += k
    return single


def is_complete(answer: Answer, n: int) -> bool:
    """Whether the answer to a request has as many completions as were asked for, or none because it was refused."""
    return answer.body is None or len(json.loads(answer.body)["choices"]) >= n


def joined_answer(answers: Sequence[Answer]) -> Answer:
    """One answer with the completions of several; tokens and prices are their sums, and the latency is the longest."""
    first = answers[0]
    texts = tuple(text for answer in answers for text in answer.texts)
    reasons = tuple(answer.reason(k) for answer in answers for k in range(len(answer.texts)))
    computed = [answer for answer in answers if not answer.is_refusal]
    prices = [answer.usd for answer in computed]
    changes = dict.fromkeys(change for answer in answers for change in answer.dropped or ())
    return Answer(
        text=texts[0] if texts else "",
        texts=texts,
        finish_reason=reasons[0] if reasons else first.finish_reason,
        tokens_in=sum(answer.tokens_in for answer in answers),
        tokens_out=sum(answer.tokens_out for answer in answers),
        seconds=max(answer.seconds for answer in answers),
        usd=None if any(usd is None for usd in prices) else sum(usd or 0.0 for usd in prices),
        counted="none" if not computed else max((answer.counted for answer in computed), key=_RELIABLE.index),
        problem=next((answer.problem for answer in answers if answer.problem is not None), None),
        replayed=all(answer.replayed for answer in answers),
        body=_joined_body([answer.body for answer in answers if answer.body is not None]),
        finish_reasons=reasons if len(reasons) > 1 else None,
        cached_tokens=sum_of_known(answer.cached_tokens for answer in answers),
        reasoning_tokens=sum_of_known(answer.reasoning_tokens for answer in answers),
        reasoning="\n".join(filter(None, (answer.reasoning for answer in answers))) or None,
        dropped=(*changes, N),
    )


_RELIABLE = ("usage", "estimate", "bound")  # of several counts, the last of these


def _joined_body(bodies: Sequence[str]) -> str | None:
    """One body of a chat completion with the choices of several, and the sums of their usage."""
    if not bodies:
        return None
    parts = [json.loads(body) for body in bodies]
    choices = [choice for part in parts for choice in part["choices"]]
    whole = {**parts[0], "choices": [{**choice, "index": i} for i, choice in enumerate(choices)]}
    usages = [part["usage"] for part in parts if isinstance(part.get("usage"), dict)]
    if usages:
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        told = {name: [usage.get(name) for usage in usages] for name in names}
        whole["usage"] = {name: sum(x for x in numbers if isinstance(x, int)) for name, numbers in told.items()}
    return json.dumps(whole)
