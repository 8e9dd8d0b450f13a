"""Prompts within a budget of tokens: how tokens are counted, and how a text that does not fit is cut.

Every cut is marked in the prompt. Tokens are estimated, by the same rule on every machine and for every model, so that
a trial has the same prompts wherever it is replayed. The rule rather overestimates; docs/agents.md says by how much.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ...utils.moved import moved_names

K = TypeVar("K")
T = TypeVar("T")
Text = str | Callable[[int], str]
"""A section of a prompt: a text, or a function that makes one of at most so many tokens."""

Divide = Callable[[Mapping[Any, int], Mapping[Any, float], int], dict[Any, int]]

FRAME = 32
"""Tokens that a chat template may add to a prompt: roles, separators, a system message of its own."""

_PIECE = re.compile(
    r"""
      [ ]? (?: [A-Z]? (?: [bcdfgkpstw][hlr] | s[ckmnptw] | qu | [b-df-hj-np-tv-xz] )?  # a syllable: first consonants,
               (?: ea | ee | io | oo | ou | ai | au | ie | [aeiouy] )                  # its vowels,
               (?: n[dtgcs] | s[ht] | c[kth] | ll | ss | tt | r[tdnms] | [dlmnrst] )?  # its last consonants,
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
_LONGEST_PIECE = 16  # characters


@functools.lru_cache(maxsize=128)  # most sections of a prompt are those of the prompt before
def count_tokens(text: str) -> int:
    """An estimate of a text's tokens, which is rather more than the model's tokenizer counts.

    A syllable counts one, and so does a digit, a sign, a run of white space, and each byte outside of ASCII.
    """
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("latin-1")  # one character for each byte
    return len(_PIECE.findall(text))


def shorten(text: str, token_budget: int) -> str:
    """The text if it fits, or its two ends with the number of characters left out between them.

    Args:
        text: The text.
        token_budget: The tokens of the result, 20 or more.
    """
    if len(text) <= _LONGEST_PIECE * token_budget and count_tokens(text) <= token_budget:
        return text
    half = max(0, min(3 * token_budget, len(text) // 2))  # characters of each end; more of them rarely fit
    while True:
        cut = f"{text[:half]} ..({len(text) - 2 * half} more characters).. {text[len(text) - half :]}"
        size = count_tokens(cut)
        if size <= token_budget or not half:
            return cut
        half = max(0, min(half - 1, half * token_budget // size))


def newest_lines(items: Sequence[T], line: Callable[[T], str], token_budget: int, left: str = "older") -> str:
    """The lines of the last items, as many as fit, in order; a first line tells how many are left out.

    The last item is always there, shortened if it must be.

    Args:
        items: The items.
        line: The line of an item; called only for items that are shown, and for the first that is not.
        token_budget: The tokens of the result.
        left: What the items that are left out are called.
    """
    token_budget -= 16  # for the line that tells how many are left out
    kept: list[str] = []
    for item in reversed(items):
        text = line(item) if kept else shorten(line(item), token_budget - 1)
        token_budget -= count_tokens(text) + 1
        if token_budget < 0 and kept:
            break
        kept.append(text)
    left_out = len(items) - len(kept)
    note = [f"({left_out} {left} ones are left out)"] if left_out else []
    return "\n".join([*note, *reversed(kept)])


def render_within(render: Callable[[int], str], token_budget: int) -> str:
    """A rendering of at most `token_budget` tokens, by a function whose limit is in characters."""
    characters = 4 * token_budget  # a token rarely has more
    while (size := count_tokens(text := render(characters))) > token_budget and characters > 0:
        characters = characters * token_budget * 19 // (size * 20)
    return shorten(text, token_budget)


def shared(needs: Mapping[K, int], shares: Mapping[K, float], budget: int) -> dict[K, int]:
    """Divides a budget: each part gets what it needs if that is within its share, else its share of what is left.

    Args:
        needs: The tokens that each part needs.
        shares: The share of each part.
        budget: The tokens to divide.
    """
    budgets: dict[K, int] = {}
    while len(budgets) < len(needs):
        remaining = [n for n in needs if n not in budgets]
        whole, left = sum(shares[n] for n in remaining), budget - sum(budgets.values())
        small = {n: needs[n] for n in remaining if needs[n] <= left * shares[n] / whole}
        budgets.update(small or {n: int(left * shares[n] / whole) for n in remaining})
    return budgets


def fit_sections(sections: Mapping[K, tuple[float, Text]], token_budget: int, divide: Divide = shared) -> dict[K, str]:
    """The texts of a prompt's sections, which together have at most `token_budget` tokens.

    Args:
        sections: For each section its share of the budget, in proportion to the others', and its text. What a section
            does not need of its share goes to those that need more.
        token_budget: The tokens of all texts together.
        divide: How the budget is divided: by fair shares, or `opto_gym.trace.allocation.by_priority`, where the first
            section is the most important one.
    """

    def make_text(text: Text, token_budget: int) -> str:
        return shorten(text if isinstance(text, str) else text(token_budget), token_budget)

    shown = {name: make_text(text, token_budget) for name, (_, text) in sections.items()}
    needs = {name: count_tokens(text) for name, text in shown.items()}
    budgets = divide(needs, {name: share for name, (share, _) in sections.items()}, token_budget)
    cut = {name: make_text(sections[name][1], budgets[name]) for name in sections if needs[name] > budgets[name]}
    return {**shown, **cut}


def fit_list(texts: Iterable[str], token_budget: int, between: str = "\n\n") -> str:
    """Several texts, joined by `between`, with equal shares of `token_budget` tokens."""
    sections = {k: (1.0, text) for k, text in enumerate(texts)}
    return between.join(fit_sections(sections, token_budget - len(sections) * count_tokens(between)).values())


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "fit": "agents.toolkit.prompt_budget:fit_sections",
            "listed": "agents.toolkit.prompt_budget:fit_list",
            "newest": "agents.toolkit.prompt_budget:newest_lines",
            "rendered": "agents.toolkit.prompt_budget:render_within",
            "tokens": "agents.toolkit.prompt_budget:count_tokens",
        },
    )
