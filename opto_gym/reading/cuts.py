"""What counts of an answer that ended by length: what had closed before, if it is not a draft of what was to come."""

from __future__ import annotations

import re

_OPENED = re.compile(r"[{\[]|<[A-Za-z_]\w*>|^[ \t]*(?:```|~~~)[ \t]*\S", re.MULTILINE)
_REVISED = re.compile(
    r"\b(?:wait|actually|but|however|hmm+|hm|correct\w*|instead|better|alternativ\w*|let me|revis\w*|final\w*|second"
    r"|another|oops|overshoot\w*|undershoot\w*|improv\w*|rather|updat\w*|on second|try|too (?:low|high|small|large|big)"
    r"|no|not|wrong|mistake|fix\w*|chang\w*|so|then|next|would|could|should|might|now|or|and then|candidate|attempt"
    r"|option|version)\b",
    re.I,
)
_EXPLAINS = re.compile(r"\s*(?:```|~~~)?[\s*_#>-]*(?:This|The|It|I|These|Because|Explanation|Reason(?:ing)?|Note|Here"
                       r"|With|In|By|My|Each|Both|Since|As|We|Done|Hope)\b", re.I)  # fmt: skip
_DRAFT = re.compile(
    r"\b(?:first|draft|idea|attempt|initial\w*|maybe|perhaps|could|try|candidate|option|tentative\w*|guess|version|rough"
    r"|start with|one way|e\.g|for example|such as|previous\w*|current\w*|before|old)\b",
    re.I,
)


def stands(text: str, start: int, end: int) -> bool:
    """Whether a part of an answer that was cut counts, which had closed before.

    It counts where nothing follows, or an explanation. It does not where something else begins after it, or where the
    words around it tell that it is a draft; where that can't be told, it does not count either.

    Args:
        text: The answer, up to the cut.
        start: The part's place.
        end: The place after it.
    """
    rest = text[end:]
    if is_draft(text, start):
        return False
    if not rest.strip(" \t\r\n`~;.,"):
        return True
    return _OPENED.search(rest) is None and _REVISED.search(rest) is None and _EXPLAINS.match(rest) is not None


def is_draft(text: str, start: int) -> bool:
    """Whether the words before a part of an answer call it a draft.

    Args:
        text: The answer.
        start: The part's place.
    """
    lead = text[:start].rstrip("`~ \t\r\njsonpythxml").rpartition("\n")[2][-200:]
    return _DRAFT.search(lead) is not None
