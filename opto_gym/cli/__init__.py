"""The command line, ``opto-gym COMMAND``: `parser` has the options, `commands` says which module runs a command."""

from .entry import main

__all__ = ["main"]
