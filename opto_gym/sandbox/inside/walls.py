"""The walls around candidates' processes: which ones this machine grants, and how they are raised.

The levels: L0 limits of the process, L1 the system call filter, L2 Landlock, L3 namespaces with a root of their own.
The zygote first tries each wall in a child process, so that what the machine refuses, and why, is known before a
candidate runs.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import filters, kernel, view
from .protocol import LEVELS

NOBODY = 65534
_ATTEMPTS = 3
_NAMESPACES = {
    "user": kernel.CLONE_NEWUSER,
    "mount": kernel.CLONE_NEWNS,
    "pid": kernel.CLONE_NEWPID,
    "net": kernel.CLONE_NEWNET,
    "ipc": kernel.CLONE_NEWIPC,
    "uts": kernel.CLONE_NEWUTS,
}


def attempt(*steps: Callable[[], None]) -> str:
    """Takes steps in a child process; returns the reason why one of them failed, or "" if none did.

    A child that something outside kills says nothing about the machine's walls, so that the steps are taken again.
    """
    for _ in range(_ATTEMPTS):
        reason, signal_number = _attempt(*steps)
        if signal_number != signal.SIGKILL:
            return reason
    os._exit(1)  # the supervisor sees that no zygote could be started


def _attempt(*steps: Callable[[], None]) -> tuple[str, int]:
    """(why one of the steps failed, the signal that ended the child process that took them or 0)."""
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
    report = b"".join(iter(lambda: os.read(ours, 1000), b"")).decode(errors="replace")
    os.close(ours)
    ended_by = os.WTERMSIG(os.waitpid(pid, 0)[1])
    return "" if report == "done" else report or "the process that tried it was killed", 0 if report else ended_by


def _end_as(pid: int) -> NoReturn:
    """Waits for a child process and ends this one; also by SIGKILL, so that its parent knows it."""
    if os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL:
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _exit_instead_of_kill(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook: a process that kills itself exits, which its parent can tell from a kill by someone outside."""
    kills = event in ("os.kill", "os.killpg") and args[1] == signal.SIGKILL
    if kills and abs(args[0]) in (0, 1, os.getpid()):
        os._exit(1)


def drop_user() -> None:
    """Changes this process's user to nobody, irrevocably. Raises OSError."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def can_import() -> None:
    """Raises OSError if this process can't read modules of the interpreter and of its packages."""
    for module in (os, sys.modules.get("numpy")):
        if module is not None and module.__file__:
            with open(module.__file__, "rb") as file:
                file.read(1)


def no_new_privileges() -> None:
    """Prevents processes that this one starts from gaining privileges. Raises OSError."""
    if not kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1):
        raise OSError(0, "refused", "no_new_privs")


class Walls:
    """The walls around the candidates of one zygote.

    Making it may move the zygote into namespaces, for which it has to fork: the calling process then waits for its
    child and ends with it; the constructor returns in the child only.

    Args:
        most: The highest level of walls to raise.
        packages: The folders of packages that candidates may read, see `view.Readable`.

    Attributes:
        missing: What this machine does not grant, and why.
        landlock_abi: The version of Landlock in force, or None.
        filter: The packed seccomp filter, or None.
        rules: The descriptor of Landlock's ruleset, or None.
        namespaces: Whether candidates run in namespaces.
        uid_dropped: Whether candidates run as the user nobody.
    """

    def __init__(self, most: str, packages: Sequence[str]) -> None:
        self.missing: list[str] = []
        self.landlock_abi: int | None = None
        self.filter: bytes | None = None
        self.rules: int | None = None
        self.namespaces = False
        self.uid_dropped = False
        self._pid_namespace = -1  # a descriptor of the zygote's own, to which `fork` returns
        wanted = LEVELS.index(most)
        if sys.platform != "linux":
            if wanted:
                self.missing.append(f"L1 to L3: seccomp, Landlock and namespaces are Linux's, this is {sys.platform}")
            return
        readable = view.Readable(packages)
        if wanted >= 3:
            self._try_namespaces(readable)
        if os.geteuid() == 0:
            self._try_drop_user()
        if wanted >= 2:
            self._try_landlock(readable)
        if wanted >= 1:
            self._try_filter()

    @property
    def level(self) -> str:
        """The highest level that is in force together with all levels below it."""
        raised = (self.filter is not None, self.rules is not None, self.namespaces)
        return LEVELS[raised.index(False) if False in raised else 3]

    def report(self) -> dict[str, Any]:
        """What is in force, as plain data; see `Sandbox.in_force`."""
        return {
            "level": self.level,
            "landlock_abi": self.landlock_abi,
            "seccomp": self.filter is not None,
            "namespaces": list(_NAMESPACES) if self.namespaces else [],
            "uid_dropped": self.uid_dropped,
            "missing": self.missing,
        }

    def _try_filter(self) -> None:
        try:
            made = filters.packed(filters.program(os.uname().machine, writing=self.namespaces))
        except KeyError:
            self.missing.append(f"seccomp: the numbers of system calls on {os.uname().machine} are not known")
            return
        reason = attempt(no_new_privileges, lambda: kernel.install_filter(made))
        if reason:
            self.missing.append(f"seccomp: {reason}")
        else:
            self.filter = made

    def _try_landlock(self, readable: view.Readable) -> None:
        writable = os.path.dirname(view.SCRATCH) if self.namespaces else None
        try:
            abi, rules = kernel.landlock_abi(), kernel.landlock_ruleset(readable.rules(), writable)
        except OSError as e:
            self.missing.append(f"Landlock: {e.filename}: {e.strerror}")
            return
        reason = attempt(no_new_privileges, lambda: kernel.landlock_restrict(rules), can_import)
        if reason:
            self.missing.append(f"Landlock: {reason}")
        else:
            self.landlock_abi, self.rules = abi, rules

    def _try_drop_user(self) -> None:
        if reason := attempt(drop_user, can_import):
            self.missing.append(f"a user without rights (uid {NOBODY}): {reason}")
        else:
            drop_user()
            self.uid_dropped = True

    def _try_namespaces(self, readable: view.Readable) -> None:
        reason = ""
        for drop in (True, False) if os.geteuid() == 0 else (False,):
            reason = attempt(
                functools.partial(self._enter, readable, drop), self._become_program, view.scratch, can_import
            )
            if not reason:
                self._enter(readable, drop)
                return
        self.missing.append(f"namespaces: {reason}")

    def _become_program(self) -> None:
        if pid := self.fork():
            _end_as(pid)

    def _enter(self, readable: view.Readable, drop: bool) -> None:
        """Becomes the first process of new namespaces, whose root shows only what is readable.

        Args:
            readable: What to show.
            drop: Whether to become the user nobody first.
        """
        shown = view.View(readable) if drop else None
        if drop:
            drop_user()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # otherwise /proc/self belongs to root
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(sum(_NAMESPACES.values()))
        for file, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{file}", "w", encoding="utf-8") as f:
                f.write(text)
        shown = shown or view.View(readable)
        if pid := os.fork():
            _end_as(pid)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        self._pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        shown.enter()
        self.namespaces, self.uid_dropped = True, drop

    def fork(self) -> int:
        """As `os.fork`. At L3 the child gets a pid namespace of its own, whose processes die with it."""
        if self.namespaces:
            kernel.setns(self._pid_namespace, kernel.CLONE_NEWPID)
            kernel.unshare(kernel.CLONE_NEWPID)
        return os.fork()

    def lock_down(self, limits: dict[str, int], parent: int) -> list[str]:
        """Raises the walls around this process, a new child of the zygote, irrevocably.

        Args:
            limits: ``memory`` in bytes, ``cpu`` in seconds of processor time.
            parent: The zygote's process id.

        Returns:
            The names of limits and attributes of L0 that this machine does not grant.

        Raises:
            OSError: If a wall that the zygote could raise fails now.
        """
        if self.namespaces:
            view.scratch()
        missing = self._limit(limits)
        linux = sys.platform == "linux"
        if not kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL):
            missing.append("parent-death signal")
        if os.getppid() not in (parent, 0):  # the zygote died before that; 0 is a parent in another namespace
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
            kernel.install_filter(self.filter)  # which refuses signals, so that SIGKILL comes from outside
        else:
            sys.addaudithook(_exit_instead_of_kill)
        return missing

    def _limit(self, limits: dict[str, int]) -> list[str]:
        import resource  # missing on Windows, which `Sandbox` refuses

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
            try:  # the soft limit of CPU sends a signal that can be caught; the hard limit kills
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value + 1 if name == "CPU" else value))
            except (AttributeError, ValueError, OSError):
                missing.append(f"RLIMIT_{name}")
        if os.geteuid() == 0 and self.filter is None:
            missing.append("RLIMIT_NPROC")  # the kernel does not limit root's processes
        return missing
