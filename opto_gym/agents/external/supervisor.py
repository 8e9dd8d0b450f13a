"""Runs a program, and ends all processes that it leaves behind. A script that runs between opto_gym and the program.

The program and its descendants are killed when the program has ended, at SIGTERM, and at the end of this process's
standard input, which means that opto_gym has ended or was killed. The exit status is the program's, as a shell gives
it: 128 + n for signal n.

Arguments: the folder that psutil is installed in, then the command.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

if __name__ == "__main__":
    sys.path.append(sys.argv[1])
import psutil  # type: ignore[import-untyped]

PR_SET_CHILD_SUBREAPER = 36
"""Linux: descendants whose parent ends become children of this process; see prctl(2)."""


def end(status: int) -> None:
    """Kills all descendants, and exits."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for one in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    one.kill()
            os.wait()  # again until there is none: a process may have started others before it was killed
    os._exit(status)


def end_with_opto_gym() -> None:
    """Exits at the end of the standard input."""
    while os.read(0, 1):
        pass
    end(1)


def main(command: list[str]) -> None:
    """Runs the command to its end, or until opto_gym ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: end(1))
    try:
        # in a process group of its own, since a program may kill its whole group
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as e:
        sys.exit(f"{command[0]} can't be run: {e.strerror}")
    threading.Thread(target=end_with_opto_gym, daemon=True).start()
    pid, status = 0, 0
    while pid != program.pid:
        pid, status = os.wait()  # also for orphans, which become its children
    code = os.waitstatus_to_exitcode(status)
    end(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main(sys.argv[2:])
