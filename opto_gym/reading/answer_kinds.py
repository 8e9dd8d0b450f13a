"""Readers of the kinds of answers, one for each: from a line that holds an answer to its normal form.

Each gets a line of plain text (see `plain_text`) and whether the answer was announced. After an announcement the answer
comes first, and reasons may follow; in a last line the answer comes last. A reader returns None where the line says
nothing of its kind, and `NOTHING` where it says that there is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

NOTHING = ""
"""What a reader returns for a line that gives no one answer, such as "none of the above" or "(A) or (B)"."""

Reader = Callable[[str, bool], str | None]

_QUOTES = "\"'[](){}<>|"
_FILLER = re.compile(
    r"(?:[\s\"'\[({<|:,;.-]*\b(?:that|therefore|thus|hence|so|indeed|clearly|probably|likely|most|definitely|still|"
    r"simply|actually|hereby|option|choice|letter|answer|it|it's|is|the|be|to|always|either|way|either way)\b){0,8}"
    r"[\s\"'\[({<|:,;.-]*",
    re.I,
)

# ---- an option
_OPTION = r"(?:option |choice |answer |letter )?[\"'(\[]*"
_WRONG = r"not|wrong|incorrect|false|(?:in)?valid|excluded|eliminated|ruled|out|impossible|inconsistent"
_LETTER = re.compile(r"([A-Za-z])(?![\w'])\s*([\"'\])}>.:]*)")
_AFTER_LETTER = re.compile(
    r"\s*(?:$|[,;.:!?)\]|\u2192(-]|(?:because|since|as|for|is|which|by|and (?:is|it|not))\b)", re.IGNORECASE
)
_ANOTHER = re.compile(  # "A or B"
    rf"\s*(?:,|/|&|,?\s*\b(?:or|and|as well as)\b)\s*{_OPTION}([A-Z])(?![\w'])(?!\s+(?:is|are|was|isn't)\b)",
    re.IGNORECASE,
)
_NOT_IT = re.compile(  # "(B) is wrong"
    rf"\s*[\"'\])]*,?\s*(?:(?:is|are|was|can be|must be|gets)\s+(?:{_WRONG})|isn't|cannot|can't|doesn't)\b",
    re.IGNORECASE,
)
_REJECTED = re.compile(  # "not (B)"
    r"(?:\bnot|n't(?: be)?|\brul(?:es?|ed|ing) out|\bexcept|\brather than|\binstead of|\bunlike"
    rf"|\b(?:eliminat|exclud)(?:es?|ed|ing))\s+(?:the\s+)?{_OPTION}$",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"(?<!\w)[(\[]\s*([A-Za-z])\s*[)\]]")
_NAMED = re.compile(
    r"\b(?:option|choice|letter|answer|choose|pick|select|say|with|is|be)\s+[\"'(\[]*([A-Z])(?=[\"')\]]*\s*(?:[.,;:!?]|$))"
)
_LONE = re.compile(r"(?<![\w'.=+^\u00d7/-])([B-HJ-Z])(?![\w'=+^/]|\s*[=+\u00d7^])")
_NONE_OF = re.compile(
    r"(?:none|neither|no (?:option|choice|answer)|not (?:listed|given|any)|unknown|unclear|undetermined|n/a"
    r"|(?:it |this )?(?:cannot|can't|could not) be|i (?:do not|don't|cannot|can't))\b",
    re.IGNORECASE,
)


def choice(line: str, announced: bool) -> str | None:
    """The letter of an option, as ``"(B)"``."""
    if announced:
        start = _FILLER.match(line)
        assert start is not None
        at = start.end()
        letter = _LETTER.match(line, at)
        if letter is not None and (_is_option(line, letter) or _ANOTHER.match(line, letter.end())):
            return NOTHING if _ANOTHER.match(line, letter.end()) else f"({letter[1].upper()})"
        if _NONE_OF.match(line, at):
            return NOTHING
    else:
        letter = re.match(r"\W*(?:option |choice )?([A-Za-z])(?=[\"')\]]*(?:[).:,]|$))", line, re.I)
        if letter is not None and not _BRACKETED.search(line, letter.end()) and not _NOT_IT.match(line, letter.end()):
            return f"({letter[1].upper()})"
    for pattern in (_BRACKETED, _NAMED, *((_LONE,) if announced else ())):
        found = [m for m in pattern.finditer(line) if not _is_rejected(line, m)]
        if found:
            first = found[0 if announced and pattern is _BRACKETED else -1]
            if announced and _ANOTHER.match(line, first.end()):
                return NOTHING
            return f"({first[1].upper()})"
    return None


def _is_option(line: str, letter: re.Match[str]) -> bool:
    """Whether a letter at the beginning is an option, and no word."""
    if _NOT_IT.match(line, letter.end()):
        return False
    closed = letter[2] != "" or _AFTER_LETTER.match(line, letter.end()) is not None
    if (
        letter[1] in "Ii"
        and letter[2] == ""
        and not re.match(r"\s*(?:$|[.,;:])", line[letter.end() : letter.end() + 9])
    ):
        return False  # the pronoun
    return closed or letter[1] in "BCDEFGHJKLMNOPQRSTUVWXYZ"


def _is_rejected(line: str, letter: re.Match[str]) -> bool:
    return bool(_REJECTED.search(line[max(0, letter.start() - 40) : letter.start(1)])) or bool(
        _NOT_IT.match(line, letter.end())
    )


# ---- one of two words
_BOTH = re.compile(
    r"\b(?:yes (?:or|and|/) no|true (?:or|and|/) false|valid (?:or|and|/) invalid|(?:yes|true|valid)/\w+)\b", re.I
)
_NO_OTHERS = (
    r"(?!\s+(?:one|other|others|longer|way|doubt|matter|more|reason|evidence|need|idea|body|information|such|two)\b)"
)
_ADVERBS = "be|a|an|deductively|logically|necessarily|formally|strictly|at all|always"
_NEGATION = rf"(?:\bnot|n't|\bnever|\bfails to be|\bfar from)(?:\s+(?:{_ADVERBS}))*"


def _one_of(yes: str, no: str) -> Reader:
    """A reader of one of two words; "not" before a word means the other one."""
    negative = rf"{no}\b{_NO_OTHERS}" if no == "no" else rf"{no}\b"
    word = re.compile(rf"({_NEGATION}\s+)?\b({negative}|{yes}\b)", re.I)
    initial = re.compile(rf"\W*([{yes[0]}{no[0]}])\W*", re.I)

    def reader(line: str, announced: bool) -> str | None:
        if announced and yes != "valid" and (letter := initial.fullmatch(line)):
            return yes if letter[1].lower() == yes[0] else no
        line = _BOTH.sub(" ", line)
        found = [(m[1], m[2]) for m in word.finditer(line)]
        if not found:
            return None
        first = announced or re.match(rf"\W*(?:{yes}|{no})\b", line, re.I) is not None  # "No, it does not: ..."
        negated, answer = found[0 if first else -1]
        if negated:
            return no if answer.lower() == yes else yes
        return answer.lower()

    return reader


# ---- a number
MAX_DIGITS = 4000  # of a number; a little less than Python's own limit
_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: k for k, word in enumerate(("zero", *_ONES, *_TEENS))} | {w: 10 * k for k, w in enumerate(_TENS, 2)}
_SMALL = rf"(?:{'|'.join(_TENS)})[- ](?:{'|'.join(_ONES)})|{'|'.join(_WORDS)}"
_LARGE = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "k": 1000}
_LARGE_WORDS = tuple(w for w in _LARGE if w != "k")  # a number in words with one of these is not read
_WORD = rf"(?:{_SMALL}|{'|'.join(_LARGE_WORDS)})"
_AND = "|".join(f"(?<={word}) and " for word in _LARGE_WORDS)
_IN_WORDS = re.compile(rf"(?<!\w-)\b{_WORD}(?:(?:[- ]|{_AND}){_WORD})*\b(?!-\w)")  # but not in "five-sided"
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?![\d])|\d+)"
_NUMBER = re.compile(
    rf"(?<![\w.)^])(?<!\d[:/])(?<!\d [:/] )(?P<sign>-?|\b(?:minus|negative)\s)(?P<whole>{_DIGITS})(?P<rest>\.\d+)?"
    rf"(?:\s?\u00d7\s?10\s?\^\s?(?P<power>-?\d{{1,2}})\b|\s?/\s?(?P<divisor>\d{{1,9}})(?![\d/])"
    rf"|\s?(?P<large>{'|'.join(_LARGE)})\b)?",
    re.I,
)
_RANGE = re.compile(rf"\W*{_DIGITS}\s*(?:-|/|:|\bor\b|\bto\b)\s*{_DIGITS}\W*")
_FIRST_CLAUSE = re.compile(r"(?<=[\w)%])(?:[.;!?](?=\s|$)|,\s|\s\(|\s-+\s?(?=[A-Za-z])|\s(?:because|since|as)\b)")
_POWER = re.compile(r"(?<![\w.,^\u00d7/-])(?<!\u00d7\s)(\d{1,4})\s?\^\s?\{?(\d{1,2})\}?(?![\w.,^])")
_GROUPS = re.compile(r"[^\w\s.,]?\d{1,3}(?: \d{3})+[^\w\s]?")
_NUMBER_NOT = re.compile(r":\d|\^\d|\u00b2|\u00b3|/\d")


def integer(line: str, announced: bool) -> str | None:
    """A number with its sign, after the last "=" if there is one; 8.0 reads as 8. Words are read up to ninety-nine."""
    line = _plain_numbers(line)
    if announced:
        if _RANGE.fullmatch(line.strip()[:100]):
            return _quotient(line)
        clause = _FIRST_CLAUSE.split(line, maxsplit=1)[0]
        if (
            "=" in line
            and not re.search(r"\d\s*[-+\u00d7*/x]\s*\d", clause)
            and _NUMBER.search(clause)
            and "=" not in clause
        ):
            line = clause  # what follows is the reason
        elif "=" in clause and _NUMBER.search(clause.rpartition("=")[2]):
            line = clause
    tail = line.rpartition("=")[2]
    line = tail if re.search(r"\d", tail) else line
    numbers = [m for m in _NUMBER.finditer(line) if not _NUMBER_NOT.match(line, m.end())]
    if numbers:
        return _value(numbers[0 if announced else -1])
    words = _IN_WORDS.findall(line.lower())
    chosen = words[0 if announced else -1] if words else ""
    small = re.fullmatch(_SMALL, chosen)
    return str(sum(_WORDS[word] for word in re.split("[- ]", small[0]))) if small else None


def _plain_numbers(line: str) -> str:
    """A line with its powers worked out, and without spaces between the groups of a number that stands alone."""
    line = re.sub(r"(?<=\d)e\+?(-?\d{1,2})\b", " \u00d7 10^\\1", line, flags=re.I)
    line = _POWER.sub(lambda power: str(int(power[1]) ** int(power[2])), line)
    return line.replace(" ", "") if _GROUPS.fullmatch(line.strip()) else line


def _quotient(line: str) -> str | None:
    """The value of a line that is a fraction alone; a range is no one number."""
    number = _NUMBER.search(line)
    return _value(number) if number and number["divisor"] else NOTHING


def _value(number: re.Match[str]) -> str | None:
    if len(number[0]) > MAX_DIGITS:
        return None
    whole, rest = number["whole"].replace(",", ""), (number["rest"] or "").rstrip("0").rstrip(".")
    sign = "-" if number["sign"] else ""
    if not (number["power"] or number["divisor"] or number["large"]):
        text = str(int(whole)) + rest
        return text if text == "0" else sign + text
    value = Fraction(whole + rest)
    if number["power"]:
        value *= Fraction(10) ** int(number["power"])
    elif number["large"]:
        value *= _LARGE[number["large"].lower()]
    elif int(number["divisor"]):
        value /= int(number["divisor"])
    else:
        return None
    value = -value if sign else value
    return str(value.numerator) if value.denominator == 1 else f"{value.numerator / value.denominator:.6f}".rstrip("0")


# ---- words
_ITEM = re.compile(r"\s*(?:\d{1,3}[.)]|[-+\u2022\u00b7])\s+")
_SENTENCE_END = re.compile(r"[.!?]\s+(?=[A-Z(])|\s\((?=[a-z]+ )|\s[-\u2014]+\s")


def words(line: str, announced: bool) -> str | None:
    """Words in their order, without commas and without what comes before a colon."""
    line = _SENTENCE_END.split(line, maxsplit=1)[0]
    line = line.rpartition(":")[2].lower()
    if "," in line:
        line = re.sub(r",\s*and\s+(?=\S+\s*[.!]?\s*$)", ", ", line)
    tokens = re.split(r"(?:[\s,;|\u2192<>]|->)+", line)
    return " ".join(word for token in tokens if (word := token.strip("\"'.[](){}!\x02\x03"))) or None


# ---- brackets
_RUN = re.compile(r"(?<!\w)[()\[\]{}<>](?:(?:[\s\"',;]|\b(?:and|then)\b)*[()\[\]{}<>])*(?!\w)")


def brackets(line: str, announced: bool) -> str | None:
    """Brackets, parted by spaces; those around words do not count."""
    runs = [re.sub(r"[^()\[\]{}<>]", "", run) for run in _RUN.findall(line)]
    return " ".join(runs[0 if announced else -1]) if runs else None


READERS: dict[str, Reader] = {
    "choice": choice,
    "yes or no": _one_of("yes", "no"),
    "true or false": _one_of("true", "false"),
    "valid or invalid": _one_of("valid", "invalid"),
    "integer": integer,
    "words": words,
    "brackets": brackets,
}
"""The readers by kind of answer."""
