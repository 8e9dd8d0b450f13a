"""Where in a model's text its answer is: the places that announce it, and what may be read of an unfinished text.

The text is plain, see `plain_text`. A strong announcement names the answer: "The answer is", "Answer:", "#### ", a box.
A weak one may as well name a step: "The result is", "I choose".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .answer_kinds import NOTHING, READERS
from .plain_text import CLOSE, OPEN

_ANSWER = (
    r"(?:answers?|ans|antwort|respuesta|r[ée]ponse|risposta|resposta|ответ|答案|答え|回答|正解|정답|답|उत्तर|الجواب)"
)
_IS = (
    r"(?:\s*(?:(?:is|are|was|would be|should be|must be|has to be|equals|comes to|est|ist|es|é|è)\b"
    r"|是|为|為|は|[:=|\u2192]|->|=>))+"
)
_MARKS = r"[^\w\n()\[\]{}<>]{0,10}"
_LATIN = r"(?:(?<![^\W\d_])|(?<=[\u4e00-\u9fff]))"  # no letter before, apart from those of scripts without spaces
_STRONG = re.compile(
    rf"{_LATIN}{_ANSWER}(?![a-z])[\"'\])]{{0,3}}(?:\s+(?:choice|option|letter))?(?:\s*\([^()\n]{{0,30}}\))?"
    rf"(?:\s+(?:to|for|of|in|as)\s[^.:=\n?!|]{{1,80}}?)?{_IS}"
    rf"|\b(?:correct|right|best|chosen|selected)\s+(?:option|choice|letter|statement|selection){_IS}"
    rf"|^{_MARKS}(?:(?:the|my)\s+)?(?:(?:final|correct|overall)\s+)?answer{_MARKS}$",
    re.IGNORECASE | re.MULTILINE,
)
_HASHES = re.compile(r"^[ \t>]*#{3,4}(?!#)[ \t]*(?=\S)", re.MULTILINE)
_CHOICE_STRONG = re.compile(
    r"(?<![\w(\[])(?:option |choice |answer )?[\[\"'(]{0,2}(?P<letter>[A-Z])[\]\"')]{0,2}(?:[:.]?\s[^.\n,;]{0,60}?)?\s?"
    r"(?:\bis|\bwould be|\bmust be|\u662f)\s*(?:therefore |thus |clearly |indeed |definitely )?(?:the\s+)?(?:only\s+)?"
    r"(?:correct|right|best|most (?:likely|appropriate|suitable|plausible)|(?-i:answer)|\u6b63\u786e)(?![\w-])"
    r"(?!\s+(?:that|to say|about|if))",
)
_BOXED_OPTION = re.compile(  # and no formula
    r"[^\w]{0,3}(?:(?:the )?(?:option|choice|answer)(?: is)?\W{1,3})?[A-Za-z](?:\W*$|[\])]?\s*[:.),-]|\s[a-z])",
    re.IGNORECASE,
)
_WEAK = re.compile(
    rf"\b(?:result|solution|conclusion|outcome|output|verdict|total){_IS}"
    r"|\b(?:i|i'd|i'll|we|would|must|should|will)\s+(?:choose|select|pick|go with)\b"
    r"|(?:\u6545|\u5e94|\u61c9)?[\u9009\u9078](?:\u62e9|\u64c7)?\u9879?",
    re.IGNORECASE,
)
_WORD_LISTS = re.compile(
    r"\b(?:sorted|order|alphabetical|alphabetically|list)\b[^:\n]{0,80}?(?::|\b(?:is|are|as follows)\b:?)",
    re.IGNORECASE,
)
_SAYS_NOTHING = re.compile(
    r"\W{0,5}(?:also |indeed |therefore |thus |now |quite |very |clearly |then |already |not |entirely ){0,3}"
    r"(?:correct|right|wrong|incorrect|clear|final|based|consistent|obvious|confirmed|verified|exact|simple|unique|sound|"
    r"straightforward|supported|derived|explained|justified|reasonable|sure|certain|evident|plausible|unchanged|"
    r"written|boxed|in (?:the|bold)|what|how|why|because|where|below|above|as follows|the same|independent|"
    r"(?:found|obtained|calculated|computed|determined|shown|given)(?!\s+(?:to be|as)\b))"
    r"(?=\s*(?:$|[.,;:!?(]|\u2713|(?:from|on|with|by|in|at|and|as|since|because|for|to|of|that|it|we|so|i|given|now|here)\b))",
    re.IGNORECASE,
)
_NEXT_TURN = re.compile(
    r"^[ \t]{0,20}[#*]{0,4}[ \t]{0,9}(?:next |new )?"  # bounded: runs of white space would take quadratic time
    r"(?:question|q|problem|human|user|input|instruction|exercise)\b"
    r"[ \t]{0,9}\d{0,4}[ \t]{0,9}[*]{0,2}[ \t]{0,9}[:.]"
    r"|<\|?(?:im_start|im_end|eot_id|endoftext|end_of_turn|start_of_turn|start_header_id|user)\|?>|</s>|\[/?INST\]",
    re.IGNORECASE | re.MULTILINE,
)
_CHATTER = re.compile(
    r"\W*(?:let me know|i hope|hope (?:this|that)|feel free|if you (?:have|need|want|would)|is there anything|"
    r"would you like|(?:please )?let us know|thank you|thanks|you're welcome|good luck|happy to help)",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"\W*(?:so|thus|therefore|hence|in total|altogether|in all|finally|this means)\b", re.IGNORECASE
)
_SECOND_THOUGHTS = re.compile(
    r"\b(?:wait|hold on|actually|hmm+|mistake|oops|correction|on second thought|reconsider|"
    r"that(?:'s| is) (?:not right|wrong))\b",
    re.IGNORECASE,
)
_TENTATIVE = re.compile(r"\b(?:draft|guess|initial|tentative|first|preliminary|step|part|sub|if|suppose|maybe)\b", re.I)
_UNFINISHED = re.compile(rf"{OPEN}|#{{3,4}}|\b(?:final|correct)\s+\w*$|\ban?s?w?e?r?s?$|\banswers?\b|{_ANSWER}", re.I)
_ITEM = re.compile(r"\s*(?:\d{1,3}[.)]|[-+\u2022\u00b7])\s+(?=\S)")


class Announcement(NamedTuple):
    """A place that announces the answer: where it begins, and where what it announces begins and ends."""

    start: int
    value: int
    end: int


def strong(kind: str, text: str) -> list[Announcement]:
    """The places that name the answer, in their order."""
    found = [(m.start(), m.end(), _end_of_string(text, m)) for m in _STRONG.finditer(text)]
    boxes = re.finditer(rf"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}", text)
    found += [(m.start(), m.start(1), m.end(1)) for m in boxes if kind != "choice" or _BOXED_OPTION.match(m[1])]
    found += [(m.start(), m.end(), None) for m in _HASHES.finditer(text) if _is_bare(kind, _line_at(text, m.end()))]
    if kind == "choice":
        found += [(m.start(), m.start("letter"), m.end("letter")) for m in _CHOICE_STRONG.finditer(text)]
    return _with_ends(text, found)


def _end_of_string(text: str, name: re.Match[str]) -> int | None:
    """The end of the JSON string that follows a name in quotes, as in ``"answer": "B"``."""
    if '"' not in name[0]:
        return None
    string = re.compile(r'\s*"[^"\n]*').match(text, name.end())
    return string.end() if string else None


def weak(kind: str, text: str) -> list[Announcement]:
    """The places that name the answer or a step, in their order."""
    pattern = _WORD_LISTS if kind == "words" else _WEAK
    return _with_ends(text, [(m.start(), m.end(), None) for m in pattern.finditer(text)])


def _with_ends(text: str, found: list[tuple[int, int, int | None]]) -> list[Announcement]:
    """Each announcement's part ends where it says so, or where the next one begins."""
    found.sort(key=lambda f: (f[0], f[1]))
    starts = [f[0] for f in found[1:]] + [len(text)]
    return [
        Announcement(a, b, end if end is not None else max(b, following))
        for (a, b, end), following in zip(found, starts, strict=False)
    ]


def announced_value(kind: str, text: str, one: Announcement) -> str | None:
    """What a place announces; None where it says nothing of the kind."""
    part = text[one.value : one.end].replace(OPEN, "").replace(CLOSE, "")
    if _SAYS_NOTHING.match(part[:200]) and not text[: one.value].rstrip().endswith(":"):
        return None
    lines = [line.strip() for line in part.split("\n") if re.search(r"\w|[()\[\]{}<>]", line)]
    if not lines:
        return None
    if kind == "words":
        return READERS[kind](_joined_items(lines), True)
    on_same_line = re.search(r"\w|[()\[\]{}<>]", part.split("\n", 1)[0]) is not None
    last = lines[-1]
    if len(lines) > 1 and not _is_bare(kind, lines[0]) and (not on_same_line or _CONCLUDES.match(last)):
        value = READERS[kind](last, False)  # the reasoning comes first
        if value is not None:
            return value
    value = READERS[kind](lines[0], True)
    if value is None and len(lines) > 1 and on_same_line:
        value = READERS[kind](last, False)
    return value


def unannounced_value(kind: str, text: str) -> str | None:
    """What a text without a strong announcement says: in its last line, else in its first one or anywhere."""
    lines = [line.strip() for line in text.split("\n") if re.search(r"\w|[()\[\]{}<>]", line)]
    while len(lines) > 1 and _CHATTER.match(lines[-1]):
        lines.pop()
    if not lines:
        return None
    weak_ones = weak(kind, text)
    if len(lines) > 1 and _is_first_line_the_answer(kind, lines):
        return READERS[kind](lines[0], True)
    if kind == "words":
        for one in reversed(weak_ones):
            if (value := announced_value(kind, text, one)) is not None:
                return value
        return READERS[kind](_joined_items(lines[_first_item(lines) :]), False)
    last = lines[-1]
    for one in reversed(weak(kind, last)):
        if (value := announced_value(kind, last, one)) is not None:
            return value
    value = READERS[kind](last, False)
    if value is not None:
        return value
    for one in reversed(weak_ones):
        if (value := announced_value(kind, text, one)) is not None:
            return value
    return _anywhere(kind, text)


def _anywhere(kind: str, text: str) -> str | None:
    """The last option in brackets, or the last of two words, wherever it is."""
    if kind == "choice":
        found = re.findall(r"(?<!\w)\(([A-Z])\)", text)
        return f"({found[-1]})" if found else None
    if kind in ("yes or no", "true or false", "valid or invalid"):
        return READERS[kind](" ".join(text.split()), False)
    return None


def _is_bare(kind: str, line: str) -> bool:
    """Whether a line is an answer alone, perhaps with a unit."""
    line = line.strip(" \t\r\n.*!\"'" + OPEN + CLOSE)
    if len(line) > 60:
        return kind == "words"
    if kind == "choice":
        return re.fullmatch(r"(?:option |choice )?[\[(]?[A-Za-z][\])]?", line, re.I) is not None
    if kind == "integer":
        return re.fullmatch(r"-?\s?\d[\d,]*(?:\.\d+)?\s?%?(?:\s[a-z]+){0,3}", line, re.I) is not None
    if kind == "brackets":
        return re.fullmatch(r"[()\[\]{}<>\s\"',]+", line) is not None
    if kind == "words":
        return bool(line)
    return re.fullmatch(kind.replace(" or ", "|"), line, re.I) is not None


def _is_first_line_the_answer(kind: str, lines: list[str]) -> bool:
    """Whether the first line is the answer, and the rest its reasons."""
    if kind == "words" or _is_bare(kind, lines[-1]):
        return False
    if _is_bare(kind, lines[0]):
        return True
    if kind == "choice":
        option = re.compile(r"[\[(]?[A-Z][\]).:]\s")
        return option.match(lines[0]) is not None and not any(option.match(line) for line in lines[1:])
    if kind in ("integer", "brackets"):
        return False
    return re.match(rf"\W*(?:{kind.replace(' or ', '|')})\b\s*(?:[.,;:!]|-+\s|$)", lines[0], re.I) is not None


def _line_at(text: str, at: int) -> str:
    end = text.find("\n", at)
    return text[at : end if end >= 0 else len(text)]


def _first_item(lines: list[str]) -> int:
    """The index of the first line of the list at the end, or of the last line where there is no list."""
    first = len(lines) - 1
    while _ITEM.match(lines[first]) and first > 0 and _ITEM.match(lines[first - 1]):
        first -= 1
    return first


def _joined_items(lines: list[str]) -> str:
    """The first line, or the items of a list that begins there."""
    items = []
    for line in lines:
        item = _ITEM.match(line)
        if item is None:
            break
        items.append(line[item.end() :])
    return " ".join(items) if items else lines[0]


# ---- texts that run on, and texts that were cut
def without_next_turn(kind: str, text: str) -> str:
    """The text up to where the model goes on with a question of its own, if it has answered before."""
    for turn in _NEXT_TURN.finditer(text):
        before = text[: turn.start()]
        bare = kind != "words" and _is_bare(kind, before)
        if before.strip() and (bare or _last_value(kind, before) is not None):
            return before
    return text


def _last_value(kind: str, text: str) -> str | None:
    values = (announced_value(kind, text, one) for one in reversed(strong(kind, text)))
    return next((value for value in values if value is not None), None)


def value(kind: str, text: str) -> str | None:
    """The answer in a whole text, or None."""
    found = _last_value(kind, text)
    if found is None:
        found = unannounced_value(kind, text)
    return None if found == NOTHING else found


def value_of_cut(kind: str, text: str) -> str | None:
    """The answer in a text that ended by length: one that was named, and had ended before; else None.

    A line that has ended, and a box that has closed, can't change any more. What is merely a last line is no answer
    here, since the next one would be. Nor is a draft before an announcement that did not end.
    """
    # a brace may be one of the answer's brackets, so that only its line's end tells that a box has closed
    closed = max(text.rfind("\n"), text.rfind(CLOSE) if kind != "brackets" else -1) + 1
    text, unfinished = text[:closed], text[closed:]
    if _UNFINISHED.search(unfinished):
        return None
    for one in reversed(strong(kind, text)):
        part = text[one.value : one.end]
        line = text[text.rfind("\n", 0, one.start) + 1 : one.start]
        if (
            not part.strip(f" \t\n*_|:.{OPEN}{CLOSE}")
            or _TENTATIVE.search(line)
            or _SECOND_THOUGHTS.search(text[one.value :] + unfinished)
        ):
            return None
        if kind == "words" and _ITEM.match(part.lstrip()) and one.end == len(text):
            return None  # the list may go on
        found = announced_value(kind, text, one)
        if found is not None:
            return None if found == NOTHING else found
    return None
