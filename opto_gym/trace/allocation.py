"""Divides a budget of characters among lines: the important ones first, whole while the budget lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

K = TypeVar("K")

UNLIMITED = 1 << 60
LEAST = 160
"""The characters to which a line is cut before others are left out for it."""


class Line(NamedTuple):
    """What is shown or left out as one: a line in one section or in several.

    Attributes:
        rank: Its importance; 0 goes last.
        sections: The sections that it has a text in.
        text: Its text in each section, in about so many characters together; None for what is left out in any case.
        nodes: What it stands for, in the count of what was left out.
        shortest: It has at least so many characters when it is whole, which saves writing it to find out.
    """

    rank: int
    sections: tuple[str, ...]
    text: Callable[[int], dict[str, str]] | None
    nodes: int = 1
    shortest: int = 0

    def whole(self, most: int) -> dict[str, str] | None:
        """Its whole texts; None where they are known to have more than `most` characters."""
        return None if self.text is None or self.shortest > most else self.text(UNLIMITED)

    def within(self, limit: int) -> dict[str, str]:
        """Its texts, cut where they have more than `limit` characters with their line ends."""
        texts = self.whole(limit)
        if texts is not None and _size([texts]) <= limit:
            return texts
        return self.text(limit - 2) if self.text is not None else {}


def by_priority(needs: Mapping[K, int], shares: Mapping[K, float], budget: int) -> dict[K, int]:
    """Divides a budget: each part gets what it needs if the later ones get theirs too, else its share of what is left.

    Args:
        needs: What each part needs, the most important one first.
        shares: The share of what is left that a part may take when there is not enough for all.
        budget: What there is to divide.
    """
    left, later = budget, sum(needs.values())
    budgets: dict[K, int] = {}
    for part, need in needs.items():
        later -= need
        budgets[part] = max(0, min(need, max(int(shares[part] * left), left - later)))
        left -= budgets[part]
    for part, need in needs.items():  # what later parts did not need goes to the first that were cut
        more = min(need - budgets[part], left)
        budgets[part] += more
        left -= more
    return budgets


def fit_lines(lines: Iterable[Line], budget: int, shares: Mapping[int, float]) -> tuple[dict[str, str], bool]:
    """The sections' texts, of at most `budget` characters together, and whether they hold everything.

    Args:
        lines: The lines, in the order of their sections.
        budget: Characters.
        shares: For each rank its share, see `by_priority`.
    """
    given = list(lines)
    ranks: dict[int, list[int]] = {}
    for k, line in enumerate(given):
        if line.text is not None:
            ranks.setdefault(line.rank, []).append(k)
    whole = {rank: _whole(given, places, budget) for rank, places in sorted(ranks.items())}
    needs = {rank: _size(texts.values()) if texts is not None else budget + 1 for rank, texts in whole.items()}
    if sum(needs.values()) <= budget:
        return _joined(given, {k: text for texts in whole.values() for k, text in (texts or {}).items()}), True
    available = budget
    while True:
        shown: dict[int, dict[str, str]] = {}
        left, budgets = 0, by_priority(needs, shares, available)
        for rank, places in sorted(ranks.items()):
            texts = whole[rank]
            if texts is None or needs[rank] > budgets[rank] + left:
                texts = _fitted(given, places, budgets[rank] + left)
            shown |= texts
            # a line may be longer than its part, which then is not at the cost of the next rank but of `available`
            left = max(0, left + budgets[rank] - _size(texts.values()))
        sections = _joined(given, shown)
        size = sum(map(len, sections.values()))
        if size <= budget:
            return sections, False
        if available <= 0:
            return _cut_sections(sections, budget), False
        available -= max(size - budget, 8, budget // 200)


def _whole(lines: Sequence[Line], places: Sequence[int], budget: int) -> dict[int, dict[str, str]] | None:
    """The whole texts of some lines; None as soon as they are known to be too long."""
    texts, size = {}, 0
    for k in places:
        text = lines[k].whole(budget - size)
        if text is None or (size := size + _size([text])) > budget:
            return None
        texts[k] = text
    return texts


def _fitted(lines: Sequence[Line], places: Sequence[int], budget: int) -> dict[int, dict[str, str]]:
    """As much of some lines as fits: all with the long ones cut, or the first and the last ones.

    The end gets two thirds, since it is nearest to the feedback.
    """
    if len(places) * (LEAST // 8) <= budget:
        whole = [lines[k].whole(budget) for k in places]
        limit = _level([budget + 1 if text is None else _size([text]) for text in whole], budget)
        if limit >= LEAST:
            return {k: lines[k].within(limit) for k in places}
    limit = max(LEAST, budget // 8)

    def take(order: Iterable[int], size: int) -> dict[int, dict[str, str]]:
        taken: dict[int, dict[str, str]] = {}
        for k in order:
            text = lines[k].within(limit)
            size -= _size([text])
            if size < 0:
                break
            taken[k] = text
        return taken

    tail = take(reversed(places), budget * 2 // 3)
    head = take(places[: len(places) - len(tail)], budget - _size(tail.values()))
    return head | tail


def _level(sizes: Iterable[int], budget: int) -> int:
    """The size to which the longest lines must be cut for all to fit."""
    ordered = sorted(sizes)
    for k, size in enumerate(ordered):
        if size * (len(ordered) - k) > budget:
            return budget // (len(ordered) - k)
        budget -= size
    return UNLIMITED


def _size(texts: Iterable[Mapping[str, str]]) -> int:
    return sum(len(part) + 1 for text in texts for part in text.values())


def _joined(lines: Sequence[Line], shown: Mapping[int, Mapping[str, str]]) -> dict[str, str]:
    """The sections' texts; where lines are left out, one says how many."""
    parts: dict[str, list[str]] = {}
    missing: dict[str, int] = {}

    def note(section: str) -> None:
        if count := missing.pop(section, 0):
            parts.setdefault(section, []).append(f"# ... {count} line{'s' if count > 1 else ''} left out")

    for k, line in enumerate(lines):
        if k in shown:
            for section, text in shown[k].items():
                note(section)
                parts.setdefault(section, []).append(text)
        else:
            for section in line.sections:
                missing[section] = missing.get(section, 0) + line.nodes
    for section in list(missing):
        note(section)
    return {section: "\n".join(texts) for section, texts in parts.items()}


def _cut_sections(sections: Mapping[str, str], budget: int) -> dict[str, str]:
    """The sections' beginnings; only for budgets that are too small for anything else."""
    shown = {}
    for section, text in sections.items():
        shown[section] = text[: max(0, budget)]
        budget -= len(shown[section])
    return shown
