"""`ExecutionError`: an exception of traced code, which carries the node where the trace broke off."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nodes import Node


class ExecutionError(Exception):
    """An exception inside traced code. What is raised is of this class *and* of the original one, so that
    ``except IndexError`` goes on working; see `combined_errors` for how.

    Attributes:
        exception_node: The error node, an output to give to `backward`; its value is ``"(IndexError) message"``, with
            the line of the parameter's source where one is known.
        type: The original exception's name.
        message: Its text.
        line: The line in the code parameter's source, counted from 1, or None.
        text: That line itself, or "".
    """

    exception_node: Node
    type: str = ""
    message: str = ""
    line: int | None = None
    text: str = ""


def location(e: ExecutionError) -> str:
    """`` at line 3: x = map[9]``, or "" where no line is known."""
    return f" at line {e.line}{f': {e.text}' if e.text else ''}" if e.line else ""


def node_text(e: ExecutionError) -> str:
    """The error node's value: ``"(IndexError) message [line 3: x = map[9]]"``."""
    return f"({e.type}) {e.message}{f' [line {e.line}: {e.text}]' if e.line else ''}"
