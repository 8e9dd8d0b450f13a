"""``opto-gym envs`` and ``opto-gym agents``: the names that are registered, and the page of each."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import registration
from ..errors import DataNotFound, MissingExtra
from ..utils.extras import require
from ..utils.text import one_line, visible
from .arguments import UsageError


def list_envs(options: argparse.Namespace) -> int:
    """Prints a table of the environments, or the page of one, or writes the gallery."""
    if options.gallery:
        if options.name:
            raise UsageError("--gallery shows all families: expected no name beside it")
        from .gallery import write_gallery  # imports what plots and runs environments

        return write_gallery(options.gallery)
    if options.name:
        print(_page(registration.env_class(options.name)))
        return 0
    _print_table(("environment", "parameters", "kind", ""), registration.registered_envs(), _env_row)
    return 0


def list_agents(options: argparse.Namespace) -> int:
    """Prints a table of the agents, or the page of one."""
    if options.name:
        cls = registration.agent_class(options.name)
        print(_page(cls))
        if kinds := cls.supported_kinds():
            print("\nParameters:", *(f"    {kind}: {how}" for kind, how in kinds.items()), sep="\n")
        return 0
    _print_table(("agent", "model", ""), registration.registered_agents(), _agent_row)
    return 0


class _Unusable(Exception):
    """What is listed can't be used on this machine.

    Attributes:
        summary: Its first line of documentation.
        reason: What is missing.
    """

    def __init__(self, summary: str, reason: str) -> None:
        super().__init__(reason)
        self.summary, self.reason = summary, reason


def _env_row(name: str) -> tuple[str, ...]:
    """Kinds of parameters, instance or distribution, and the summary of an environment."""
    cls = registration.env_class(name)
    summary = _page(cls).split("\n")[0]
    try:
        if hasattr(cls, "about"):  # a function that makes an environment has no such method
            summary = cls.about(**registration.spec(name).kwargs)
        inner: Any = registration.make(name).unwrapped
    except DataNotFound:
        raise _Unusable(summary, "its data is missing") from None
    except MissingExtra as e:
        raise _Unusable(summary, str(e)) from None
    kinds = ", ".join(dict.fromkeys(type(p.space).__name__.lower() for p in inner.parameters))
    return kinds, "instance" if inner.instance else "distribution", summary


def _agent_row(name: str) -> tuple[str, ...]:
    """Whether an agent asks a language model, and its summary."""
    cls = registration.agent_class(name)
    summary = _page(cls).split("\n")[0]
    try:
        require(*cls.needs)
    except MissingExtra as e:
        raise _Unusable(summary, str(e)) from None
    return "yes" if cls.uses_model else "", summary


def _print_table(columns: tuple[str, ...], names: Iterable[str], row: Callable[[str], tuple[str, ...]]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # so that nothing is cut off in a file
    table = Table(*columns, box=None)
    for name in names:
        style = ""
        try:
            cells = [one_line(str(cell)) for cell in row(name)]
        except _Unusable as e:
            cells = [*[""] * (len(columns) - 2), one_line(f"{e.summary} (not usable here: {e.reason})")]
        except KeyboardInterrupt:
            raise
        except BaseException as e:  # a broken plug-in must not hide the others, even if it calls sys.exit
            cells, style = [one_line(f"broken: {str(e) or type(e).__name__}")], "red"
        table.add_row(Text(one_line(name)), *(Text(cell, style) for cell in cells))  # texts: none of it is markup
    console.print(table)


def _page(cls: Any) -> str:
    return visible(inspect.getdoc(cls) or "") or "no documentation"
