"""Answers by which a model decides to change nothing; they are no invalid answers."""

from __future__ import annotations

import re
from typing import Any

from .lenient_json import find_objects

_DRESS = " \t\r\n\"'`*_~#.!:;<>()[]{}“”‘’|-/\\=,"
_WORD = "TERMINATE"
_LINE = re.compile(r"^(?:[\w ]{0,40}[:=])?[\s\W]*TERMINATE[\s\W]*$", re.MULTILINE)
_SENTENCE = re.compile(
    r"(?:\bno (?:further |more |other )?(?:change|modification|update|improvement|revision|edit)s? "
    r"(?:(?:is|are|was|were|seems?|to be) )*(?:needed|required|necessary|made|suggested|proposed|warranted)"
    r"|\bno (?:further )?changes?\b[.!]?\Z"
    r"|\b(?:does not|doesn't|do not|don't) (?:need|require) (?:any |a |to be )?(?:further )?chang"
    r"|\b(?:keep|leave) (?:it|the (?:current )?(?:value|variable)|this)\b[^.]{0,30}\b(?:as (?:it )?is|unchanged)"
    r"|\bremains? unchanged\b)",
    re.I,
)
_MAX_LENGTH = 400
_NAMES = ("suggestion", "answer", "reasoning", "action", "TERMINATE", "decision")


def is_terminate(value: Any) -> bool:
    """Whether a value is the word TERMINATE, in any dress and case."""
    return isinstance(value, str) and len(value) < 100 and _bare(value).upper() == _WORD


def says_no_change(text: str) -> bool:
    """Whether an answer without values decides that nothing changes.

    It is the word TERMINATE in any dress (quotes, markup, a fence, a tag, an object), or on a line of its own after
    prose; or a short text that says that no change is needed.

    Args:
        text: The answer, without reasoning.
    """
    if is_terminate(text) or is_no_change_sentence(text):
        return True
    if _WORD not in text:
        return any(_decides(found.data) for found in find_objects(text[:2000], _NAMES) if found.data)
    objects = [found.data for found in find_objects(text, _NAMES) if found.data is not None]
    if objects:
        return _decides(objects[-1]) or _is_empty(objects[-1])
    return "{" not in text and _LINE.search(text) is not None


def is_no_change_sentence(value: Any) -> bool:
    """Whether a text is short and says that no change is needed."""
    return isinstance(value, str) and len(value) <= _MAX_LENGTH and _SENTENCE.search(value.strip()) is not None


def _bare(text: str) -> str:
    text = re.sub(r"^\s*(?:```|~~~)[ \t]*\w*[ \t]*\r?\n", "", text)
    text = re.sub(r"</?[A-Za-z_]\w*>", "", text)
    return text.strip(_DRESS)


def _decides(data: dict[str, Any]) -> bool:
    """Whether an object's values, at most one level down, hold the word alone."""
    values = list(data.values())
    for value in data.values():
        values += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return any(map(is_terminate, values)) or any(is_terminate(name) and data[name] for name in data)


def _is_empty(data: dict[str, Any]) -> bool:
    """Whether an object suggests nothing."""
    return "suggestion" in data and not data["suggestion"]
