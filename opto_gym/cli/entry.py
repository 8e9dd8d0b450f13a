"""The entry point of the command line: runs a command, and turns its errors into one line and an exit status."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from types import TracebackType

from ..utils.loading import offer_working_folder
from ..utils.memory import protect_memory
from ..utils.redaction import keep_environment_secret, redact
from ..utils.text import never_fail_to_print, visible
from .arguments import UsageError
from .commands import run_command
from .parser import make_parser, parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: The words after ``opto-gym``; None takes those of the process.

    Returns:
        The exit status: 0 for success, 1 for a failure, 2 for wrong usage, 130 after Ctrl-C.
    """
    never_fail_to_print()
    keep_environment_secret()
    if arguments is None:
        protect_memory()
        sys.excepthook = _show_crash
        threading.excepthook = lambda crash: _show_crash(crash.exc_type, crash.exc_value, crash.exc_traceback)
    status = _main(arguments)
    if status == 130 and arguments is None:  # as a program: Ctrl-C once more ends it, without a traceback
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
        sys.stdout.flush()
        sys.stderr.flush()
        if _trials_are_running():
            os._exit(130)
    return status


def _main(arguments: Sequence[str] | None) -> int:
    try:
        options = parse(arguments)
    except UsageError as e:
        return _fail(e, 2)
    if options.version:
        from .. import __version__

        print(f"opto-gym {__version__}")
        return 0
    if options.command is None:
        make_parser().print_help()
        return 2
    offer_working_folder()
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    """Runs the command, and reports what a user can mend in one line; what is left is a bug with its traceback."""
    try:
        return run_command(options)
    except KeyboardInterrupt:
        print(f"\ninterrupted.{_how_to_continue(options)}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the program that reads our output, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as e:
        from gymnasium.error import Error

        from ..errors import OptoGymError, SettingsError

        if isinstance(e, OptoGymError) and not isinstance(e, SettingsError):
            return _fail(e, 1)
        if isinstance(e, ValueError | KeyError | TypeError | ImportError | Error):
            return _fail(e, 2)
        if isinstance(e, OSError) and e.filename is not None:
            return _fail(f"{e.filename}: {e.strerror}", 1)
        raise


def _trials_are_running() -> bool:
    """Whether a trial still runs, which a run did not wait for after the second Ctrl-C."""
    workers = sys.modules.get("opto_gym.leaderboard.workers")  # not loaded by other commands
    return workers is not None and bool(workers.trials_are_running())


def _how_to_continue(options: argparse.Namespace) -> str:
    out = options.resume or options.out if options.command == "run" else None
    if out:
        return f" Go on with: opto-gym run --resume {out}"
    return " The same command goes on." if options.command in ("compare", "reproduce") else ""


def _fail(message: object, status: int) -> int:
    print(visible(redact(f"opto-gym: {message}")), file=sys.stderr)
    return status


def _show_crash(kind: type[BaseException], e: BaseException | None, trace: TracebackType | None) -> None:
    """Prints the traceback of a bug, without keys."""
    print(visible(redact("".join(traceback.format_exception(kind, e, trace)))), end="", file=sys.stderr)
