"""Readers of answers to tasks, in a language model's own words, and the check whether an answer is right.

There is one reader for each kind of answer. `read` leaves out the model's reasoning and takes the last announcement
that says something ("The answer is ...", "Answer: ...", "#### ...", a box; "The answer is correct." says nothing), or
else the last line. Of a text that ended by length it reads only what had been announced and had ended before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..utils.moved import moved_names
from . import announcements
from .answer_kinds import MAX_DIGITS, READERS
from .plain_text import plain
from .reasoning import without_reasoning

RULES = ("lenient", "strict")
"""The rules by which an answer is compared with the target, see `right`."""

ANSWER_KINDS = tuple(READERS)
"""The kinds of answers."""
EXPECTED = {
    "choice": "an option such as (B)",
    "yes or no": "yes or no",
    "true or false": "True or False",
    "valid or invalid": "valid or invalid",
    "integer": "a whole number",
    "words": "words, parted by spaces",
    "brackets": "brackets, parted by spaces",
}
"""Each kind of answer in words, for feedback and prompts."""


def text_of(answer: Any) -> str | None:
    """A program's answer as text, from a text, a number, a bool or a list of texts; None for any other value."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, bool | int | float):
        return None if isinstance(answer, int) and answer.bit_length() > 3 * MAX_DIGITS else str(answer)
    if isinstance(answer, list) and answer and all(isinstance(word, str) for word in answer):
        return " ".join(answer)
    return None


def right(rule: str, kind: str, answer: Any, target: str, *, cut: bool = False) -> bool:
    """Whether a program's answer is the target.

    Args:
        rule: ``"lenient"`` reads the answer. ``"strict"`` is the Trace paper's rule: where the target is an option, the
            last "(X)" of the answer must be the target; otherwise the answer must equal the target.
        kind: The kind of answer, one of `ANSWER_KINDS`.
        answer: The program's answer, plain data.
        target: The right answer in the data set.
        cut: Whether the answer ended by length, see `read`. The strict rule does not ask.
    """
    if rule == "lenient":
        text = text_of(answer)
        if text is not None and cut:
            text = f"Answer: {text}"  # what a program returns is announced by that
        return text is not None and read(kind, text, cut=cut) == read(kind, target)
    return strictly_right(answer, target)


def strictly_right(answer: Any, target: str) -> bool:
    """Whether an answer is the target by the Trace paper's rule."""
    if not isinstance(answer, str):
        return False
    if re.search(r"\([A-Z]\)", target):
        options = re.findall(r"\([A-Z]\)", answer)
        return bool(options) and options[-1] == target
    return answer == target


def read(kind: str, text: str, *, cut: bool = False) -> str | None:
    """The answer in a text, normalized; None if there is none.

    Args:
        kind: The kind of answer, one of `ANSWER_KINDS`.
        text: The text.
        cut: Whether the text ended by length. Then only an announced answer counts whose line had ended, or whose box
            had closed, before the end; never the "12" of "125".
    """
    whole = plain(without_reasoning(text, cut=cut), brackets=kind == "brackets")
    first = announcements.without_next_turn(kind, whole)
    if cut and first == whole:
        return announcements.value_of_cut(kind, first)
    return announcements.value(kind, first)


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(__name__, {"KINDS": "reading.task_answers:ANSWER_KINDS"})
