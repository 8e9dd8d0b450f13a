"""Suggestions for a name that is not known: what the caller may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known names that a misspelt name may stand for, the likeliest first.

    Upper and lower case count as equal. A name that differs in nothing else is the only suggestion; after that come
    names that begin with the given one, then names that are spelt alike.

    Args:
        name: What was given.
        known: The names that exist.
        most: How many to give at most.
    """
    folded: dict[str, str] = {}
    for candidate in known:
        folded.setdefault(candidate.casefold(), candidate)
    wanted = name.strip().casefold()
    if wanted in folded:
        return [folded[wanted]]
    longer = sorted((key for key in folded if len(wanted) > 1 and key.startswith(wanted)), key=lambda k: (len(k), k))
    alike = difflib.get_close_matches(wanted, folded, most, 0.6)
    return [folded[key] for key in dict.fromkeys((*longer, *alike))][:most]


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The end of an error message: ``"; did you mean 'A' or 'B'?"``, or an empty text if no known name is close."""
    found = [repr(candidate) for candidate in closest(name, known)] if isinstance(name, str) else []
    if not found:
        return ""
    *others, last = found
    return f"; did you mean {', '.join(others)} or {last}?" if others else f"; did you mean {last}?"
