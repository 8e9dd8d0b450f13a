"""The walls around candidates' processes: which ones this machine grants, and raising them.

Level by level: L0 the process's own limits, L1 the system-call filter, L2 Landlock, L3 namespaces and a root of its
own. The zygote tries each wall in a process of no consequence first, so that what the machine refuses is known, and
why, before any candidate runs.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from . import filters, kernel, view
from .protocol import LEVELS

NOBODY = 65534
_NAMESPACES = {
    "user": kernel.CLONE_NEWUSER,
    "mount": kernel.CLONE_NEWNS,
    "pid": kernel.CLONE_NEWPID,
    "net": kernel.CLONE_NEWNET,
    "ipc": kernel.CLONE_NEWIPC,
    "uts": kernel.CLONE_NEWUTS,
}


def attempt(*steps: Callable[[], None]) -> str:
    """Takes steps in a process of its own; the reason why one failed, or "" if none did."""
    ours, theirs = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            for step in steps:
                step()
            os.write(theirs, b"done")
        except OSError as e:
            os.write(theirs, f"{e.filename or 'it'}: {e.strerror or e}"[:500].encode())
        finally:
            os._exit(0)
    os.close(theirs)
    said = b"".join(iter(lambda: os.read(ours, 1000), b"")).decode(errors="replace")
    os.close(ours)
    os.waitpid(pid, 0)
    return "" if said == "done" else said or "the process that tried it was killed"


def drop_user() -> None:
    """Becomes nobody for good. Raises OSError."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def can_import() -> None:
    """Raises OSError if this process can't read the interpreter's modules and those of its packages any more."""
    for module in (os, sys.modules.get("numpy")):
        if module is not None and module.__file__:
            with open(module.__file__, "rb") as file:
                file.read(1)


def no_new_privileges() -> None:
    """Nothing that this process starts gains rights. Raises OSError."""
    if not kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1):
        raise OSError(0, "refused", "no_new_privs")


class Walls:
    """What is in force around the candidates of one zygote.

    Args:
        most: No wall above this level is raised.

    Making it may move the calling process into namespaces, which takes a child: the process that called waits for the
    child, ends with it and never returns.
    """

    def __init__(self, most: str) -> None:
        self.missing: list[str] = []
        self.landlock_abi: int | None = None
        self.filter: bytes | None = None
        self.rules: int | None = None
        self.namespaces = False
        self.uid_dropped = False
        self._pids = -1  # the zygote's own pid namespace, to come back to
        wanted = LEVELS.index(most)
        if sys.platform != "linux":
            if wanted:
                self.missing.append(f"L1 to L3: seccomp, Landlock and namespaces are Linux's, this is {sys.platform}")
            return
        readable = view.folders()
        if wanted >= 3:
            self._leave(readable)
        if os.geteuid() == 0:
            self._drop_user()
        if wanted >= 2:
            self._rule(readable)
        if wanted >= 1:
            self._filter()

    @property
    def level(self) -> str:
        """The highest level that is in force with all those below."""
        raised = (self.filter is not None, self.rules is not None, self.namespaces)
        return LEVELS[raised.index(False) if False in raised else 3]

    def report(self) -> dict[str, Any]:
        """What is in force, as plain data."""
        return {
            "level": self.level,
            "landlock_abi": self.landlock_abi,
            "seccomp": self.filter is not None,
            "namespaces": list(_NAMESPACES) if self.namespaces else [],
            "uid_dropped": self.uid_dropped,
            "missing": self.missing,
        }

    def _filter(self) -> None:
        try:
            made = filters.packed(filters.program(os.uname().machine, writing=self.namespaces))
        except KeyError:
            self.missing.append(f"seccomp: the numbers of system calls on {os.uname().machine} are not known")
            return
        why = attempt(no_new_privileges, lambda: kernel.install_filter(made))
        if why:
            self.missing.append(f"seccomp: {why}")
        else:
            self.filter = made

    def _rule(self, readable: list[str]) -> None:
        writable = os.path.dirname(view.SCRATCH) if self.namespaces else None
        try:
            abi, rules = kernel.landlock_abi(), kernel.landlock_ruleset(view.rules(readable), writable)
        except OSError as e:
            self.missing.append(f"Landlock: {e.filename}: {e.strerror}")
            return
        why = attempt(no_new_privileges, lambda: kernel.landlock_restrict(rules), can_import)
        if why:
            self.missing.append(f"Landlock: {why}")
        else:
            self.landlock_abi, self.rules = abi, rules

    def _drop_user(self) -> None:
        if why := attempt(drop_user, can_import):
            self.missing.append(f"a user without rights (uid {NOBODY}): {why}")
        else:
            drop_user()
            self.uid_dropped = True

    def _leave(self, readable: list[str]) -> None:
        why = ""
        for drop in (True, False) if os.geteuid() == 0 else (False,):
            why = attempt(
                functools.partial(self._enter, readable, drop), self._become_program, view.scratch, can_import
            )
            if not why:
                self._enter(readable, drop)
                return
        self.missing.append(f"namespaces: {why}")

    def _become_program(self) -> None:
        if pid := self.fork():
            os.waitpid(pid, 0)
            os._exit(0)

    def _enter(self, readable: list[str], drop: bool) -> None:
        """Becomes the first process of new namespaces with a root that shows what is readable and nothing else."""
        shown = view.View(readable) if drop else None
        if drop:
            drop_user()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else /proc/self would belong to root
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(sum(_NAMESPACES.values()))
        for file, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{file}", "w", encoding="utf-8") as f:
                f.write(text)
        shown = shown or view.View(readable)
        if pid := os.fork():
            os.waitpid(pid, 0)
            os._exit(0)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        self._pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        shown.enter()
        self.namespaces, self.uid_dropped = True, drop

    def fork(self) -> int:
        """As os.fork; in namespaces the child is alone in one for processes: its death is that of all it started."""
        if self.namespaces:
            kernel.setns(self._pids, kernel.CLONE_NEWPID)
            kernel.unshare(kernel.CLONE_NEWPID)
        return os.fork()

    def lock_down(self, limits: dict[str, int], parent: int) -> list[str]:
        """Locks this process in, a new child of the zygote's, for good.

        Args:
            limits: Bytes of memory, and seconds of processor time as ``cpu``.
            parent: The zygote's process number.

        Returns:
            The names of what belongs to L0 and is not granted here.

        Raises:
            OSError: If a wall that is in force can't be raised now.
        """
        if self.namespaces:
            view.scratch()
        missing = self._limit(limits)
        linux = sys.platform == "linux"
        if not kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL):
            missing.append("parent-death signal")
        if os.getppid() not in (parent, 0):  # it died before the signal was asked for; 0 from another namespace
            os._exit(1)
        if linux:
            kernel.drop_capabilities()
            no_new_privileges()
        else:
            missing.append("no_new_privs")
        if not kernel.prctl(kernel.PR_SET_DUMPABLE, 0):
            missing.append("not dumpable")
        if self.rules is not None:
            kernel.landlock_restrict(self.rules)
        if self.filter is not None:
            kernel.install_filter(self.filter)
        return missing

    def _limit(self, limits: dict[str, int]) -> list[str]:
        import resource  # no such module on Windows, where `box` says what to do

        missing = []
        for name, value in (
            ("AS", limits["memory"]),
            ("CPU", limits["cpu"]),
            ("FSIZE", view.SCRATCH_BYTES if self.namespaces else 0),
            ("NOFILE", 64),
            ("NPROC", 0),
            ("CORE", 0),
            ("MEMLOCK", 0),
            ("MSGQUEUE", 0),
        ):
            try:  # the processor's soft limit is a signal that can be caught, the hard one is not
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value + 1 if name == "CPU" else value))
            except (AttributeError, ValueError, OSError):
                missing.append(f"RLIMIT_{name}")
        if os.geteuid() == 0 and self.filter is None:
            missing.append("RLIMIT_NPROC")  # the kernel does not count root's processes
        return missing
