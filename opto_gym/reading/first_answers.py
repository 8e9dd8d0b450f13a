"""The first readers of answers to tasks, by which the results of first versions (``GSM8K-v0``) were stored.

They stay as they were: a trial's record must replay equal. `task_answers` has those of today. There is one reader for
each kind of answer. Each looks first at the part of the text that announces the answer ("The answer is ...", "Answer:
...", or else the last line), and normalizes the answer that it finds there. A text without an answer reads as None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from .task_answers import strictly_right, text_of

_LEAD = re.compile(r"(?:answer|result)\s*(?:is|:|=)+(?:\s*(?:is|:|=))*", re.I)
_MARKUP = str.maketrans(
    {"*": "", "`": "", "$": "", "\u2010": "-", "\u2011": "-", "\u2212": "-", "\u2019": "'", "\u00a0": " "}
)
_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {word: k for k, word in enumerate(("zero", *_ONES, *_TEENS))}
_NUMBERS |= {word: 10 * k for k, word in enumerate(_TENS, 2)}
_SMALL = rf"(?:{'|'.join(_TENS)})[- ](?:{'|'.join(_ONES)})|{'|'.join(_NUMBERS)}"
_LARGE = ("dozen", "hundred", "thousand", "million", "billion")  # a number with one of these words is not read
_WORD = rf"(?:{_SMALL}|{'|'.join(_LARGE)})"
_AND = "|".join(f"(?<={word}) and " for word in _LARGE)
_IN_WORDS = re.compile(rf"(?<!\w-)\b{_WORD}(?:(?:[- ]|{_AND}){_WORD})*\b(?!-\w)")  # but not in "five-sided"
_MAX_DIGITS = 4000  # of a number; a little less than Python's own limit


def right(rule: str, kind: str, answer: Any, target: str) -> bool:
    """Whether a program's answer is the target, as `task_answers.right` says, by this reader."""
    if rule == "strict":
        return strictly_right(answer, target)
    text = text_of(answer)
    return text is not None and read(kind, text) == read(kind, target)


def read(kind: str, text: str) -> str | None:
    """The answer in a text, normalized; None if there is none.

    Args:
        kind: The kind of answer, one of `task_answers.ANSWER_KINDS`.
        text: The text.
    """
    text = text.translate(_MARKUP)
    parts = _LEAD.split(text)
    announced = len(parts) > 1 and bool(parts[-1].strip())
    lines = [line.strip() for line in (parts[-1] if announced else text).splitlines() if line.strip()]
    if not lines:
        return None
    return _READERS[kind](lines[0] if announced else lines[-1], text, announced)


def read_action(text: str) -> dict[str, Any]:
    """The action in a model's answer: its first flat JSON object that names one, else an empty dictionary."""
    for found in re.findall(r"\{[^{}]*\}", text):
        try:
            action = json.loads(found)
        except (ValueError, RecursionError):
            continue
        if isinstance(action.get("action"), str):
            return {k: action[k] for k in ("action", "give", "get", "quantity") if k in action}
    return {}


# Each reader gets the part of the text with the answer, the whole text, and whether the answer was announced. After an
# announcement the answer comes first in the part, and reasons may follow; in a last line the answer comes last.
def _pick(found: list[str], first: bool) -> str | None:
    return found[0 if first else -1] if found else None


def _choice(part: str, text: str, announced: bool) -> str | None:
    naked = re.match(r"(?:option |choice )?([A-Za-z])(?=[).:,]|$)", part, re.I)
    bracketed = _pick(re.findall(r"(?<!\w)\(([A-Za-z])\)", part), announced)
    last = _pick(re.findall(r"(?<!\w)\(([A-Z])\)", text), False)
    letter = bracketed or (naked.group(1) if naked else last)
    return f"({letter.upper()})" if letter else None


def _one_of(yes: str, no: str) -> Callable[[str, str, bool], str | None]:
    """A reader of one of two words; "not" before a word means the other one."""
    word = re.compile(rf"\b(not\s+)?({no}|{yes})\b", re.I)

    def reader(part: str, text: str, announced: bool) -> str | None:
        found = word.findall(part)
        first = announced or word.match(part) is not None  # "No, it does not: ..."
        negated, answer = found[0 if first else -1] if found else (word.findall(text) or [("", "")])[-1]
        if negated:
            return no if answer.lower() == yes else yes
        return answer.lower() or None

    return reader


def _integer(part: str, text: str, announced: bool) -> str | None:
    """A number with its sign, after the last "=" if there is one; 8.0 reads as 8. Words are read up to ninety-nine."""
    tail = part.rpartition("=")[2]
    part = tail if re.search(r"\d", tail) else part
    numbers = re.findall(r"(?<![\w.)])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?", part)
    number = _pick(numbers, announced)
    if number is not None:
        if len(number) > _MAX_DIGITS:
            return None
        whole, _, rest = number.replace(",", "").partition(".")
        return f"{int(whole)}.{rest}" if rest.strip("0") else str(int(whole))
    words = _pick(_IN_WORDS.findall(part.lower()), announced)
    small = words is not None and re.fullmatch(_SMALL, words)
    return str(sum(_NUMBERS[word] for word in re.split("[- ]", small[0]))) if small else None


def _words(part: str, text: str, announced: bool) -> str | None:
    """Words in their order, without commas and without what comes before a colon."""
    tokens = re.split(r"[\s,;]+", part.rpartition(":")[2].lower())
    return " ".join(word for token in tokens if (word := token.strip("\"'.[]"))) or None


def _brackets(part: str, text: str, announced: bool) -> str | None:
    runs = re.findall(r"[()\[\]{}<>][()\[\]{}<>\s\"',]*", part)
    run = _pick(runs, announced)
    return " ".join(re.sub(r"[\s\"',]", "", run)) if run else None


_READERS: dict[str, Callable[[str, str, bool], str | None]] = {
    "choice": _choice,
    "yes or no": _one_of("yes", "no"),
    "true or false": _one_of("true", "false"),
    "valid or invalid": _one_of("valid", "invalid"),
    "integer": _integer,
    "words": _words,
    "brackets": _brackets,
}
