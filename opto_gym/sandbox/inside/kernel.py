"""Linux's interfaces for restricting a process, by ctypes: process attributes, seccomp, Landlock, namespaces.

This is our own code since no package that wraps seccomp or Landlock is mature and maintained enough. Sources:
prctl(2), seccomp(2), landlock(7) and Documentation/userspace-api/landlock.rst, unshare(2), user_namespaces(7),
mount(2), open_tree(2), move_mount(2), mount_setattr(2), pivot_root(2), capabilities(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

# <linux/prctl.h>
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
# <linux/sched.h>
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x04000000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
# <linux/mount.h>: of mount(2), and of mount_setattr(2)
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 16384, 1 << 18
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
# system call numbers that x86-64 and arm64 share, and those that differ
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_NUMBERS_BY_MACHINE = {
    "x86_64": {"seccomp": 317, "capset": 126, "pivot_root": 155},
    "aarch64": {"seccomp": 277, "capset": 91, "pivot_root": 41},
}
# Landlock's rights on files; ABI 2, 3 and 5 add one each. ABI 4 adds rights for TCP, 6 scopes for signals and sockets.
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_CHANGE = sum(1 << bit for bit in (1, 4, 5, 7, 8, 13, 14))  # write, remove and make files and folders, move, truncate
_OF_FILES = (1 << 1) | _READ_FILE | (1 << 14)  # those that a rule for a single file may name


def prctl(option: int, value: int) -> bool:
    """Sets one of Linux's process attributes; False where the system does not have it."""
    return _LIBC is not None and bool(_LIBC.prctl(option, value, 0, 0, 0) == 0)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _call(number: int, what: str, *args: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    if _LIBC is None:
        raise OSError(38, "not Linux", what)
    made = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _checked(_LIBC.syscall(ctypes.c_long(number), *made), what)


def _machine_number(what: str) -> int:
    try:
        return _NUMBERS_BY_MACHINE[os.uname().machine][what]
    except KeyError:
        raise OSError(38, f"its number on {os.uname().machine} is not known", what) from None


def drop_capabilities() -> None:
    """Gives up every capability, root's too. Raises OSError."""
    version_3 = struct.pack("=Ii", 0x20080522, 0)
    _call(_machine_number("capset"), "capset", version_3, bytes(24))


def install_filter(program: bytes) -> None:
    """Installs a seccomp filter, packed BPF, on this thread and the processes that it starts. Raises OSError."""
    code = ctypes.create_string_buffer(program, len(program))
    fprog = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    _call(_machine_number("seccomp"), "seccomp", 1, 0, fprog)  # SECCOMP_SET_MODE_FILTER


def landlock_abi() -> int:
    """The version of Landlock that this kernel supports. Raises OSError where it supports none."""
    return _call(_LANDLOCK_CREATE_RULESET, "landlock", None, 0, 1)


def landlock_ruleset(readable: list[str], writable: str | None) -> int:
    """Makes a ruleset that grants only reading.

    Args:
        readable: Files, and folders of which everything may be read.
        writable: A folder whose content may also be changed.

    Returns:
        The ruleset's descriptor.

    Raises:
        OSError: If the kernel has no Landlock, or has it switched off.
    """
    abi = landlock_abi()
    known = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    attributes = struct.pack("=QQQ", known, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    rules = _call(_LANDLOCK_CREATE_RULESET, "landlock", attributes[:size], size, 0)
    granted = [(path, _READ_DIR | _READ_FILE) for path in readable]
    if writable:
        granted.append((writable, _READ_DIR | _READ_FILE | _CHANGE))
    for path, rights in granted:
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            allowed = rights & known if os.path.isdir(path) else rights & known & _OF_FILES
            _call(_LANDLOCK_ADD_RULE, "landlock", rules, 1, struct.pack("=Qi", allowed, fd), 0)
            os.close(fd)
    return rules


def landlock_restrict(rules: int) -> None:
    """Restricts this thread and the processes that it starts by a ruleset. Raises OSError."""
    _call(_LANDLOCK_RESTRICT_SELF, "landlock", rules, 0)


def unshare(flags: int) -> None:
    """Moves this process into new namespaces, given by ``CLONE_NEW*`` flags. Raises OSError."""
    _checked(_LIBC.unshare(flags) if _LIBC else -1, "unshare")


def setns(fd: int, kind: int) -> None:
    """Moves this process into the namespace of a descriptor. Raises OSError."""
    _checked(_LIBC.setns(fd, kind) if _LIBC else -1, "setns")


def mount(kind: str | None, target: str, flags: int, options: str | None = None) -> None:
    """Mounts a file system without a device; with `kind` None, changes the flags of a mount. Raises OSError."""
    given = [None if text is None else text.encode() for text in (kind, target, options)]
    _checked(_LIBC.mount(*given[:2], given[0], ctypes.c_ulong(flags), given[2]) if _LIBC else -1, "mount")


def open_tree(path: str, attributes: int) -> int:
    """Makes a detached mount of what lies at a path and returns its descriptor. Raises OSError."""
    tree = _call(_OPEN_TREE, "open_tree", _AT_FDCWD, path.encode(), 1 | os.O_CLOEXEC | _AT_RECURSIVE)
    set_mount(tree, "", attributes)
    return tree


def move_mount(tree: int, target: str) -> None:
    """Attaches a detached mount at the target. Raises OSError."""
    _call(_MOVE_MOUNT, "move_mount", tree, b"", _AT_FDCWD, target.encode(), 4)  # MOVE_MOUNT_F_EMPTY_PATH


def set_mount(tree: int, path: str, attributes: int) -> None:
    """Adds attributes to the mount of a descriptor, or to that at an absolute path if there is one. Raises OSError."""
    flags = _AT_RECURSIVE if path else _AT_RECURSIVE | _AT_EMPTY_PATH
    wanted = struct.pack("=QQQQ", attributes, 0, 0, 0)
    _call(_MOUNT_SETATTR, "mount_setattr", tree, path.encode(), flags, wanted, len(wanted))


def pivot_root(root: str) -> None:
    """Makes a mounted folder the root and unmounts the old root. Raises OSError."""
    os.chdir(root)
    _call(_machine_number("pivot_root"), "pivot_root", b".", b".")
    _checked(_LIBC.umount2(b".", 2) if _LIBC else -1, "umount2")  # MNT_DETACH
    os.chdir("/")
