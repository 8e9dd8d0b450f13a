"""The zygote: a clean process from which one process per example is forked."""

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
from .driver import Driver, Explain
from .protocol import CONTROL, receive, write
from .walls import Walls

PRELOADED = (  # the modules that candidates use, and those of the driver
    "bisect collections copy dataclasses datetime enum functools heapq itertools math operator random re resource "
    "statistics string traceback typing numpy numpy.random"
)


class Children:
    """The candidates' processes.

    Attributes:
        running: Their ids by the supervisor's number for them.
        ended: The ids of processes that were killed and are not reaped yet.
    """

    def __init__(self) -> None:
        self.running: dict[int, int] = {}
        self.ended: set[int] = set()

    def end(self, number: int) -> None:
        """Kills a process with its group. Until then it was not reaped, so that its id can't be another process's."""
        pid = self.running.pop(number, None)
        if pid is not None:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(OSError):
                    kill(pid, signal.SIGKILL)
            self.ended.add(pid)

    def reap(self) -> None:
        """Reaps ended processes, and kills the processes that they left behind, which are now children of this one."""
        for pid in list(self.ended):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self.ended.discard(pid)
        for pid in child_pids() - set(self.running.values()) - self.ended:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            self.ended.add(pid)

    def end_all(self) -> None:
        """Ends every process, and waits up to a second until all are gone."""
        for number in list(self.running):
            self.end(number)
        end = time.monotonic() + 1
        self.reap()
        while self.ended and time.monotonic() < end:
            time.sleep(0.001)
            self.reap()


def child_pids() -> set[int]:
    """The ids of this process's children; on Linux also of those that a candidate's process left behind.

    At L3 it is empty: there is no /proc, and no need for it, since a candidate's pid namespace dies with its process.
    """
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="utf-8") as f:
            return {int(pid) for pid in f.read().split()}
    except OSError:
        return set()


def run_candidate(walls: Walls, channel: int, parent: int, explain: Explain) -> None:
    """Runs in a candidate's process: raises the walls and serves calls until the supervisor closes the channel.

    Args:
        walls: The walls that the machine grants.
        channel: The descriptor of the channel to the supervisor.
        parent: The zygote's process id.
        explain: What is to be added to the message of an exception.
    """
    os.setsid()
    first = receive(channel)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    driver = Driver(channel, first, explain)
    try:
        missing = walls.lock_down(first["limits"], parent)
    except OSError as e:  # not an error of the candidate
        write(channel, driver.encode({"failed": f"{e.filename}: {e.strerror}"}))
        return
    driver.channel = os.dup2(channel, 3)
    os.closerange(4, 4096)
    # Equal arguments give equal answers, even for code that draws random numbers without a seed of its own.
    for name in ("random", "numpy.random"):
        if name in sys.modules:
            sys.modules[name].seed(0)
    write(3, driver.encode({"pid": os.getpid(), "missing": missing}))
    gc.enable()
    driver.serve()


def preload() -> None:
    """Imports the modules that candidates use, so that their processes need not."""
    for name in PRELOADED.split():
        with contextlib.suppress(ImportError):
            __import__(name)


def main(control_fd: int, most: str, explain: Explain) -> None:
    """Forks a process for every descriptor that arrives, until the supervisor closes the control channel.

    Args:
        control_fd: The control channel, over which first a report of what is in force is sent.
        most: The highest level of walls to raise.
        explain: What is to be added to the message of an exception in a candidate's code.
    """
    preload()
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor handles Ctrl-C
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="utf-8") as f:
        f.write("500")  # if memory runs out, the kernel kills candidates first
    walls = Walls(most)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    control = socket.socket(fileno=control_fd)
    write(control.fileno(), json.dumps(walls.report()).encode())
    # Candidates' processes are copies of this one: they shall not find these modules by accident.
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
        del sys.modules[name]
    gc.collect()
    gc.disable()
    gc.freeze()  # forked processes share these pages
    serve(control, walls, explain)


def serve(control: socket.socket, walls: Walls, explain: Explain) -> None:
    """Handles the supervisor's commands until it closes the control channel; then ends all processes."""
    processes, zygote = Children(), os.getpid()
    waiting = select.poll()
    waiting.register(control, select.POLLIN)
    while True:
        if processes.ended:
            processes.reap()
        if not waiting.poll(5 if processes.ended else None):
            continue
        message, fds, _, _ = socket.recv_fds(control, CONTROL.size, 1)
        if not message:
            break
        command, number = CONTROL.unpack(message)
        if command == b"e":
            processes.end(number)
            continue
        try:
            pid = walls.fork()
        except OSError:  # no process or memory is left: the supervisor sees the channel closed
            pid = -1
        if pid == 0:
            try:
                control.close()
                run_candidate(walls, fds[0], zygote, explain)
            finally:
                os._exit(0)
        if pid > 0:
            processes.running[number] = pid
        os.close(fds[0])
    processes.end_all()
