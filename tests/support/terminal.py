"""A person at a terminal: what somebody types, and opto-gym in a real pseudo-terminal."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
import time

COMMAND = [sys.executable, "-c", "import sys; from opto_gym.cli import main; sys.exit(main(sys.argv[1:]))"]


class Typed(io.StringIO):
    """What somebody types in a terminal."""

    def isatty(self):
        return True


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, *arguments):
        self.fd, child = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
        environment.pop("EDITOR", None)
        self.program = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
            env=environment,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the controlling one, for Ctrl-C
        )
        os.close(child)
        self.said, self.seen = "", 0

    def read(self, seconds):
        """Some more of what the screen shows; "" at the end or after so long."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        try:
            data = os.read(self.fd, 1 << 16).decode() if ready else ""
        except OSError:  # the program has ended
            data = ""
        self.said += data
        return data

    def expect(self, text):
        """Waits for a text after what was waited for before."""
        end = time.monotonic() + 60
        while text not in self.said[self.seen :]:
            assert self.read(end - time.monotonic()), f"{text!r} is not in {self.said}"
        self.seen = self.said.index(text, self.seen) + len(text)

    def type(self, text):
        os.write(self.fd, text.encode())

    def status(self):
        """What the program ended with."""
        while self.program.poll() is None:
            self.read(0.1)
        while self.read(0.1):
            pass
        os.close(self.fd)
        return self.program.returncode
