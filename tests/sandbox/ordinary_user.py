"""Runs a command as an ordinary user, from a test that runs as root."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

UID = 61234
_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18  # <sched.h>, <sys/mount.h>
_REPOSITORY = Path(__file__).parents[2]


def ordinary_user(command: list[str], **keywords: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command as a user who owns nothing but the folder that HOME and TMPDIR name.

    The user sees this interpreter, its packages and this repository where they lie, also below a folder that is
    root's alone: in a mount namespace of the command's own, such a folder shows nothing but the way to them.

    Args:
        command: The program and its arguments.
        keywords: As of `subprocess.run`.

    Raises:
        PermissionError: If this process is not root, or may not do that on this machine.
    """
    if os.geteuid() != 0:
        raise PermissionError("expected root, who alone can become another user; run the command as it stands")
    with tempfile.TemporaryDirectory(prefix="og_user", ignore_cleanup_errors=True) as home:
        os.chown(home, UID, UID)
        environment = {"HOME": home, "TMPDIR": home, "PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
        keywords = {"env": environment, "cwd": home, "capture_output": True, "text": True} | keywords
        try:
            return subprocess.run(command, preexec_fn=_become, **keywords)
        except subprocess.SubprocessError as e:
            raise PermissionError(f"another user can't be had here: {e}") from e


def _become() -> None:
    """In the child: a mount namespace in which the user can read what the command needs, then the user."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
        texts = [None if text is None else text.encode() for text in (source, target, kind, options)]
        if libc.mount(*texts[:3], ctypes.c_ulong(flags), texts[3]):
            raise OSError(ctypes.get_errno(), "mount", target)

    if libc.unshare(_CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    hidden: dict[Path, list[tuple[Path, int]]] = {}
    for folder in {Path(p).resolve() for p in (sys.base_prefix, sys.prefix, _REPOSITORY)}:
        barred = [p for p in folder.parents if not p.stat().st_mode & 1]
        if barred:
            hidden.setdefault(barred[-1], []).append((folder, os.open(folder, os.O_PATH)))
    for above, folders in hidden.items():
        mount("tmpfs", str(above), "tmpfs", 0, "mode=755,size=64k")
        for folder, fd in folders:
            folder.mkdir(parents=True, exist_ok=True)
            mount(f"/proc/self/fd/{fd}", str(folder), None, _MS_BIND | _MS_REC)
            os.close(fd)
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
