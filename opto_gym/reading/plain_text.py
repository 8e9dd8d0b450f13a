r"""A model's answer to a task without its dress: LaTeX, Markdown, HTML, and the punctuation of other scripts.

``\boxed{...}`` and ``<answer>...</answer>`` become the marks `OPEN` and `CLOSE` around their content.
"""

from __future__ import annotations

import html
import re
import unicodedata

OPEN, CLOSE = "\x02", "\x03"
"""The marks around the content of a box, which no text has otherwise."""


def _characters() -> dict[int, str]:
    """The plain form of each character that stands for an ASCII one."""
    plain = {0xFF01 + k: chr(0x21 + k) for k in range(94)}  # the full-width forms
    styled = (*range(0x1D400, 0x1D800), *range(0x24B6, 0x24EA), *range(0x249C, 0x24B6), *range(0x1F130, 0x1F14A))
    plain |= {k: form.strip("()") for k in styled if (form := unicodedata.normalize("NFKC", chr(k))).strip("()")}
    for same, others in (
        ("-", "\u2010\u2011\u2012\u2013\u2212\ufe63"),
        ("'", "\u2018\u2019\u02bc\u00b4"),
        ('"', "\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\u300e\u300f"),
        (" ", "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000"),
        (".", "\u3002\uff61\u06d4\u0964"),
        (",", "\u3001\uff64\u060c"),
        ("[", "\u3010\u3014\u27e6"),
        ("]", "\u3011\u3015\u27e7"),
        ("<", "\u3008\u27e8\u2329"),
        (">", "\u3009\u27e9\u232a"),
        ("", "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad\x02\x03\u00b0\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd"),
        ("\n", "\u2028\u2029\x85"),
    ):
        plain |= dict.fromkeys(map(ord, others), same)
    return plain


_CHARACTERS = _characters()
_THOUSANDS = re.compile(
    r"(?<=\d)(?:,?(?:[\u00a0\u2006-\u2009\u202f]|\\+[,!;: ]|\\+thinspace\b ?)|\{,\}|['\u2019_\u066c])(?=\d{3}(?!\d))"
)
_DECIMAL_COMMA = re.compile(
    r"(?<=\d),(?=\d{1,2}(?!\d)\s?(?:\u20ac|EUR\b|euros?\b|kr\b|z\u0142))|(?<=\u20ac\d),(?=\d\d\b)"
)
_BOX = re.compile(r"(?:\\+(?:boxed|fbox|framebox)|\x08oxed|(?<![A-Za-z\\])boxed(?=\{))\s*")
_BRACES = re.compile(rf"{_BOX.pattern}|\\[\\{{}}]|[{{}}]")
_WRAPPER = (
    r"(?:text|math|mbox|operatorname|boldsymbol|bm|emph|underline|color)(?:bf|rm|it|sf|tt|up|sc|normal|cal|bb)?\*?"
)
_SUBSTITUTIONS = tuple(
    (re.compile(pattern, re.IGNORECASE), new)
    for pattern, new in (
        (r"<(?:final[_ ]?)?answer>", OPEN),
        (r"</(?:final[_ ]?)?answer>", CLOSE),
        (r"<(?:br|/?p|/?div|/?li|/?tr)\s*/?>", "\n"),
        (r"</?(?:b|i|em|strong|u|span|code|mark|sub|sup|ins|td|th)\s*>", ""),
        (r"\\+[dt]?frac\s*\{([^{}\n]{0,40})\}\s*\{([^{}\n]{0,40})\}", r"\1/\2"),
        (rf"\\+{_WRAPPER}\s*(?=\{{)", ""),
        (r"\\+(?:begin|end)\s*\{[^{}\n]{0,40}\}", " "),
        (r"\^\s*\{?\s*\\+circ\s*\}?", ""),
        (r"\\+(?:left|right|displaystyle|bf|it)(?![a-z])", ""),
        (r"\\+(?:times|cdot)(?![a-z])", "\u00d7"),
        (r"\\+(?:implies|to|(?:long)?rightarrow)(?![a-z])", "\u2192"),
        (r"\\+(?:langle|lt)(?![a-z])", "<"),
        (r"\\+(?:rangle|gt)(?![a-z])", ">"),
        (r"\\+lbrace(?![a-z])", "{"),
        (r"\\+rbrace(?![a-z])", "}"),
        (r"\\+lbrack(?![a-z])", "["),
        (r"\\+rbrack(?![a-z])", "]"),
        (r"\\n(?![a-z])|\\\\(?=\s)", "\n"),
        (r"\\+!", ""),
        (r"\\+(?:quad|qquad|thinspace|[,;: ])|(?<![~\\])~(?!~)", " "),
    )
)
_MATH = re.compile(r"\\+\(((?:[^\\\n]|\\(?![()])){0,400})\\+\)|\\+\[((?:[^\\]|\\(?![\[\]])){0,400})\\+\]")
_FINISH = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\+([$%&_#{}<>*`'\"=.-])", r"\1"),
        (r"\\+[A-Za-z]+", " "),
        (r"(?<=[\d)])\s?\*{1,2}\s?(?=[\d(])", " \u00d7 "),
        (r"(?m)^[ \t]*[*+\u2022\u00b7][ \t]+(?=\S)", "- "),
        (r"\*+|`+|~~+|(?<!\w)_+|_+(?!\w)", ""),
        (r"(?:\b(?:US|AU|CA|HK|NZ|[ACS])(?=\$\s?\d))?\$+", ""),
        (r"\b(?:USD|EUR|GBP|CAD|AUD|INR|CHF|Rs|RM)\.?\s?(?=-?\d)", ""),
    )
)


def plain(text: str, brackets: bool = False) -> str:
    """A text in plain characters, with marks around the content of its boxes.

    Args:
        text: The text.
        brackets: Whether the answer consists of brackets, so that each brace and escaped bracket may be part of it.
    """
    text = re.sub(r"(\\\\|__)[\\_]+", r"\1", text)  # so that the time stays linear
    text = _DECIMAL_COMMA.sub(".", _THOUSANDS.sub(",", text)).translate(_CHARACTERS)
    text = _bracket_boxes(html.unescape(text)) if brackets else _boxes(text)
    for pattern, new in _SUBSTITUTIONS:
        text = pattern.sub(new, text)
    text = _MATH.sub(lambda m: f" {m[1] or m[2] or ''} ", text)
    text = re.sub(r"\\+(?=[()\[\]{}<>])", "", text) if brackets else re.sub(r"\\+[()\[\]]", " ", text)
    for pattern, new in _FINISH:
        text = pattern.sub(new, text)
    return text if brackets else text.translate({ord("{"): "", ord("}"): ""})


def _boxes(text: str) -> str:
    """Puts marks around the content of each box; a box that never closes has the first mark alone."""
    pieces: list[str] = []
    opened: list[bool] = []  # for each open brace whether it is a box's
    at = 0
    for token in _BRACES.finditer(text):
        if token.start() < at:
            continue
        pieces.append(text[at : token.start()])
        at = token.end()
        if token[0] == "{":
            opened.append(False)
            pieces.append("{")
        elif token[0] == "}":
            pieces.append(CLOSE if opened and opened.pop() else "}")
        elif token[0][0] == "\\" and token[0][1:] in ("\\", "{", "}"):
            pieces.append(token[0])
        elif text[at : at + 1] == "{":
            opened.append(True)
            pieces.append(OPEN)
            at += 1
        elif word := re.compile(r"[^\s$}\\]+").match(text, at):  # \boxed 7
            pieces.append(f"{OPEN}{word[0]}{CLOSE}")
            at = word.end()
    return "".join(pieces) + text[at:]


def _bracket_boxes(text: str) -> str:
    """The same for brackets, whose braces need not be balanced: a box reaches to the last brace of its line."""
    lines = []
    for line in text.split("\n"):
        box = _BOX.search(line)
        if box is not None and line[box.end() :].startswith("{"):
            content = line[box.end() + 1 :].rstrip("$*. \t\r")
            while content.endswith(("\\)", "\\]")):  # of the formula around the box
                content = content[:-2].rstrip("$*. \t\r")
            closed = content.endswith("}") and not content.endswith("\\}")
            content = content.removesuffix("}") if closed else content
            wrapped = re.match(rf"\\+{_WRAPPER}\s*\{{", content)
            if wrapped is not None:
                closed = closed and content.endswith("}")
                content = content[wrapped.end() :].removesuffix("}")
            line = f"{line[: box.start()]}{OPEN}{content}{CLOSE if closed else ''}"
        lines.append(line)
    return "\n".join(lines)
