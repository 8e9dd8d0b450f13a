"""trace-opt's reading of an answer, with its faults: what `OptoPrime` and `OPROTrace` do with ``parser="compat"``.

Re-made from the behaviour of trace-opt 0.1.3.8 (Cheng, Nie and Swaminathan's own program) and tested against it. Its
faults are part of it: they cost the published optimizer answers, and a comparison with it should have them too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..problems import Problem
from ..spaces import Code
from ..utils.extras import need, require
from .proposals import Unusable, recordable


def check_parser(parser: str) -> str:
    """The argument, if it is a parser whose packages are installed.

    Raises:
        ValueError: If there is no such parser.
        MissingExtra: If black is not installed, which ``"compat"`` needs.
    """
    if parser not in ("tolerant", "compat"):
        raise ValueError(f"expected parser to be 'tolerant' or 'compat', got {parser!r}")
    if parser == "compat":
        require("black")
    return parser


LONGEST = 10_000
"""Characters of a value that are formatted."""


def read_as_trace_opt(text: str, problem: Problem, values: Mapping[str, Any]) -> dict[str, Any]:
    """The new values that trace-opt would take from an answer.

    * "TERMINATE" anywhere in it, in the reasoning too, ends the reading: nothing changes.
    * A value becomes whatever Python makes of it in the type of the value before: 5.9 is 5 as a whole number, "False"
      is True as a truth value, "[1, 2]" its six characters as a list, null the text "None".
    * A value with the letters "def" goes through the formatter black, be it code or not; what black can't parse is
      dropped, and so is blank code. Code under another function's name is taken.
    * Broken JSON is searched for the first text in "suggestion"; all up to the last quote before the first closing
      brace counts as that text.

    Three things differ: what a record can't hold (lone surrogates) is replaced; where trace-opt's step ends in an
    exception, and with it the user's program, the answer is unusable; and a value of more than `LONGEST` characters is
    dropped before black reads it, which takes up to a second for a thousand of them where brackets do not close.

    Args:
        text: The answer.
        problem: The problem.
        values: The values so far, whose types count.

    Raises:
        Unusable: If trace-opt would find no value, drop all that it finds, or raise; the message says which.
        MissingExtra: If black is not installed.
    """
    black = need("black")
    if "TERMINATE" in text:
        return {}
    try:
        found = _suggested(text)
        taken = _converted(found, problem, values, black)
    except Exception as e:  # of whatever kind: trace-opt's step() lets it through
        raise Unusable(f"trace-opt raises {type(e).__name__}: {str(e)[:200]}") from e
    if not taken:
        raise Unusable(f"trace-opt drops the values of {', '.join(map(repr, found))[:200]}" if found else
                       f"trace-opt finds no suggestion in the answer {text[:100]!r}")  # fmt: skip
    return taken


def _suggested(text: str) -> dict[str, Any]:
    """What stands under "suggestion": by JSON, by JSON between the outermost braces, by a pattern."""
    found: Any = None
    try:
        found = json.loads(text)["suggestion"]
    except json.JSONDecodeError:
        begin, end = text.find("{"), text.rfind("}")
        text = text[begin : end + 1] if 0 <= begin < end else ""
        try:
            found = json.loads(text)["suggestion"]
        except Exception:
            pass
    except Exception:  # JSON of another shape, or too deep
        pass
    if isinstance(found, dict) and found:
        return found
    body = re.search(r'"suggestion"\s*:\s*\{([^}]*)\}', text)
    pair = re.search(r'"([A-Za-z0-9_]+)"\s*:\s*"(.*)"', body[1], re.DOTALL) if body else None
    return {pair[1]: pair[2]} if pair else {}


def _converted(found: dict[str, Any], problem: Problem, values: Mapping[str, Any], black: Any) -> dict[str, Any]:
    """The values in their parameters' types; those that do not fit are missing."""
    code = [p.name for p in problem.parameters if isinstance(p.space, Code)]
    blank = [name for name in code if name in found and found[name].strip() == ""]  # null and numbers have no strip
    taken = {}
    for p in problem.parameters:
        if p.name not in found or p.name in blank:
            continue
        value = found[p.name]
        try:
            if isinstance(value, str) and "def" in value:
                if len(value) > LONGEST:
                    continue
                value = black.format_str(value, mode=black.Mode())
            value = type(values[p.name])(value)
        except (ValueError, KeyError):
            continue
        taken[p.name] = recordable(value)
    return taken
