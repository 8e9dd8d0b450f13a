"""The command line: ``opto-gym COMMAND``, see `opto-gym --help`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from .commands import COMMANDS
from .parser import make_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; gives its exit status: 0 fine, 1 failed, 2 wrong usage, 130 interrupted."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.version:
        from .. import __version__

        print(f"opto-gym {__version__}")
        return 0
    if options.command is None:
        parser.print_help()
        return 2
    if "" not in sys.path:
        sys.path.append("")  # module:Class may be in the working folder, which an installed script does not look in
    try:
        return COMMANDS[options.command](options)
    except KeyboardInterrupt:
        out = options.resume or options.out if options.command == "run" else None
        more = f" Go on with: opto-gym run --resume {out}" if out else ""
        more = " The same command goes on." if options.command in ("compare", "reproduce") else more
        print(f"\ninterrupted.{more}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, head for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as e:
        from gymnasium.error import Error

        from ..errors import OptoGymError

        if isinstance(e, OptoGymError):
            print(f"opto-gym: {e}", file=sys.stderr)
            return 1
        if isinstance(e, ValueError | KeyError | TypeError | Error):
            print(f"opto-gym: {e}", file=sys.stderr)
            return 2
        raise


if __name__ == "__main__":
    sys.exit(main())
