"""What a client returns: the answer to a chat completion, read from an endpoint's body or from the record."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..utils import bounded_json
from .calls import CallLine
from .content import Content, read_message
from .prices import Price
from .refusals import TOO_LONG
from .request import prompt_bytes, token_bound

CUT_REASONS = ("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "model_length", "token_limit")
"""The finish reasons, in lower case, of an answer that a limit of tokens ended: each provider has its own name."""

_FILTERED = ("content_filter", "safety", "recitation", "blocklist", "prohibited_content", "refusal", "sensitive")
_HIDDEN_TOKENS = 4096
"""Tokens that an endpoint may count beyond what the request can cost: of system prompts and templates of its own."""

_MOST_TOKENS = 2**31 - 1  # in the details of a usage
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
        counted: Who counted the tokens: ``usage`` (the endpoint), ``estimate`` (it does not tell), ``bound`` (what it
            tells can't be: the most that the call can cost), ``none`` (nothing was computed).
        problem: Why an answer that was received holds no usable completion, or None.
        replayed: Whether it came from the record.
        body: The endpoint's body, JSON. Only from `Client.complete`, and only where it holds completions.
        finish_reasons: Of each of `texts`; None where there are not several.
        call: The key of the call in the record; None where calls are not recorded.
        max_tokens: The limit of the answer that was sent, where the budget held fewer tokens than were asked for.
        cached_tokens: Tokens of the prompt that the endpoint had cached; None if it does not tell.
        reasoning_tokens: Tokens of the answer that are reasoning; None if it does not tell.
        reasoning: The model's reasoning, where the endpoint sends it apart from the text; else None.
        dropped: How what was sent differs from what was asked, see `CallLine.dropped`; None if it does not.
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
    call: str | None = None
    max_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    reasoning: str | None = None
    dropped: tuple[str, ...] | None = None

    @property
    def too_long(self) -> bool:
        """Whether there is no answer because the prompt is longer than the model's context: a shorter one may do."""
        return self.problem is not None and self.problem.startswith(TOO_LONG)

    @property
    def is_refusal(self) -> bool:
        """Whether the endpoint refused the prompt, so that nothing was computed."""
        return self.counted == "none"

    def reason(self, k: int = 0) -> str | None:
        """The finish reason of the k-th of `texts`."""
        if self.finish_reasons is not None and k < len(self.finish_reasons):
            return self.finish_reasons[k]
        return self.finish_reason if k == 0 else None

    def cut(self, k: int = 0) -> bool:
        """Whether a limit of tokens ended the k-th of `texts`."""
        return str(self.reason(k)).lower() in CUT_REASONS


def read_answer(
    body: bytes,
    request: Mapping[str, Any],
    price: Price | None,
    seconds: float,
    *,
    data: Any = None,
    bound: tuple[int, int] | None = None,
) -> Answer:
    """The answer in the body of a 200. A body without a completion is an answer with a `problem`, not an error.

    Args:
        body: The endpoint's body.
        request: The request, by which tokens are estimated if the endpoint does not count them.
        price: The price of the model's tokens, or None.
        seconds: Latency.
        data: The body's JSON data, where the caller has it.
        bound: The most tokens (in, out) that the request can cost, where the caller has counted them.
    """
    bound = token_bound(request) if bound is None else bound
    data = json_data(body) if data is None else data
    choices = _completions(data)
    told = [(choice.content.text, choice.finish_reason) for choice in choices or () if choice.content.text is not None]
    texts, reasons = [text for text, _ in told], tuple(reason for _, reason in told)
    reasoning = "\n".join(filter(None, (choice.content.reasoning for choice in choices or ())))
    empty = next((choice for choice in choices or () if not choice.content.text), None)
    problem = _where_the_text_went(empty, request, data) if empty else None
    if choices is None:
        problem = f"the answer holds no completion: {body[:200].decode('utf-8', 'replace')}"
    claim = claimed_usage(data)
    usage = believed_usage(claim, bound, request, len(body))
    counted = "estimate" if claim is None else "bound" if usage is None else "usage"
    tokens_in, tokens_out = usage or (_estimate(request, texts) if claim is None else bound)
    cached = _cached_tokens(data, tokens_in) if usage else None
    return Answer(
        text=texts[0] if texts else "",
        texts=tuple(texts),
        finish_reason=choices[0].finish_reason if choices else None,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        seconds=seconds,
        usd=price.of(tokens_in, tokens_out, cached or 0) if price else None,
        counted=counted,
        problem=problem,
        body=None if choices is None else body.decode(json.detect_encoding(body), "surrogatepass"),
        finish_reasons=reasons if len(reasons) > 1 else None,
        reasoning_tokens=_detail(data, ("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",)),
        reasoning=reasoning or None,
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
        call=line.key,
        max_tokens=line.max_tokens,
        cached_tokens=line.cached_tokens,
        reasoning_tokens=line.reasoning_tokens,
        reasoning=line.reasoning,
        dropped=line.dropped,
    )


def record_fields(answer: Answer, *, with_body: bool) -> dict[str, Any]:
    """The fields of an answer in a line of ``llm.jsonl``, from which `recorded_answer` reads it."""
    left_out = ("text", "replayed", "call", "max_tokens", *(() if with_body else ("body",)))  # the line has its own
    names = (field.name for field in dataclasses.fields(answer))
    return {name: getattr(answer, name) for name in names if name not in left_out}


def json_data(body: bytes) -> Any:
    """The JSON data of a body; None if it is not JSON, or nested too deeply."""
    try:
        return bounded_json.loads(body)
    except ValueError:
        return None


def claimed_usage(data: Any) -> tuple[Any, Any] | None:
    """What an endpoint says in a body's JSON data of the tokens (in, out); None if it does not tell both."""
    usage = data.get("usage") if isinstance(data, dict) else None
    usage = usage if isinstance(usage, dict) else {}
    for names in (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")):
        claim = (usage.get(names[0]), usage.get(names[1]))
        if None not in claim:
            return claim
    return None


def believed_usage(
    claim: tuple[Any, Any] | None, bound: tuple[int, int], request: Mapping[str, Any], size: int
) -> tuple[int, int] | None:
    """The tokens (in, out) of `claimed_usage`, if they can be true: whole, not negative, no more than a call can cost.

    Args:
        claim: What the endpoint says.
        bound: The most tokens (in, out) that the request can cost if its prompt counts once.
        request: The request.
        size: The bytes of the response, of which a token of the answer has at least one where it is shown.
    """
    most = (bound[0] * request.get("n", 1) + _HIDDEN_TOKENS, max(bound[1], size) + _HIDDEN_TOKENS)
    if claim is None or not all(type(x) is int and 0 <= x <= limit for x, limit in zip(claim, most, strict=True)):
        return None
    return claim


class _Choice(NamedTuple):
    """A completion: what it holds, and how it ended."""

    content: Content
    finish_reason: str | None


def _completions(data: Any) -> list[_Choice] | None:
    """The completions in a body's JSON data; None where it holds none."""
    try:
        choices = []
        for choice in data["choices"]:
            finish = choice.get("finish_reason")
            message = choice["message"] if "message" in choice or "text" not in choice else {"content": choice["text"]}
            choices.append(_Choice(read_message(message), None if finish is None else str(finish)))
        return choices or None
    except (KeyError, TypeError, IndexError, AttributeError):
        return None


def _where_the_text_went(choice: _Choice, request: Mapping[str, Any], data: Any) -> str | None:
    """Why a completion has no text; None where it is empty and nothing tells why."""
    limit = f"max_tokens={request.get('max_tokens')} tokens"
    tokens = _detail(data, ("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",))
    content, finish = choice.content, choice.finish_reason
    if content.refusal:
        return f"the model refused to answer: {content.refusal[:200]!r}"
    if finish is not None and finish.lower() in _FILTERED:
        return f"the endpoint's content filter kept the answer back (finish_reason {finish!r})"
    alone = "the model wrote reasoning alone" if content.reasoning else ""
    spent = f"{tokens} tokens went into reasoning" if tokens else alone
    if finish is not None and finish.lower() in CUT_REASONS:
        cut = f"it was cut after {limit} (finish_reason {finish!r})"
        return f"the answer is empty: {'; '.join(filter(None, [cut, spent, 'raise max_tokens']))}"
    if spent:
        return f"the answer is empty: {spent} (finish_reason {finish!r})"
    if content.others:
        return f"the answer has no text, but parts of type {', '.join(dict.fromkeys(content.others))}"
    return f"the answer has no text (it ended by {finish!r})" if content.text is None else None


def _detail(data: Any, *paths: tuple[str, ...]) -> int | None:
    """A number of tokens in the usage of a body's JSON data, at the first of the paths that leads to one."""
    for path in paths:
        value: Any = data.get("usage") if isinstance(data, dict) else None
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if type(value) is int and 0 <= value <= _MOST_TOKENS:
            return value
    return None


def _estimate(request: Mapping[str, Any], texts: list[str]) -> tuple[int, int]:
    """The tokens (in, out) of a call, estimated by bytes."""
    bytes_out = sum(len(text.encode("utf-8", "replace")) for text in texts)
    return prompt_bytes(request) // _BYTES_PER_TOKEN, bytes_out // _BYTES_PER_TOKEN


def _cached_tokens(data: Any, tokens_in: int) -> int | None:
    """The tokens of the prompt that came from a cache, by OpenAI's, DeepSeek's or Moonshot's field; else None."""
    usage = data["usage"]
    details = usage.get("prompt_tokens_details")
    inner = details.get("cached_tokens") if isinstance(details, dict) else None
    for tokens in (inner, usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens")):
        if isinstance(tokens, int) and 0 <= tokens <= tokens_in:
            return tokens
    return None
