"""Prompts within a budget of tokens: how tokens are counted, and how what does not fit is cut, never silently.

Tokens are estimated, by the same rule on every machine and for every model: then a trial has the same prompts wherever
it is replayed. The rule is made to err upwards; docs/agents.md has by how much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from ...trace.render import shared

K = TypeVar("K")
T = TypeVar("T")
Text = str | Callable[[int], str]
"""A part of a prompt: a text, or what makes one for so many tokens."""

FRAME = 32
"""Tokens that a chat template may add to a prompt: roles, separators, a system message of its own."""

_PIECE = re.compile(
    r"""
      [ ]? (?: [A-Z]? (?: [bcdfgkpstw][hlr] | s[ckmnptw] | qu | [b-df-hj-np-tv-xz] )?  # a syllable: what begins it,
               (?: ea | ee | io | oo | ou | ai | au | ie | [aeiouy] )                  # its vowels,
               (?: n[dtgcs] | s[ht] | c[kth] | ll | ss | tt | r[tdnms] | [dlmnrst] )?  # what ends it,
               (?: e[drsn]?\b )?                                                       # and an ending of the word
             | [A-Z][AEIOU]
             | [A-Za-z] )                        # other letters, one by one: base64
    | [0-9]                                      # each digit, as many tokenizers have it
    | [ ]? [!-/:-@\[-`{-~]                       # each sign, with the space before it
    | [ ]{1,16} | \n{1,4} | [\t\r\x0b\x0c]{1,2}  # white space in runs
    | [\x00-\x1f\x7f-\xff]                       # control characters, and bytes outside of ASCII
    """,
    re.VERBOSE | re.ASCII,
)
_LONGEST = 16  # characters of a piece


def tokens(text: str) -> int:
    """About how many tokens a text has: rather more than the model's tokenizer would count.

    A syllable is one, and so are a digit, a sign, a run of white space, and each byte outside of ASCII.
    """
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("latin-1")  # a byte, a character
    return len(_PIECE.findall(text))


def shorten(text: str, room: int) -> str:
    """The text, or its two ends with the number of characters between them, in `room` tokens, 20 or more."""
    if len(text) <= _LONGEST * room and tokens(text) <= room:
        return text
    half = max(0, min(3 * room, len(text) // 2))  # characters of an end: there are rarely more
    while True:
        said = f"{text[:half]} ..({len(text) - 2 * half} more characters).. {text[len(text) - half :]}"
        size = tokens(said)
        if size <= room or not half:
            return said
        half = max(0, min(half - 1, half * room // size))


def newest(items: Sequence[T], line: Callable[[T], str], room: int, left: str = "older") -> str:
    """The lines of as many of the last items as fit into `room` tokens, in order; only these are formatted.

    The last one is always there, shortened if need be; the others are counted, and called what `left` says.
    """
    room -= 16  # for how many are left out
    kept: list[str] = []
    for item in reversed(items):
        said = line(item) if kept else shorten(line(item), room - 1)
        room -= tokens(said) + 1
        if room < 0 and kept:
            break
        kept.append(said)
    left_out = len(items) - len(kept)
    note = [f"({left_out} {left} ones are left out)"] if left_out else []
    return "\n".join([*note, *reversed(kept)])


def rendered(render: Callable[[int], str], room: int) -> str:
    """What a renderer makes whose bound is in characters, in `room` tokens."""
    limit = 4 * room  # there is rarely more in a token
    while (size := tokens(text := render(limit))) > room and limit > 0:
        limit = limit * room * 19 // (size * 20)
    return shorten(text, room)


def fit(parts: Mapping[K, tuple[float, Text]], room: int) -> dict[K, str]:
    """The texts of a prompt's parts, in `room` tokens together.

    Args:
        parts: Of each its share of the room, in proportion to the others', and its text. What a part does not need of
            its share goes to those that need more.
        room: Tokens.
    """

    def made(text: Text, room: int) -> str:
        return shorten(text if isinstance(text, str) else text(room), room)

    shown = {name: made(text, room) for name, (_, text) in parts.items()}
    needs = {name: tokens(text) for name, text in shown.items()}
    rooms = shared(needs, {name: share for name, (share, _) in parts.items()}, room)
    short = {name: made(parts[name][1], rooms[name]) for name in parts if needs[name] > rooms[name]}
    return {**shown, **short}


def listed(texts: Iterable[str], room: int, between: str = "\n\n") -> str:
    """Several texts with equal shares of `room` tokens."""
    parts = {k: (1.0, text) for k, text in enumerate(texts)}
    return between.join(fit(parts, room - len(parts) * tokens(between)).values())
