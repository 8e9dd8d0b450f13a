"""Runs a program and sees to it that nothing of it stays; runs as a script, between opto_gym and the program.

The program and all that it has started end when the program has ended, at SIGTERM, and when this process's standard
input ends, since opto_gym is gone, killed or not. The status is the program's, as shells give it: 128 + n for signal n.

Arguments: the folder that psutil is in, and the command.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

sys.path.append(sys.argv[1])
import psutil  # type: ignore[import-untyped]

PR_SET_CHILD_SUBREAPER = 36
"""Linux: descendants whose parent ends become this process's children, wherever they have gone; see prctl(2)."""


def end(status: int) -> None:
    """Ends all descendants, and ends."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for one in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    one.kill()
            os.wait()  # until there is none: what was killed may have started others before
    os._exit(status)


def end_with_opto_gym() -> None:
    """Waits for the end of the standard input."""
    while os.read(0, 1):
        pass
    end(1)


if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
signal.signal(signal.SIGTERM, lambda *_: end(1))
try:
    program = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, process_group=0)  # it may end its whole group
except OSError as e:
    sys.exit(f"{sys.argv[2]} can't be run: {e.strerror}")
threading.Thread(target=end_with_opto_gym, daemon=True).start()
pid, status = 0, 0
while pid != program.pid:
    pid, status = os.wait()  # orphans too
code = os.waitstatus_to_exitcode(status)
end(code if code >= 0 else 128 - code)
