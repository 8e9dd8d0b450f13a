r"""The JSON objects in a model's answer, read with the faults that models make, or refused.

Accepted are prose and fences around an object, trailing commas, comments, single, curly and triple quotes, names
without quotes, Python's literals, line ends and quotes inside strings, backslashes that were not doubled, and a missing
end where the answer was not cut. Nothing is invented and nothing is dropped: an object in which a single value can't be
read is refused as a whole.

The package json-repair (0.64.4) was tried first and does not stand this module's tests. It reads ``\frac`` as a form
feed, closes a string that was cut as if it were whole, takes 5 of ``5 or 6``, drops ``"p"`` of ``{"n": 5, "p"}`` and
the text of triple quotes, makes two values of one string with quotes in it, and takes quadratic time for unclosed
braces.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from .escapes import unescape

MAX_DEPTH = 100
"""Objects and lists nested more deeply are refused."""

_MAX_FAILURES = 20  # of objects in an answer, and of readings of an object: so that the time stays linear
_SPACE = re.compile(r"(?:[\s\u200b-\u200f\u202a-\u202e\u2060\ufeff]+|//[^\n]*|#[^\n]*|/\*.*?\*/)*", re.DOTALL)
_QUOTES = {'"': '"', "'": "'", "“": '”“"', "”": '”"', "`": "`", "‘": "’", "’": "’"}
_NAME = re.compile(r"[A-Za-z_$][\w$-]*")
_NUMBER = re.compile(r"[-+\u2212]?(?:(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])")
_WORD = re.compile(r"[-+]?[A-Za-z]+")
_WORDS = {"true": True, "false": False, "null": None, "none": None, "nan": float("nan"), "infinity": float("inf")}
_WORDS |= {"-infinity": float("-inf"), "inf": float("inf"), "-inf": float("-inf"), "undefined": None}
_FENCE = re.compile(r"\s*(?:```|~~~)")
_LOOKS_LIKE_JSON = re.compile(r"\{\s*(?:[\"'“”`}]|[A-Za-z_]\w*\s*:|#|//|/\*)")
_JOINED = r"[ \t]*(?:\+\s*|\r?\n\s*)"
_AFTER_BRACE = r"\}\s*(?:[}\],]|\Z|```|~~~|(?<=\n))"


class Broken(ValueError):
    """Text that can't be read as JSON; the message says why and where."""


class FoundObject(NamedTuple):
    """An object in a text.

    Attributes:
        start: Its place.
        end: The place after it.
        data: What it holds; None where it can't be read.
        problem: Why it can't be read, or None.
    """

    start: int
    end: int
    data: dict[str, Any] | None
    problem: str | None = None


def find_objects(text: str, names: Collection[str], *, cut: bool = False) -> list[FoundObject]:
    """The outermost JSON objects in a text, in their order; braces in prose and in code are none.

    Args:
        text: The text.
        names: The names that its objects are expected to have. They tell where a string with quotes inside ends, and
            whether something that can't be read is an object at all.
        cut: Whether the text ended by length; then an object without an end can't be read.
    """
    named = re.compile(rf"[\"'“”]?\b(?:{'|'.join(map(re.escape, names))})\b[\"'“”]?\s*:") if names else None
    found: list[FoundObject] = []
    at = failures = 0
    while (start := text.find("{", at)) >= 0 and failures < _MAX_FAILURES:
        if not _LOOKS_LIKE_JSON.match(text, start):
            at = start + 1
            continue
        try:
            data, at = _read(text, start, names, cut)
            found.append(FoundObject(start, at, data))
        except Broken as e:
            at = start + 1
            failures += 1
            end = _next_start(text, start)
            if cut and end == len(text):
                found.append(FoundObject(start, end, None, str(e)))
                break
            if named is None or named.search(text, start, end):
                found.append(FoundObject(start, end, None, str(e)))
                at = end
    return found


def _next_start(text: str, start: int) -> int:
    """The end of an object that can't be read: where its braces close, or where another one begins on its own line."""
    following = re.compile(r"\n(?=\{)|\n(?=```|~~~)").search(text, start + 1)
    limit = following.end() if following else len(text)
    depth = 0
    for brace in re.compile("[{}]").finditer(text, start, limit):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    return limit


def _read(text: str, start: int, names: Collection[str], cut: bool) -> tuple[dict[str, Any], int]:
    """The object at a place, and the place after it.

    Where its strings end at their first quotes it may be unreadable; then quotes inside of strings are tried.
    """
    reader = _Reader(text, names, cut, repair=False)
    try:
        data, end = reader.object(start, 0)
        if text[end : end + 1] not in ('"', "'") or text[start - 1 : start] in ('"', "'"):
            return data, end
        raise Broken(f"a quote after the end at {text[max(0, end - 20) : end + 20]!r}")
    except Broken as e:
        first = e
    if cut:  # in a part of a string, a quote inside looks like its end
        raise first
    inside: set[int] = set()
    for _ in range(_MAX_FAILURES):
        reader = _Reader(text, names, cut, repair=True, inside=inside)
        try:
            return reader.object(start, 0)
        except Broken:
            if not reader.ends:
                break
            inside.add(reader.ends[-1])
    raise first


class _Reader:
    """A recursive-descent reader; each method takes a place and returns a value and the place after it."""

    def __init__(
        self, text: str, names: Collection[str], cut: bool, repair: bool, inside: Collection[int] = ()
    ) -> None:
        self.text, self.cut, self.repair, self.inside = text, cut, repair, inside
        self.ends: list[int] = []  # quotes that were taken for the end of a value, though more follow
        known = "|".join(map(re.escape, names)) or r"\w+"
        quote = "[\"'“”]?"
        self.known_after = re.compile(rf"\s*(?:,\s*(?:\}}|{quote}(?:{known}){quote}\s*:)|{_AFTER_BRACE}|\Z)")
        self.any_after = re.compile(rf"\s*(?:,\s*(?:\}}|{quote}[A-Za-z_]\w*{quote}\s*:)|{_AFTER_BRACE}|\Z)")

    def failure(self, reason: str, at: int) -> Broken:
        near = " ".join(self.text[max(0, at - 20) : at + 20].split())
        return Broken(f"{reason} at {near!r}")

    def space(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        data: dict[str, Any] = {}
        at = self.space(at + 1)
        while True:
            if self.text.startswith("}", at):
                return data, at + 1
            if data and self.ended(at):
                return data, at
            name, at = self.name(at)
            at = self.space(at)
            if not self.text.startswith(":", at):
                raise self.failure(f"no colon after {name[:40]!r}", at)
            data[name], at = self.value(self.space(at + 1), depth + 1, in_list=False)
            at = self.separator(at, "}")

    def list(self, at: int, depth: int) -> tuple[list[Any], int]:
        end = {"[": "]", "(": ")"}[self.text[at]]
        items: list[Any] = []
        at = self.space(at + 1)
        while True:
            if self.text.startswith(end, at):
                return items, at + 1
            if items and self.ended(at):
                return items, at
            item, at = self.value(at, depth + 1, in_list=True)
            items.append(item)
            at = self.separator(at, end)

    def separator(self, at: int, end: str) -> int:
        """The place after a comma, or that of the end."""
        at = self.space(at)
        if self.text.startswith(",", at):
            return self.space(at + 1)
        if not self.text.startswith(end, at) and not self.ended(at):
            raise self.failure(f"expected ',' or {end!r}", at)
        return at

    def ended(self, at: int) -> bool:
        """Whether the text or its fence ends here, or prose begins, so that only closing brackets are missing."""
        if at >= len(self.text):
            return not self.cut
        if not self.cut and re.compile(r"\}\s*\n\s*\Z").search(self.text, max(0, at - 20), at):
            return _NAME.match(self.text, at) is not None
        return _FENCE.match(self.text, at) is not None

    def name(self, at: int) -> tuple[str, int]:
        if at < len(self.text) and self.text[at] in _QUOTES:
            name, end = self.string(at, None)
            if self.repair and re.search(r"[\n,:{}]", name):
                raise self.failure("a name without an end", at)
            return name, end
        match = _NAME.match(self.text, at) or re.compile(r"\d+").match(self.text, at)
        if match is None:
            raise self.failure("expected a name", at)
        return match[0], match.end()

    def value(self, at: int, depth: int, in_list: bool) -> tuple[Any, int]:
        if depth > MAX_DEPTH:
            raise Broken("lists or objects too deep to read")
        first = self.text[at : at + 1]
        if first == "{":
            return self.object(at, depth)
        if first in ("[", "("):
            return self.list(at, depth)
        if first in _QUOTES:
            return self.string(at, in_list)
        number = _NUMBER.match(self.text, at)
        if number is not None and not (self.cut and number.end() == len(self.text)):
            return self.number(number[0], at), number.end()
        word = _WORD.match(self.text, at)
        if word is not None and word[0].lower() in _WORDS:
            return _WORDS[word[0].lower()], word.end()
        raise self.failure("no value" if first else "the end is missing", at)

    def number(self, text: str, at: int) -> int | float:
        digits = text.replace("_", "").replace("\u2212", "-")
        try:
            return float(digits) if re.search("[.eE]", digits) else int(digits)
        except ValueError:  # more digits than Python converts
            raise self.failure("a number too long to read", at) from None

    def string(self, at: int, in_list: bool | None) -> tuple[str, int]:
        """A string, where `in_list` is None a name; strings that are joined by "+" or a line's end are one."""
        parts = []
        while True:
            part, at = self.single_string(at, in_list)
            parts.append(part)
            joined = None if in_list is None else re.compile(_JOINED + r"(?=[\"'])").match(self.text, at)
            if joined is None:
                return "".join(parts), at
            at = joined.end()

    def single_string(self, at: int, in_list: bool | None) -> tuple[str, int]:
        opened = self.text[at]
        for triple in ('"""', "'''", "```"):
            if self.text.startswith(triple, at) and not self.text.startswith(triple[:2] + ",", at):
                end = self.text.find(triple, at + 3)
                if end < 0:
                    raise self.failure("a string without an end", at)
                raw = self.text[at + 3 : end]
                return (raw if "\n" in raw else unescape(raw)), end + 3
        closing = re.escape(_QUOTES[opened])
        quotes = 0
        for mark in re.compile(rf"\\.|[{closing}]", re.DOTALL).finditer(self.text, at + 1):
            if mark[0][0] == "\\":
                continue
            if not self.repair or self.ends_here(mark, in_list, quotes):
                return unescape(self.text[at + 1 : mark.start()]), mark.end()
            quotes += 1
        raise self.failure("a string without an end", at)

    def ends_here(self, mark: re.Match[str], in_list: bool | None, quotes: int) -> bool:
        """Whether a quote ends its string, and is not one inside of it."""
        at = mark.end()
        if in_list is None:
            return re.compile(r"\s*:").match(self.text, at) is not None
        if mark.start() in self.inside:
            return False
        if in_list:
            after = re.compile(r"\s*[,\])]").match(self.text, at)
        else:
            after = (self.known_after if quotes else self.any_after).match(self.text, at)
        if after is None:
            return False
        self.ends.append(mark.start())
        return True
