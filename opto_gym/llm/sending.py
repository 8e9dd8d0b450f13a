"""Sending a request: without what the endpoint refuses, and with the response read as an answer or as a failure."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from .adapting import N, adaptations_of
from .answer import Answer, believed_usage, claimed_usage, json_data, read_answer
from .calls import FailedAttempt
from .endpoint import AttemptFailed, Endpoint
from .prices import Price
from .refusals import TOO_LONG, error_in_200
from .several import SeveralRefused


class Sender:
    """Sends the requests of a client to its endpoint, and learns what the endpoint refuses.

    Args:
        endpoint: The endpoint.
        post: Sends one HTTP request to it and returns the body of the response.
        model: The model's name.
        price: The price of its tokens, or None.
        say_once: Prints a line, unless it was printed in this run.

    Attributes:
        adaptations: What the model refuses; shared by all senders of this process to the same model.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        post: Callable[[dict[str, Any]], bytes],
        model: str,
        price: Price | None,
        say_once: Callable[[str], None],
    ) -> None:
        self._endpoint, self._post, self._model, self._price = endpoint, post, model, price
        self._say_once = say_once
        self.adaptations = adaptations_of(endpoint.name, model)

    def send(self, request: dict[str, Any], enter: Callable[[FailedAttempt], None], bound: tuple[int, int]) -> Answer:
        """The answer to a request: by more than one HTTP request, if the endpoint refuses a part of the first.

        Args:
            request: What is asked.
            enter: Gets the HTTP requests that were refused and changed. They cost nothing.
            bound: The most tokens (in, out) that the request can cost.

        Raises:
            AttemptFailed: If there is no answer.
            SeveralRefused: If the endpoint gives one completion for a request, and several are asked for.
        """
        while True:
            begin = time.monotonic()
            sent, dropped = self.adaptations.sent(request)
            try:
                answer = self._read(self._post(sent), request, begin, bound)
            except AttemptFailed as e:
                if e.said is None or e.prompt_refused == TOO_LONG or e.may_be_billed:
                    raise
                if not self.adaptations.learn(sent, e.said, e.status):
                    raise
                enter(e.as_record(round(time.monotonic() - begin, 4)))
                if sent.get("n", 1) > 1 and N in self.adaptations:
                    raise SeveralRefused from e
            else:
                return dataclasses.replace(answer, dropped=dropped or None)

    def _read(self, body: bytes, request: dict[str, Any], begin: float, bound: tuple[int, int]) -> Answer:
        """The answer in the body of a 200, to a request that was sent at the monotonic time `begin`.

        Raises:
            AttemptFailed: If the body holds an error.
        """
        data = json_data(body)
        error = error_in_200(body, data)
        if error is not None:
            claim = claimed_usage(data)
            usage = believed_usage(claim, bound, request, len(body))
            failed = self._endpoint.failure_in_200(error, usage)
            if claim is not None and usage is None:
                self._say_not_believed()
                failed.may_be_billed = True  # at the bound
            raise failed
        seconds = round(time.monotonic() - begin, 4)
        answer = read_answer(body, request, self._price, seconds, data=data, bound=bound)
        if answer.counted == "bound":
            self._say_not_believed()
        if answer.problem is None:
            return answer
        return dataclasses.replace(answer, problem=self._endpoint.scrub(answer.problem)[:500])

    def _say_not_believed(self) -> None:
        self._say_once(
            f"{self._endpoint.name} reports a usage of {self._model!r} that can't be: calls with such a usage are "
            "booked at the most that they can cost"
        )
