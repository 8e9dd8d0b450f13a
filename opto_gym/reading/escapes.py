r"""What backslashes in a string of a model's JSON mean: an escape, or a backslash that should have been doubled.

Models write LaTeX, regular expressions and Windows paths with single backslashes. To JSON, ``\frac`` is a form feed
and "rac", ``\boxed`` a backspace and "oxed", ``\text`` a tab and "ext", and ``\d`` is an error. None of them is meant.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_PLAIN = {'"': '"', "\\": "\\", "/": "/", "'": "'", "`": "`", "\n": "\n", "“": "“", "”": "”"}
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_COMMANDS = {
    "t": r"(?:text\w*|times|theta|tfrac|triangle\w*|tilde|tanh|title|thicksim|textbf|tbinom|top(?=[^a-z\s])|tau(?=\W))",
    "n": r"(?:nabla|notin|nonumber|newline|newcommand|nolimits|nmid|nleq|ngeq|nsubseteq|nparallel|nearrow|nwarrow"
    r"|neq(?!\s*[=(\[]))",
    "r": r"(?:rho|right\w*|rangle|rceil|rfloor|rm|ref|root|rvert|rVert|renewcommand|rule)",
}
_COMMAND = {letter: re.compile(names + r"(?![A-Za-z])") for letter, names in _COMMANDS.items()}
_IN_MATHEMATICS = {  # words of prose or names in code too: commands only beside other mathematics
    "t": re.compile(r"(?:to|tan|tag|top|tau)(?![A-Za-z])"),
    "n": re.compile(r"(?:ne|nu|neg|not)(?![A-Za-z])(?!\s*[=.(\[,])"),
}
_MATHEMATICS = re.compile(
    r"\$|\\\\?(?:frac|boxed|text|sqrt|sum|int|theta|times|begin|left|right|cdot|alpha|beta|[(\[])"
)


def unescape(raw: str) -> str:
    """The text that a string of JSON stands for; backslashes that begin no escape which can be meant stay.

    Args:
        raw: The characters between the quotes.
    """
    if "\\" not in raw:
        return raw
    single = any(_is_single(raw, escape) for escape in _ESCAPE.finditer(raw))
    mathematics = _MATHEMATICS.search(raw) is not None
    return _ESCAPE.sub(lambda escape: _meaning(raw, escape, single, mathematics), raw)


def _is_single(raw: str, escape: re.Match[str]) -> bool:
    """Whether an escape shows that the string was written with single backslashes."""
    letter = escape[1]
    if letter in ("b", "f"):
        return re.match("[A-Za-z]", raw[escape.end() :][:1]) is not None
    return letter not in _PLAIN and letter not in _CONTROL and len(letter) == 1


def _meaning(raw: str, escape: re.Match[str], single: bool, mathematics: bool) -> str:
    letter = escape[1]
    if letter in _PLAIN:
        return _PLAIN[letter]
    if len(letter) > 1:
        return chr(int(letter[1:], 16))
    if letter not in _CONTROL or (letter in ("b", "f") and single):
        return escape[0]
    if letter in _COMMAND and _COMMAND[letter].match(raw, escape.start() + 1):
        return escape[0]
    indented = raw[: escape.start()].endswith(("\\n", "\\t", "\n", "\t"))
    ambiguous = _IN_MATHEMATICS.get(letter)
    if mathematics and not indented and ambiguous is not None and ambiguous.match(raw, escape.start() + 1):
        return escape[0]
    return _CONTROL[letter]
