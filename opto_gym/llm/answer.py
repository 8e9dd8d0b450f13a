"""What a client returns: the answer to a chat completion, read from an endpoint's body or from the record."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from .calls import CallLine
from .prices import Price
from .request import prompt_bytes

_BYTES_PER_TOKEN = 4  # the rule of thumb for English and code


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer to one call.

    Attributes:
        text: The completion, "" if there is none.
        texts: All completions, where several were asked for.
        finish_reason: ``stop``, ``length``, ...
        tokens_in: Tokens of the prompt, as counted by the endpoint (estimated if it does not tell).
        tokens_out: Tokens of the answer, likewise.
        seconds: Latency of the successful attempt.
        usd: Price, or None where it is unknown.
        counted: Who counted the tokens: ``usage`` (the endpoint), ``estimate``, ``none`` (nothing was computed).
        problem: Why an answer that was received holds no usable completion, or None.
        replayed: Whether it came from the record.
        body: The endpoint's body, JSON. Only from `Client.complete`, and only where it holds completions.
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


def read_answer(body: bytes, request: Mapping[str, Any], price: Price | None, seconds: float) -> Answer:
    """The answer in the body of a 200. A body without a completion is an answer with a `problem`, not an error.

    Args:
        body: The endpoint's body.
        request: The request, by which tokens are estimated if the endpoint does not count them.
        price: The price of the model's tokens, or None.
        seconds: Latency.
    """
    data, contents, finish = _completions(body)
    texts = [text for text in contents or () if isinstance(text, str)]
    problem = None
    if contents is None:
        problem = f"the answer holds no completion: {body[:200].decode('utf-8', 'replace')}"
    elif len(texts) < len(contents):
        problem = f"the answer has no text (it ended by {finish!r})"
    tokens_in, tokens_out, counted = _usage(data, request, texts)
    usd = price.of(tokens_in, tokens_out) if price else None
    kept_body = None if contents is None else body.decode(json.detect_encoding(body), "surrogatepass")
    text = texts[0] if texts else ""
    return Answer(text, tuple(texts), finish, tokens_in, tokens_out, seconds, usd, counted, problem, body=kept_body)


def recorded_answer(line: CallLine, price: Price | None) -> Answer:
    """The answer in a line of ``llm.jsonl``.

    Args:
        line: The line.
        price: The price of the model's tokens, for a line that was written when it was unknown.
    """
    usd = line.usd
    if usd is None and price:
        usd = price.of(line.tokens_in, line.tokens_out)
    return Answer(
        text=line.texts[0] if line.texts else "",
        texts=line.texts,
        finish_reason=line.finish_reason,
        tokens_in=line.tokens_in,
        tokens_out=line.tokens_out,
        seconds=line.seconds,
        usd=usd,
        counted=line.counted,
        problem=line.problem,
        replayed=True,
        body=line.body,
    )


def record_fields(answer: Answer, *, with_body: bool) -> dict[str, Any]:
    """The fields of an answer in a line of ``llm.jsonl``, from which `recorded_answer` reads it."""
    fields = dataclasses.asdict(answer)
    for name in ("text", "replayed") if with_body else ("text", "replayed", "body"):
        del fields[name]
    return fields


def _completions(body: bytes) -> tuple[Any, list[Any] | None, str | None]:
    """(JSON data, contents, finish reason) of any body; the contents are None where it holds no completion."""
    data: Any = None
    try:
        data = json.loads(body)
        choices = data["choices"]
        contents = [c["message"].get("content") for c in choices]
        finish = choices[0].get("finish_reason")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return data, None, None
    return data, contents, str(finish) if finish is not None else None


def _usage(data: Any, request: Mapping[str, Any], texts: list[str]) -> tuple[int, int, str]:
    """(tokens in, tokens out, who counted them), estimated by bytes where the endpoint does not tell."""
    usage = data.get("usage") if isinstance(data, dict) else None
    usage = usage if isinstance(usage, dict) else {}
    tokens_in, tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if isinstance(tokens_in, int) and isinstance(tokens_out, int) and min(tokens_in, tokens_out) >= 0:
        return tokens_in, tokens_out, "usage"
    bytes_out = sum(len(text.encode("utf-8", "replace")) for text in texts)
    return prompt_bytes(request) // _BYTES_PER_TOKEN, bytes_out // _BYTES_PER_TOKEN, "estimate"
