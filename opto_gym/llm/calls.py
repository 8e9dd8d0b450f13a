"""The lines of ``llm.jsonl`` as typed data: one logical call of a language model each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import DamagedRecord


class FailedAttempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """An attempt of a call that gave no answer.

    Attributes:
        status: The HTTP status, or None where there was no response.
        error: What was wrong.
        seconds: Latency.
        lost: Whether it may be billed all the same: its answer was lost on the way.
        usage: The tokens (in, out) that it is billed for, if the endpoint told them; else None.
    """

    status: int | None
    error: str
    seconds: float
    lost: bool
    usage: tuple[int, int] | None = None


class CallLine(msgspec.Struct, frozen=True, kw_only=True):
    """A logical call: what was asked, and the answer or the error.

    Attributes:
        key: The hash by which the call is found, see `CallRecord.key`.
        n: The number of earlier calls with the same key in the trial.
        call: The number of the call in the ledger.
        role: Of ``ledger.ROLES``.
        model: The model's name.
        endpoint: Its address without credentials, or ``"local"``.
        request: The body.
        bound: The most tokens (in, out) that the call can cost.
        failed_attempts: The attempts before the answer.
        time: Of its end, seconds since 1970.
        error: Why there is no answer, or None.
        texts: The completions.
        finish_reason: Of the first completion.
        tokens_in: Tokens of the prompt.
        tokens_out: Tokens of the answer.
        seconds: Latency of the successful attempt.
        usd: Its price, or None where it is unknown.
        counted: Who counted the tokens, see `Answer`.
        problem: Why the answer holds no usable completion, or None.
        body: The endpoint's whole body, of calls through the gateway.
        cached_tokens: Tokens of the prompt that the endpoint had cached; None if not recorded, as all that follow.
        reasoning_tokens: Tokens of the answer that are reasoning.
        reasoning: The reasoning's text.
        dropped: How what was sent differs from the request, since the endpoint refuses some of it: changes of
            `opto_gym.llm.adapting`, such as ``temperature`` for a field that was not sent.
        finish_reasons: Of each completion, where there are several.
        max_tokens: The limit of the answer that was sent, where the budget held fewer tokens than the request has.
        place: Where in an evaluation it was made: the oracle call or the scoring, the example, the number of the call
            in the example; None outside of evaluations.
        part: Of the answer to one of the requests into which a call for several completions was divided: the index of
            its first completion. The whole call has a line of its own, once it is complete.
        interrupted: Whether the budget's end, or the user, stopped the call between two attempts.
    """

    key: str
    n: int
    call: int
    role: str
    model: str
    endpoint: str
    request: dict[str, Any]
    bound: tuple[int, int]
    failed_attempts: tuple[FailedAttempt, ...] = ()
    time: float = 0.0
    error: str | None = None
    texts: tuple[str, ...] = ()
    finish_reason: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    usd: float | None = None
    counted: str = "none"
    problem: str | None = None
    body: str | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    reasoning: str | None = None
    dropped: tuple[str, ...] | None = None
    finish_reasons: tuple[str | None, ...] | None = None
    max_tokens: int | None = None
    place: str | None = None
    part: int | None = None
    interrupted: bool | None = None

    def to_plain(self) -> dict[str, Any]:
        """The line as JSON data; what is not recorded is left out."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return {name: value for name, value in data.items() if value is not None or name not in _OPTIONAL}


_OPTIONAL = (
    *("body", "cached_tokens", "reasoning_tokens", "reasoning", "dropped", "finish_reasons", "max_tokens"),
    *("place", "part", "interrupted"),
)


def read_call(data: Mapping[str, Any], place: Path | str) -> CallLine:
    """A line from JSON data.

    Args:
        data: Of any version: those of version 1 lack only what reads as "not recorded".
        place: The file and the line, for the error.

    Raises:
        DamagedRecord: If the data does not fit.
    """
    try:
        return msgspec.convert(data, CallLine)
    except (msgspec.ValidationError, RecursionError, OverflowError) as e:
        raise DamagedRecord(f"{place} is damaged: {e}. Restore it from a copy") from e
