"""What a client returns: the answer to a chat completion, read from an endpoint's body or from the record."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from .calls import CallLine
from .prices import Price
from .request import prompt_bytes

CUT_REASONS = ("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "model_length", "token_limit")
"""The finish reasons, in lower case, of an answer that a limit of tokens ended: each provider has its own name."""

_FILTERED = ("content_filter", "safety", "recitation", "blocklist", "prohibited_content", "refusal")
_REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks")
_BYTES_PER_TOKEN = 4  # the rule of thumb for English and code


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer to one call.

    Attributes:
        text: The completion, "" if there is none.
        texts: All completions, where several were asked for.
        finish_reason: ``stop``, ``length``, ..., of the first completion.
        tokens_in: Tokens of the prompt, as counted by the endpoint (estimated if it does not tell).
        tokens_out: Tokens of the answer, likewise.
        seconds: Latency of the successful attempt.
        usd: Price, or None where it is unknown.
        counted: Who counted the tokens: ``usage`` (the endpoint), ``estimate``, ``none`` (nothing was computed).
        problem: Why an answer that was received holds no usable completion, or None.
        replayed: Whether it came from the record.
        body: The endpoint's body, JSON. Only from `Client.complete`, and only where it holds completions.
        finish_reasons: Of each of `texts`; None where there are not several.
        cached_tokens: The part of `tokens_in` that the endpoint read from its cache; None if it does not tell.
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
    finish_reasons: tuple[str | None, ...] | None = None
    cached_tokens: int | None = None

    def reason(self, k: int = 0) -> str | None:
        """The finish reason of the k-th of `texts`."""
        if self.finish_reasons is not None and k < len(self.finish_reasons):
            return self.finish_reasons[k]
        return self.finish_reason if k == 0 else None

    def cut(self, k: int = 0) -> bool:
        """Whether a limit of tokens ended the k-th of `texts`."""
        return str(self.reason(k)).lower() in CUT_REASONS


def read_answer(body: bytes, request: Mapping[str, Any], price: Price | None, seconds: float) -> Answer:
    """The answer in the body of a 200. A body without a completion is an answer with a `problem`, not an error.

    Args:
        body: The endpoint's body.
        request: The request, by which tokens are estimated if the endpoint does not count them.
        price: The price of the model's tokens, or None.
        seconds: Latency.
    """
    data, choices = _completions(body)
    texts = [choice.text for choice in choices or () if choice.text is not None]
    reasons = tuple(choice.finish_reason for choice in choices or () if choice.text is not None)
    problem = None
    if choices is None:
        problem = f"the answer holds no completion: {body[:200].decode('utf-8', 'replace')}"
    else:
        empty = next((choice for choice in choices if not choice.text), None)
        if empty is not None:
            problem = _where_the_text_went(empty, request, data)
    tokens_in, tokens_out, counted = _usage(data, request, texts)
    cached = _cached_tokens(data, tokens_in) if counted == "usage" else None
    usd = price.of(tokens_in, tokens_out, cached or 0) if price else None
    kept_body = None if choices is None else body.decode(json.detect_encoding(body), "surrogatepass")
    text = texts[0] if texts else ""
    return Answer(
        text=text,
        texts=tuple(texts),
        finish_reason=choices[0].finish_reason if choices else None,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        seconds=seconds,
        usd=usd,
        counted=counted,
        problem=problem,
        body=kept_body,
        finish_reasons=reasons if len(reasons) > 1 else None,
        cached_tokens=cached,
    )


def recorded_answer(line: CallLine, price: Price | None) -> Answer:
    """The answer in a line of ``llm.jsonl``.

    Args:
        line: The line.
        price: The price of the model's tokens, for a line that was written when it was unknown.
    """
    usd = line.usd
    if usd is None and price:
        usd = price.of(line.tokens_in, line.tokens_out, line.cached_tokens or 0)
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
        finish_reasons=line.finish_reasons,
        cached_tokens=line.cached_tokens,
    )


def record_fields(answer: Answer, *, with_body: bool) -> dict[str, Any]:
    """The fields of an answer in a line of ``llm.jsonl``, from which `recorded_answer` reads it."""
    fields = dataclasses.asdict(answer)
    for name in ("text", "replayed") if with_body else ("text", "replayed", "body"):
        del fields[name]
    return fields


class _Choice(NamedTuple):
    """A completion: its text, or None, how it ended, and its whole message."""

    text: str | None
    finish_reason: str | None
    message: Mapping[str, Any]


def _completions(body: bytes) -> tuple[Any, list[_Choice] | None]:
    """(JSON data, completions) of any body; None where it holds no completion."""
    data: Any = None
    try:
        data = json.loads(body)
        choices = []
        for choice in data["choices"]:
            text, finish = choice["message"].get("content"), choice.get("finish_reason")
            finish = None if finish is None else str(finish)
            choices.append(_Choice(text if isinstance(text, str) else None, finish, choice["message"]))
        return data, choices if choices else None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return data, None


def _where_the_text_went(choice: _Choice, request: Mapping[str, Any], data: Any) -> str | None:
    """Why a completion has no text; None where it is empty and nothing tells why."""
    limit = f"max_tokens={request.get('max_tokens')} tokens"
    reasoning = next((text for name in _REASONING_FIELDS if (text := choice.message.get(name))), None)
    details = data.get("usage") or {} if isinstance(data, dict) else {}
    details = details.get("completion_tokens_details") if isinstance(details, dict) else None
    tokens = details.get("reasoning_tokens") if isinstance(details, dict) else None
    refusal, finish = choice.message.get("refusal"), choice.finish_reason
    if refusal:
        return f"the model refused to answer: {str(refusal)[:200]!r}"
    if finish is not None and finish.lower() in _FILTERED:
        return f"the endpoint's content filter kept the answer back (finish_reason {finish!r})"
    spent = f"{tokens} tokens went into reasoning" if tokens else "the model wrote reasoning alone" if reasoning else ""
    if finish is not None and finish.lower() in CUT_REASONS:
        cut = f"it was cut after {limit} (finish_reason {finish!r})"
        return f"the answer is empty: {'; '.join(filter(None, [cut, spent, 'raise max_tokens']))}"
    if spent:
        return f"the answer is empty: {spent} (finish_reason {finish!r})"
    return f"the answer has no text (it ended by {finish!r})" if choice.text is None else None


def _usage(data: Any, request: Mapping[str, Any], texts: list[str]) -> tuple[int, int, str]:
    """(tokens in, tokens out, who counted them), estimated by bytes where the endpoint does not tell."""
    usage = data.get("usage") if isinstance(data, dict) else None
    usage = usage if isinstance(usage, dict) else {}
    tokens_in, tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if isinstance(tokens_in, int) and isinstance(tokens_out, int) and min(tokens_in, tokens_out) >= 0:
        return tokens_in, tokens_out, "usage"
    bytes_out = sum(len(text.encode("utf-8", "replace")) for text in texts)
    return prompt_bytes(request) // _BYTES_PER_TOKEN, bytes_out // _BYTES_PER_TOKEN, "estimate"


def _cached_tokens(data: Any, tokens_in: int) -> int | None:
    """The tokens of the prompt that came from a cache, by OpenAI's, DeepSeek's or Moonshot's field; else None."""
    usage = data["usage"]
    details = usage.get("prompt_tokens_details")
    inner = details.get("cached_tokens") if isinstance(details, dict) else None
    for tokens in (inner, usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens")):
        if isinstance(tokens, int) and 0 <= tokens <= tokens_in:
            return tokens
    return None
