"""What a client sends: the body of a chat completion, and how many tokens it can cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

ChatMessage = Mapping[str, str]
"""``{"role": ..., "content": ...}``."""

MAX_TOKENS = 1024
"""The most tokens of an answer, where the caller gives no limit."""

_TOKENS_PER_MESSAGE = 8  # what a chat template adds: role and separators
_NOT_SENT = ("stream", "stream_options", "user", "max_completion_tokens")


def chat_request(
    model: str,
    messages: Sequence[ChatMessage],
    *,
    max_tokens: int,
    optional: Mapping[str, Any],
    json_schema: Mapping[str, Any] | None,
    json_object: bool,
    n: int,
) -> dict[str, Any]:
    """The body for the arguments of `Client.chat`.

    Args:
        model: The model's name.
        messages: The chat.
        max_tokens: The most tokens of an answer.
        optional: Fields that are left out where their value is None.
        json_schema: A schema for the answer, or None.
        json_object: Whether the answer has to be a JSON object.
        n: The number of completions.

    Raises:
        ValueError: If a number is infinite or NaN, which JSON can't hold.
    """
    request: dict[str, Any] = {"model": model, "messages": to_json_data(messages), "max_tokens": max_tokens}
    request.update({field: value for field, value in optional.items() if value is not None})
    if n != 1:
        request["n"] = n
    if json_schema is not None:
        form = {"name": "answer", "schema": dict(json_schema), "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": form}
    elif json_object:
        request["response_format"] = {"type": "json_object"}
    return request


def completion_request(model: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body for that of `Client.complete`: with this model, a limit on the answer, and without what is not sent.

    Raises:
        ValueError: If a number is infinite or NaN, which JSON can't hold.
    """
    request = {k: to_json_data(v) for k, v in body.items() if v is not None and k not in _NOT_SENT}
    request["max_tokens"] = body.get("max_completion_tokens") or body.get("max_tokens") or MAX_TOKENS
    request["model"] = model
    return request


def token_bound(request: Mapping[str, Any]) -> tuple[int, int]:
    """The most tokens in and out that a request can cost, for any tokenizer over bytes."""
    tokens_in = prompt_bytes(request) + _TOKENS_PER_MESSAGE * len(request["messages"])
    return tokens_in, request["max_tokens"] * request.get("n", 1)


def prompt_bytes(request: Mapping[str, Any]) -> int:
    """Bytes of what the model reads: the texts, and all else as JSON."""
    messages = request["messages"]
    texts = [m["content"] for m in messages if isinstance(m.get("content"), str) and len(m) == 2]
    others = [m for m in messages if not isinstance(m.get("content"), str) or len(m) != 2]
    others += [request[field] for field in ("tools", "functions", "response_format") if field in request]
    return sum(len(text.encode()) for text in texts) + sum(len(json.dumps(part)) for part in others)


def to_json_data(value: Any) -> Any:
    """JSON data with lone surrogates escaped, which JSON over HTTP can't hold.

    Raises:
        ValueError: If a number is infinite or NaN.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {to_json_data(name): to_json_data(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_data(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected finite numbers, got {value!r}")
    return value
