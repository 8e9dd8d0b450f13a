"""What a message of a model holds: its text, its reasoning and its refusal, in whatever form an endpoint sends them.

Content is a text or a list of parts. Mistral's Magistral and Databricks send reasoning as a part of the content
(``thinking``, ``reasoning`` with a ``summary``), DeepSeek, vLLM and SGLang as ``reasoning_content``, OpenRouter and
Groq as ``reasoning`` or ``reasoning_details``, LiteLLM as ``thinking_blocks``. Reasoning in the text between tags is
removed where answers are read, see `opto_gym.reading.reasoning`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_TEXT = ("text", "output_text", "input_text", "answer")
_REASONING = (
    *("thinking", "reasoning", "redacted_thinking", "thought", "reasoning_content", "reasoning_text"),
    *("reasoning.text", "summary_text"),
)
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks")
_DEEPEST = 6  # levels of nested parts that are read


class Content(NamedTuple):
    """What a message holds.

    Attributes:
        text: The answer's text; None if there is none.
        reasoning: The model's reasoning; "" if there is none.
        refusal: Why the model refuses to answer, in its words; "" if it does not.
        others: The types of the content's parts that are no text, such as ``tool_use``.
    """

    text: str | None
    reasoning: str = ""
    refusal: str = ""
    others: tuple[str, ...] = ()


def read_message(message: Mapping[str, Any]) -> Content:
    """Reads a message of a chat completion.

    Args:
        message: The message, with ``content``.
    """
    texts: list[str] = []
    reasoning: list[str] = []
    refusals: list[str] = []
    others: list[str] = []
    content = message.get("content")
    for part in content if isinstance(content, list) else [] if content is None else [content]:
        _read_part(part, texts, reasoning, refusals, others)
    apart = next((text for name in _REASONING_FIELDS if (text := _nested_text(message.get(name), _DEEPEST))), "")
    if apart and apart not in reasoning:
        reasoning.append(apart)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        refusals.append(refusal)
    return Content("".join(texts) if texts else None, "\n".join(reasoning), "\n".join(refusals), tuple(others))


def _read_part(part: Any, texts: list[str], reasoning: list[str], refusals: list[str], others: list[str]) -> None:
    """Adds what a part of the content holds to the lists."""
    if isinstance(part, str):
        texts.append(part)
    elif isinstance(part, Mapping):
        kind = part.get("type")
        if kind in _REASONING or part.get("thought") is True:
            reasoning += filter(None, [_nested_text(part, _DEEPEST)])
        elif kind == "refusal":
            refusals += filter(None, [_nested_text(part.get("refusal", part), _DEEPEST)])
        elif kind in _TEXT or (kind is None and ("text" in part or "content" in part)):
            text = part.get("text", part.get("content"))
            texts += filter(None, [text if isinstance(text, str) else _nested_text(text, _DEEPEST)])
        else:
            others.append(str(kind)[:40])


def _nested_text(data: Any, depth: int) -> str:
    """The text in a part whose text may be nested, such as ``{"thinking": [{"type": "text", "text": ...}]}``."""
    if isinstance(data, str):
        return data
    if isinstance(data, list) and depth:
        return "".join(_nested_text(part, depth - 1) for part in data)
    if isinstance(data, Mapping) and depth:
        names = ("text", "value", *_REASONING_FIELDS[:3], "summary", "content", "refusal", "parts")
        return next((text for name in names if (text := _nested_text(data.get(name), depth - 1))), "")
    return ""
