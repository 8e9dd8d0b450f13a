"""A reader that reads an answer as trace-opt does, for `OptoPrime` and `OPROTrace` with ``parser="compat"``.

It reimplements the behaviour of trace-opt 0.1.3.8 (Cheng, Nie and Swaminathan's own program) and is tested against it.
It includes the faults: they cost the published optimizer answers, so a comparison with it needs them too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..problems import Problem
from ..spaces import Code
from ..utils.extras import need, require
from ..utils.moved import moved_names
from .proposals import Unusable, recordable


def check_parser(parser: str) -> str:
    """Checks an agent's setting `parser`, and returns it.

    Args:
        parser: ``"tolerant"`` or ``"compat"``.

    Raises:
        ValueError: If there is no such parser.
        MissingExtra: If black is not installed, which ``"compat"`` needs.
    """
    if parser not in ("tolerant", "compat"):
        raise ValueError(f"expected parser to be 'tolerant' or 'compat', got {parser!r}")
    if parser == "compat":
        require("black")
    return parser


MAX_FORMATTED_LENGTH = 10_000
"""The characters of a value that black formats; a longer value is dropped."""
MAX_FORMATTED_TOKENS, MAX_NESTED_BRACKETS = 5_000, 50
"""The same for its tokens, and for brackets inside each other, for which black takes up to half a minute."""


def read_as_trace_opt(text: str, problem: Problem, values: Mapping[str, Any]) -> dict[str, Any]:
    """The new values that trace-opt would take from an answer.

    * With "TERMINATE" anywhere in the answer, in the reasoning too, nothing changes.
    * A value is converted by the type of the current value: 5.9 becomes 5 for an integer, "False" becomes True for a
      bool, "[1, 2]" becomes its six characters for a list, and null the text "None".
    * A value that contains the letters "def" goes through the formatter black, whether it is code or not. A value that
      black can't parse is dropped, and so is blank code. Code that defines a function of another name is taken.
    * Broken JSON is searched for the first text in "suggestion". All up to the last quote before the first closing
      brace counts as that text.

    Three things differ from trace-opt: lone surrogates, which a record can't hold, are replaced; where trace-opt's step
    raises an exception, which ends the user's program, the answer is unusable; and a value that black would take long
    for is dropped before black reads it (see `MAX_FORMATTED_LENGTH` and `MAX_NESTED_BRACKETS`).

    Args:
        text: The answer.
        problem: The problem.
        values: The current values, whose types count.

    Raises:
        Unusable: If trace-opt would find no value, drop all values, or raise; the message says which.
        MissingExtra: If black is not installed.
    """
    black = need("black")
    if "TERMINATE" in text:
        return {}
    try:
        found = _find_suggestion(text)
        taken, too_much = _convert(found, problem, values, black)
    except Exception as e:  # trace-opt's step() lets any exception through
        raise Unusable(f"trace-opt raises {type(e).__name__}: {str(e)[:200]}") from e
    if not taken:
        dropped = "".join(f"; {name} {reason}, which is not formatted" for name, reason in too_much.items())
        raise Unusable(f"trace-opt drops the values of {', '.join(map(repr, found))[:200]}{dropped}" if found else
                       f"trace-opt finds no suggestion in the answer {text[:100]!r}")  # fmt: skip
    return taken


def _find_suggestion(text: str) -> dict[str, Any]:
    """The values under "suggestion", from JSON, from JSON between the outermost braces, or by a pattern."""
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
    except Exception:  # JSON of another shape, or nested too deeply
        pass
    if isinstance(found, dict) and found:
        return found
    text = text[: text.rfind("}") + 1]  # without a brace after it, each "suggestion" would be searched to the end
    body = re.search(r'"suggestion"\s*:\s*\{([^}]*)\}', text)
    pair = re.search(r'"([A-Za-z0-9_]+)"\s*:\s*"(.*)"', body[1], re.DOTALL) if body else None
    return {pair[1]: pair[2]} if pair else {}


def _convert(
    found: dict[str, Any], problem: Problem, values: Mapping[str, Any], black: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values converted to their parameters' types, without those that can't be converted.

    Returns:
        (the values by name, the reasons why values were not given to black, by name).
    """
    code = [p.name for p in problem.parameters if isinstance(p.space, Code)]
    blank = [name for name in code if name in found and found[name].strip() == ""]  # null and numbers have no strip
    taken, too_much = {}, {}
    for p in problem.parameters:
        if p.name not in found or p.name in blank:
            continue
        value = found[p.name]
        try:
            if isinstance(value, str) and "def" in value:
                if reason := _too_much(value):
                    too_much[p.name] = reason
                    continue
                value = black.format_str(value, mode=black.Mode())
            value = type(values[p.name])(value)
        except (ValueError, KeyError):
            continue
        taken[p.name] = recordable(value)
    return taken, too_much


def _too_much(code: str) -> str:
    """Why black would take too long for a value; "" if it does not."""
    if len(code) > MAX_FORMATTED_LENGTH:
        return f"has {len(code)} characters, over {MAX_FORMATTED_LENGTH}"
    if len(re.findall(r"\w+|[^\w\s]", code)) > MAX_FORMATTED_TOKENS:
        return f"has over {MAX_FORMATTED_TOKENS} tokens"
    depth = 0
    for bracket in re.findall(r"[()\[\]{}]", code):
        depth = depth + 1 if bracket in "([{" else max(0, depth - 1)
        if depth > MAX_NESTED_BRACKETS:
            return f"has over {MAX_NESTED_BRACKETS} brackets inside each other"
    return ""


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(__name__, {"known_parser": "reading.trace_opt:check_parser"})
