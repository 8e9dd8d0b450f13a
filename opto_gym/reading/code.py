"""Code in a model's answer: between fences of any kind, or as it is."""

from __future__ import annotations

import ast
import html
import io
import re
import textwrap
import tokenize
import warnings
from typing import NamedTuple

from ..problems import Problem
from ..spaces import Code

_OPENED = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\n`]*)$", re.MULTILINE)
_INLINE = re.compile(r"\s*(`{3,}|~{3,})[ \t]*(?:python3?|py)?[ \t]*([^\n]*?)[ \t]*\1\s*", re.I)
_BEGIN = re.compile(r"(?:def|class|import|from|async def|@\w|[A-Za-z_]\w*\s*=[^=])")
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot);")
_MAX_TRIES = 8  # for the beginning of code in prose, and for its end


class Fence(NamedTuple):
    """A fenced block.

    Attributes:
        body: The lines between the fences.
        closed: Whether there is a closing fence.
        end: The place after the block.
    """

    body: str
    closed: bool
    end: int


def normal_lines(text: str) -> str:
    """A text with LF line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def fences(text: str) -> list[Fence]:
    """The fenced blocks of a text with LF line ends; the last one may lack its end."""
    found: list[Fence] = []
    at = 0
    while opened := _OPENED.search(text, at):
        mark = opened[1]
        closing = re.compile(rf"^[ \t]*{mark[0]}{{{len(mark)},}}[ \t]*$", re.MULTILINE)
        start = opened.end() + 1
        closed = closing.search(text, start)
        body = text[start : closed.start() if closed else len(text)]
        at = closed.end() if closed else len(text)
        found.append(Fence(textwrap.dedent(body) if body[:1] in " \t" else body, closed is not None, at))
    return found


def parses(code: str) -> bool:
    """Whether a text is Python, within the parser's limits."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def defines(code: str, function: str) -> bool:
    """Whether a text has a definition of a function at the beginning of a line."""
    return re.search(rf"^(?:async[ ]+)?def[ ]+{re.escape(function)}[ ]*\(", code, re.MULTILINE) is not None


def read_code(text: str, function: str = "") -> str:
    """The code in a value: without the fence and the prose around it, with LF line ends.

    Of several blocks the last that defines the function counts. Code with a doubled escape of each line end, or that is
    indented as a whole, is mended if it parses then and did not before; so is code that was escaped for HTML. Text in
    which no code is found stays.

    Args:
        text: The value.
        function: The function's name, where it is known.
    """
    code = _found_code(normal_lines(text).removeprefix("\ufeff"), function)
    if _ENTITY.search(code) and _escaped_for_html(code) and parses(unescaped := html.unescape(code)):
        return unescaped
    return code


def _escaped_for_html(code: str) -> bool:
    """Whether code has entities outside of its strings; ``x &lt; 1`` is Python, but nobody means ``x & lt; 1``."""
    try:
        tokens = [token.string for token in tokenize.generate_tokens(io.StringIO(code).readline)]
    except (SyntaxError, tokenize.TokenError):
        return True
    return any(_ENTITY.fullmatch("".join(tokens[k : k + 3])) for k in range(len(tokens)))


def _found_code(code: str, function: str) -> str:
    inline = _INLINE.fullmatch(code)
    if inline is not None and inline[2]:
        return inline[2] + "\n"
    if not re.search("```|~~~|\\\\n|^[ \t]", code) and _BEGIN.match(code):
        return code if parses(code) else _without_prose(code, function)
    if parses(code):
        return code
    blocks = [fence.body for fence in fences(code) if fence.body.strip()]
    if blocks:
        defining = [block for block in blocks if function and defines(block, function)]
        return (defining or blocks)[-1].rstrip("\n") + "\n"
    if "\n" not in code.strip() and "\\n" in code:
        unescaped = code.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')
        if parses(unescaped):
            return unescaped
    dedented = textwrap.dedent(code)
    return dedented if parses(dedented) else _without_prose(code, function)


def _without_prose(code: str, function: str) -> str:
    """Code without the prose before and after it, if what remains parses and defines the function; else as it is."""
    if not function or not defines(code, function):
        return code
    lines = code.split("\n")
    starts = [k for k, line in enumerate(lines) if _BEGIN.match(line)]
    for start in starts[:_MAX_TRIES]:
        ends = [k for k in range(len(lines), start, -1) if k == len(lines) or re.match(r"\S", lines[k])]
        for end in ends[:_MAX_TRIES]:
            part = "\n".join(lines[start:end]).rstrip("\n") + "\n"
            if len(part) < 20_000 and defines(part, function) and parses(part):
                return part
    return code


def read_bare_code(text: str, problem: Problem, *, cut: bool = False) -> dict[str, str]:
    """The values of code parameters in an answer that has their functions in fenced blocks, or is code as a whole.

    A block with the functions of several parameters is divided. Of two blocks with the same function the later counts.

    Args:
        text: The answer, without reasoning.
        problem: The problem.
        cut: Whether the answer ended by length; then nothing counts where the last block has no end, or where there
            are no blocks.

    Returns:
        The values by the parameters' names; empty where there are none.
    """
    functions = {p.space.function: p.name for p in problem.parameters if isinstance(p.space, Code)}
    code = normal_lines(text)
    blocks = fences(code)
    if not functions or (cut and not all(block.closed for block in blocks)):
        return {}
    if blocks:
        bodies = [block.body for block in blocks]
    elif cut or not parses(code):
        return {}
    else:
        bodies = [code]
    found: dict[str, str] = {}
    for body in bodies:
        found.update(_divided(body, functions))
    return found


def _divided(code: str, functions: dict[str, str]) -> dict[str, str]:
    """The part of a block for each parameter whose function it defines."""
    names = [function for function in functions if defines(code, function)]
    if len(names) < 2:
        return {functions[name]: code.rstrip("\n") + "\n" for name in names}
    if not parses(code):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body = ast.parse(code).body
    lines = code.split("\n")
    found = {}
    for name in names:
        others: set[int] = set()
        for statement in body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name in set(names) - {name}:
                first = min([statement.lineno, *(d.lineno for d in statement.decorator_list)])
                others.update(range(first, (statement.end_lineno or first) + 1))
        part = "\n".join(line for k, line in enumerate(lines, 1) if k not in others)
        found[functions[name]] = part.strip("\n") + "\n"
    return found
