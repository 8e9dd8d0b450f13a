"""How a call is made: in several attempts, and in several requests where an endpoint gives one completion each."""

from __future__ import annotations

import functools
import itertools
import random
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import BudgetSpent, EndpointError
from .accounting import Account
from .adapting import N
from .answer import Answer, record_fields
from .budget import Reservation
from .calls import CallLine, FailedAttempt
from .endpoint import AttemptFailed, Endpoint
from .limiter import limiter_of
from .monitor import CallMonitor
from .sending import Sender
from .several import Division, SeveralRefused, is_complete

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts
_GRACE = 0.5  # seconds; after its time a request is given up here, and then ends by itself
_LONGEST_RETRY_AFTER = 60.0  # seconds between attempts, where the endpoint asks for more


class Attempts:
    """Makes the calls of one client.

    Args:
        model: The model's name.
        endpoint: Where it is asked.
        account: Books reservations and attempts.
        monitor: Watches and stops requests and pauses.
        attempts: How often a call is tried.
        timeout: Seconds that an attempt may take as a whole.

    Attributes:
        adaptations: What the model refuses; shared by all clients of this process for the same model.
    """

    def __init__(
        self, model: str, endpoint: Endpoint, account: Account, monitor: CallMonitor, attempts: int, timeout: float
    ) -> None:
        self._model, self._endpoint, self._account, self._monitor = model, endpoint, account, monitor
        self._attempts, self._timeout = attempts, timeout
        self._sender = Sender(endpoint, self._post, model, account.price, monitor.say_once)
        self.adaptations = self._sender.adaptations

    def answer(
        self,
        request: dict[str, Any],
        number: int,
        bound: tuple[int, int],
        failures: list[FailedAttempt],
        write: Callable[..., None],
        recorded: Sequence[CallLine] = (),
    ) -> Answer:
        """The endpoint's answer with all completions that are asked for, by several requests where one gives too few.

        Args:
            request: What is asked.
            number: The number of the call in the ledger.
            bound: The most tokens (in, out) that the call can cost.
            failures: Gets the failed attempts of the undivided request.
            write: Records a line of the call.
            recorded: The parts of the call that are recorded.
        """
        if request.get("n", 1) == 1 or self._model == "local":
            return self._ask(request, number, bound, failures)

        def write_part(k: int, part: Any, most: Any, failed: Any, answer: Answer | None, error: str | None) -> None:
            fields = {"error": error} if answer is None else record_fields(answer, with_body=True)
            write(part=k, request=part, bound=most, failed_attempts=tuple(failed), **fields)

        division = Division(
            request,
            bound,
            ask=lambda part, most, failed, held, calls: self._ask(part, number, most, failed, held, calls),
            reserve=lambda most, calls: self._account.reserve(most, calls=calls),
            write=write_part,
        )
        division.add_recorded(recorded, self._account.book_recorded_parts(number, recorded))
        if not division.answers and N not in self.adaptations:
            try:
                answer = self._ask(request, number, bound, failures)
            except SeveralRefused:
                pass
            else:
                if is_complete(answer, request["n"]):
                    return answer
                self.adaptations.add([N])
                division.add_first(answer)
        return division.run()

    def _ask(
        self,
        request: dict[str, Any],
        number: int,
        bound: tuple[int, int],
        failures: list[FailedAttempt],
        reservation: Reservation | None = None,
        calls: int = 1,
    ) -> Answer:
        """The endpoint's answer, after one or more attempts.

        Args:
            request: The body.
            number: The number of the call in the ledger.
            bound: The most tokens (in, out) that the call can cost.
            failures: Gets the failed attempts.
            reservation: What is reserved for it; None reserves it.
            calls: The logical calls in the reservation: 0 for a part of one.
        """
        enter = functools.partial(self._enter, number, bound, failures)
        reservation, attempts = reservation or self._account.reserve(bound, calls=calls), self._attempts
        try:
            for attempt in itertools.count(1):
                begin = time.monotonic()
                try:
                    answer = self._sender.send(request, enter, bound)
                except AttemptFailed as e:
                    failed = e
                else:
                    self._account.settle(reservation, number, answer)
                    return answer
                seconds = round(time.monotonic() - begin, 4)
                enter(failed.as_record(seconds))
                if failed.may_be_billed:
                    self._account.settle_failure(reservation, failures[-1], bound)
                if failed.prompt_refused is not None:
                    reservation.settle(tokens=0, usd=0.0)
                    return _refused_prompt(failed, seconds)
                if failed.timed_out:
                    attempts = min(attempts, attempt + 1)  # each may cost an answer, and the time for it
                if failed.final or attempt >= attempts:
                    raise self._refusal(failed) if failed.final else self._no_answer(attempt, failed)
                self._pause(attempt, attempts, failed)
                if failed.may_be_billed:
                    reservation = self._account.reserve(bound, calls=calls)
            raise AssertionError("the loop ends by an answer or an error")
        finally:
            reservation.cancel()  # no effect if it is settled

    def _enter(self, number: int, bound: tuple[int, int], failures: list[FailedAttempt], failed: FailedAttempt) -> None:
        """Books a failed attempt."""
        failures.append(failed)
        self._account.enter_failure(number, failed, bound)

    def _refusal(self, failed: AttemptFailed) -> EndpointError:
        """The error after an attempt that would fail again."""
        hint = hint_for(self._model, failed)
        return EndpointError(f"{self._endpoint.name} refused {self._model!r}: {failed.error}{hint}", failed.status)

    def _no_answer(self, attempts: int, failed: AttemptFailed) -> EndpointError:
        """The error after the last attempt."""
        tried, said = f"{attempts} attempt{'s'[: attempts > 1]}", failed.error.rstrip(".")
        return EndpointError(
            f"{self._endpoint.name} gave no answer in {tried}; the last: {said}. What is recorded is safe: "
            "resume when it is up again",
            failed.status,
        )

    def _post(self, request: dict[str, Any]) -> bytes:
        """The body of the response to one HTTP request, as soon as the endpoint's limiter admits it.

        Raises:
            AttemptFailed: If there is none.
            BudgetSpent: If no time is left, or the run is stopped.
        """
        self._monitor.check()
        with limiter_of(self._endpoint.name).request(self._monitor.check) as ticket:
            seconds = min(self._timeout, self._account.budget.left("seconds"))
            if seconds <= 0:
                raise BudgetSpent("seconds", "the time of the budget is over")
            to = f"{self._model!r} at {self._endpoint.name}"
            post = functools.partial(self._endpoint.post, seconds=seconds + _GRACE)
            try:
                return self._monitor.post(post, request, seconds=seconds, to=to)
            except AttemptFailed as e:
                ticket.is_too_many = e.status == 429 or e.timed_out
                raise

    def _pause(self, attempt: int, attempts: int, failed: AttemptFailed) -> None:
        """Waits after a failed attempt: as long as the endpoint asks, else by exponential backoff with jitter.

        Raises:
            BudgetSpent: If the run is stopped meanwhile.
        """
        seconds = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempt - 1)) * random.uniform(0.8, 1.2)
        asked = ""
        if failed.retry_after is not None:
            seconds = min(failed.retry_after, _LONGEST_RETRY_AFTER)
            asked = f"; it asks for {failed.retry_after:.0f} s"
        seconds = min(seconds, self._account.budget.left("seconds"))
        reason = f"attempt {attempt} of {attempts} for {self._model!r} failed ({failed.error[:200]}{asked})"
        self._monitor.pause(seconds, self._endpoint.name, reason)


def wrong_address(model: str) -> str:
    """What to check where an endpoint does not know a path or a model, or shows a page."""
    return f". Is {model!r} the name of a model there, and the URL complete (often it ends in /v1)?"


def hint_for(model: str, failed: AttemptFailed) -> str:
    """What to check where an endpoint refuses a request."""
    status = failed.status
    if status in (401, 403) or re.search(r"api[ _-]?key", failed.error, re.IGNORECASE):
        return ". Set OPENAI_API_KEY, or the variable that --api-key-env names, to a key that is valid there"
    if status == 402 or "insufficient_quota" in failed.error:
        return ". The account there has no credit left"
    if status in (404, 405) or (failed.said is not None and failed.said.is_page):
        return wrong_address(model)
    return ""


def _refused_prompt(failed: AttemptFailed, seconds: float) -> Answer:
    """The answer where a prompt is refused, as by a content filter: it has no text, and a problem."""
    problem = f"{failed.prompt_refused} ({failed.error})"
    return Answer("", (), None, 0, 0, seconds, 0.0, "none", problem)
