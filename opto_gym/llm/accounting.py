"""The accounting of a client's calls: reservations in its budget, attempts in its ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from .answer import Answer, recorded_answer
from .budget import Budget, Reservation
from .calls import CallLine, FailedAttempt
from .endpoint import Endpoint
from .ledger import Attempt, Ledger
from .prices import Price


class Account:
    """Books the calls of one client. Its calls are numbered by the ledger.

    In what follows, a bound is the most tokens (in, out) that a call can cost, and a failed attempt is an entry of
    ``failed_attempts`` in a line of ``llm.jsonl``.

    Args:
        role: Of ``ledger.ROLES``.
        model: The model's name.
        endpoint: Where it is asked.
        price: The price of the model's tokens, or None.
        budget: Where calls are reserved and settled.
        ledger: Where attempts are entered.
    """

    def __init__(
        self, role: str, model: str, endpoint: Endpoint, price: Price | None, budget: Budget, ledger: Ledger
    ) -> None:
        self._role, self._model, self._endpoint = role, model, endpoint
        self.price, self.budget, self._ledger = price, budget, ledger

    def tokens_out_held(self, tokens_in: int) -> float:
        """The tokens of an answer that the budget holds beside a prompt of so many tokens; infinite without a limit."""
        held = self.budget.left("tokens") - tokens_in
        if self.price is not None and self.price.tokens_out:
            held = min(held, (self.budget.left("usd") - self._usd((tokens_in, 0))) / self.price.tokens_out)
        return max(0.0, held)

    def reserve(self, bound: Sequence[int], *, calls: int = 1) -> Reservation:
        """Reserves a call with its tokens and its price.

        Args:
            bound: The most tokens (in, out) that it can cost.
            calls: 0 for a part of a call that is reserved already.

        Raises:
            BudgetSpent: If the budget can't hold them.
        """
        return self.budget.reserve(llm_calls=calls, tokens=sum(bound), usd=self._usd(bound))

    def settle(self, reservation: Reservation, number: int, answer: Answer) -> None:
        """Books an answer: in the ledger, unless nothing was computed, and in the budget."""
        if answer.counted != "none":
            self._enter_answer(number, answer)
        reservation.settle(tokens=answer.tokens_in + answer.tokens_out, usd=answer.usd or 0.0)

    def enter_failure(
        self,
        number: int,
        failed: FailedAttempt,
        bound: Sequence[int],
        *,
        replayed: bool = False,
        lost: bool = False,
    ) -> None:
        """Enters a failed attempt in the ledger: at its usage or bound where it may be billed, else without cost."""
        cost = self._cost(failed, bound)
        counted = "none" if not failed.lost else "bound" if failed.usage is None else "usage"
        tokens = (*cost, counted)
        usd = self.price.of(*cost) if self.price else None if failed.lost else 0.0
        self._enter(number, tokens, failed.seconds, usd, error=failed.error, replayed=replayed, lost=lost)

    def settle_failure(self, reservation: Reservation, failed: FailedAttempt, bound: Sequence[int]) -> None:
        """Books what a failed attempt costs that may be billed: its usage, or the bound if that is unknown."""
        cost = self._cost(failed, bound)
        reservation.settle(llm_calls=0, tokens=sum(cost), usd=self._usd(cost))

    def book_recorded_failures(self, number: int, line: CallLine) -> None:
        """Books the failed attempts of a recorded call, in the ledger and the budget, as they were booked originally.

        Raises:
            BudgetSpent: If the budget can't hold them.
        """
        for failed in line.failed_attempts:
            self.enter_failure(number, failed, line.bound, replayed=True)
            if failed.lost:
                self.settle_failure(self.reserve(line.bound), failed, line.bound)

    def book_recorded_answer(self, number: int, line: CallLine, parts: Sequence[CallLine] = ()) -> Answer:
        """Books the answer of a recorded call as it was booked originally, and returns it.

        Args:
            number: The number of the call in the ledger.
            line: The call.
            parts: The parts into which it was divided.

        Raises:
            BudgetSpent: If the budget can't hold it.
        """
        answer = recorded_answer(line, self.price)
        if parts:
            self.book_recorded_parts(number, parts)
        else:
            self.settle(self.reserve(line.bound), number, answer)
        return answer

    def book_recorded_parts(self, number: int, parts: Sequence[CallLine]) -> list[Answer]:
        """Books the parts of a recorded call as they were booked originally; returns their answers.

        Raises:
            BudgetSpent: If the budget can't hold them.
        """
        answers: list[Answer] = []
        for part in parts:
            self.book_recorded_failures(number, part)
            if part.error is None:
                answer = recorded_answer(part, self.price)
                self.settle(self.reserve(part.bound, calls=0 if answers else 1), number, answer)
                answers.append(answer)
        return answers

    def book_lost(self, line: CallLine) -> None:
        """Books a recorded call of an abandoned try, whatever the limits are now."""
        number = self._ledger.next_call()
        for failed in line.failed_attempts:
            self.enter_failure(number, failed, line.bound, replayed=True, lost=True)
        costs = [self._cost(failed, line.bound) for failed in line.failed_attempts]
        spent = {"llm_calls": 0.0, "tokens": float(sum(map(sum, costs))), "usd": sum(map(self._usd, costs))}
        if line.error is None:
            answer = recorded_answer(line, self.price)
            spent["llm_calls"] = 0.0 if line.part else 1.0
            spent["tokens"] += answer.tokens_in + answer.tokens_out
            spent["usd"] += answer.usd or 0.0
            if answer.counted != "none":
                self._enter_answer(number, answer, lost=True)
        Reservation(self.budget, spent).settle()

    def _enter_answer(self, number: int, answer: Answer, *, lost: bool = False) -> None:
        tokens = (answer.tokens_in, answer.tokens_out, answer.counted)
        details = {"cached_tokens": answer.cached_tokens, "reasoning_tokens": answer.reasoning_tokens}
        self._enter(number, tokens, answer.seconds, answer.usd, replayed=answer.replayed, lost=lost, **details)

    def _enter(self, number: int, tokens: tuple[int, int, str], seconds: float, usd: float | None, **more: Any) -> None:
        """Enters an attempt; `more` are further fields of `Attempt`."""
        source = (self._role, self._model, self._endpoint.name)
        self._ledger.add(Attempt(*source, number, *tokens, seconds, usd, time.time(), **more))

    @staticmethod
    def _cost(failed: FailedAttempt, bound: Sequence[int]) -> tuple[int, int]:
        """The tokens (in, out) that a failed attempt is booked at."""
        return (0, 0) if not failed.lost else failed.usage or (bound[0], bound[1])

    def _usd(self, tokens: Sequence[int]) -> float:
        return self.price.of(*tokens) if self.price else 0.0
