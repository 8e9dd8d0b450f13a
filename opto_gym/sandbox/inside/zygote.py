"""The zygote: a clean process from which one process per example is forked."""

from __future__ import annotations

import _sitebuiltins
import builtins
import contextlib
import gc
import importlib.machinery as machinery
import importlib.util
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence

from . import kernel
from .driver import Driver, Explain
from .protocol import CONTROL, ENDED, EXITED, KILLED, RUNS, receive, write
from .walls import Walls

PRELOADED = (  # the modules that candidates use, and those of the driver
    "bisect collections copy dataclasses datetime enum functools heapq itertools math operator random re resource "
    "statistics string traceback typing numpy.random"
)
NEUTRAL = "/python"
"""What candidates see as the folder of the interpreter, in place of a path that names a user and a project."""


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

    def how_ended(self, number: int) -> bytes:
        """An `ENDED` struct about a process, which is not reaped by that."""
        pid = self.running.get(number)
        if pid is None or not hasattr(os, "waitid"):  # macOS before Python 3.13: it can't be told from an exit
            return ENDED.pack(EXITED, 0)
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if found is None:
            return ENDED.pack(RUNS, 0)
        return ENDED.pack(EXITED if found.si_code == os.CLD_EXITED else KILLED, found.si_status & 0xFF)

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


class StandardLibrary(machinery.FileFinder):
    """Finds the modules of a folder of the standard library.

    It lists the folder when it is made: a candidate may not, since the names of installed packages are there too.

    Args:
        folder: The path of the folder.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(
            folder,
            (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
            (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
            (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
        )
        self.find_spec("os")

    def invalidate_caches(self) -> None:
        """Does nothing: the folder can't be listed again."""


def preload(packages: Iterable[str]) -> None:
    """Imports the packages and modules that candidates use, so that their processes need not.

    Args:
        packages: Folders of packages. No other package of the same place can be imported with them.
    """
    for folder in packages:
        name = os.path.basename(folder)
        spec = machinery.PathFinder.find_spec(name, [os.path.dirname(folder)])
        if spec is not None and spec.loader is not None:
            sys.modules[name] = module = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except ImportError:
                del sys.modules[name]
    for name in PRELOADED.split():
        with contextlib.suppress(ImportError):
            __import__(name)
    # what the module `site` defines, which is not imported since it looks for installed packages
    for name in ("quit", "exit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)"))
    builtins.help = _sitebuiltins._Helper()


def forget_paths() -> None:
    """Makes the paths in `sys` neutral. The standard library is found as before; packages only if they are loaded."""
    folders = filter(os.path.isdir, sys.path)
    finders = {f"{NEUTRAL}/lib{k or ''}": StandardLibrary(folder) for k, folder in enumerate(folders)}
    sys.path[:] = finders
    sys.path_importer_cache.clear()
    sys.path_importer_cache.update(finders)
    sys.argv[:], sys.orig_argv[:] = ["python"], ["python"]
    vars(sys).update(dict.fromkeys(("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"), NEUTRAL))
    vars(sys).update(dict.fromkeys(("executable", "_base_executable"), f"{NEUTRAL}/bin/python"))
    sys._stdlib_dir = f"{NEUTRAL}/lib"  # type: ignore[attr-defined]
    names = vars(sys.modules["__main__"])
    names.clear()
    names.update(__name__="__main__", __builtins__=builtins)


def main(control_fd: int, most: str, packages: Sequence[str], explain: Explain) -> None:
    """Forks a process for every descriptor that arrives, until the supervisor closes the control channel.

    Args:
        control_fd: The control channel, over which first a report of what is in force is sent.
        most: The highest level of walls to raise.
        packages: The folders of the packages that candidates may import, and of their shared libraries.
        explain: What is to be added to the message of an exception in a candidate's code.
    """
    preload(packages)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor handles Ctrl-C
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="utf-8") as f:
        f.write("500")  # if memory runs out, the kernel kills candidates first
    walls = Walls(most, packages)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    control = socket.socket(fileno=control_fd)
    write(control.fileno(), json.dumps(walls.report()).encode())
    # Candidates' processes are copies of this one: they shall not find these modules by accident.
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
        del sys.modules[name]
    forget_paths()
    del packages  # a candidate sees the variables of this frame
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
        if command == b"w":
            control.sendall(processes.how_ended(number))
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
