"""The clean process that forks one candidate's process an example."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import time

from . import kernel
from .driver import Driver
from .protocol import CONTROL, receive, write
from .walls import Walls

PRELOADED = (  # what candidates may use, and the driver itself
    "bisect collections copy dataclasses datetime enum functools heapq itertools math operator random re resource "
    "statistics string traceback typing numpy numpy.random"
)


class Programs:
    """The candidates' processes, by the supervisor's number for them."""

    def __init__(self) -> None:
        self.running: dict[int, int] = {}
        self.ended: set[int] = set()

    def end(self, number: int) -> None:
        """Kills one with its group; it was not reaped before, so that its process number was nobody else's."""
        pid = self.running.pop(number, None)
        if pid is not None:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(OSError):
                    kill(pid, signal.SIGKILL)
            self.ended.add(pid)

    def reap(self) -> None:
        """Reaps those that ended, and kills what they left behind: children of ours that are no program."""
        for pid in list(self.ended):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self.ended.discard(pid)
        for pid in children() - set(self.running.values()) - self.ended:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            self.ended.add(pid)

    def end_all(self) -> None:
        """Ends every program, and waits up to a second until they are gone."""
        for number in list(self.running):
            self.end(number)
        end = time.monotonic() + 1
        self.reap()
        while self.ended and time.monotonic() < end:
            time.sleep(0.001)
            self.reap()


def children() -> set[int]:
    """The processes whose parent is this one; on Linux also those that a program's process left behind.

    In namespaces there is no /proc to ask, and no need to: a program's death is that of its whole pid namespace.
    """
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="utf-8") as f:
            return {int(pid) for pid in f.read().split()}
    except OSError:
        return set()


def child(walls: Walls, channel: int, parent: int) -> None:
    """The life of a candidate's process."""
    os.setsid()
    first = receive(channel)
    quiet = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(quiet, fd)
    driver = Driver(channel, first)
    try:
        missing = walls.lock_down(first["limits"], parent)
    except OSError as e:  # no fault of the candidate's
        write(channel, driver.encode({"failed": f"{e.filename}: {e.strerror}"}))
        return
    driver.channel = os.dup2(channel, 3)
    os.closerange(4, 4096)
    # Equal arguments give equal answers, also to a candidate that draws at random without a seed of its own.
    for name in ("random", "numpy.random"):
        if name in sys.modules:
            sys.modules[name].seed(0)
    write(3, driver.encode({"pid": os.getpid(), "missing": missing}))
    gc.enable()
    driver.serve()


def preload() -> None:
    """Imports what candidates may use, once."""
    for name in PRELOADED.split():
        with contextlib.suppress(ImportError):
            __import__(name)


def main(control_fd: int, most: str) -> None:
    """Forks a process for every descriptor that arrives, until the supervisor hangs up.

    Args:
        control_fd: The socket to the supervisor, which gets a report of what is in force first.
        most: The highest level of walls to raise.
    """
    preload()
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's business
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="utf-8") as f:
        f.write("500")  # where memory runs out, candidates go first
    walls = Walls(most)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    control = socket.socket(fileno=control_fd)
    write(control.fileno(), json.dumps(walls.report()).encode())
    # The candidates' processes are copies of this one: nothing of ours lies on their way.
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
        del sys.modules[name]
    programs = Programs()
    waiting = select.poll()
    waiting.register(control, select.POLLIN)
    gc.collect()
    gc.disable()
    gc.freeze()  # forks share these pages
    me = os.getpid()
    while True:
        if programs.ended:
            programs.reap()
        if not waiting.poll(5 if programs.ended else None):
            continue
        message, fds, _, _ = socket.recv_fds(control, CONTROL.size, 1)
        if not message:
            break
        command, number = CONTROL.unpack(message)
        if command == b"e":
            programs.end(number)
            continue
        try:
            pid = walls.fork()
        except OSError:  # no process or memory to be had: the supervisor sees the channel closed
            pid = -1
        if pid == 0:
            try:
                control.close()
                child(walls, fds[0], me)
            finally:
                os._exit(0)
        if pid > 0:
            programs.running[number] = pid
        os.close(fds[0])
    programs.end_all()
