"""The sandbox in `opto-gym doctor`: what this machine grants, why not more, and how to get more."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NEVER_REFUSED = (
    "native code inside the walls (ctypes, an executable mapping); an attack on the kernel itself; what a process can "
    "measure of its machine (time, load)"
)
BELOW_L3 = "below L3 also: whether a path exists, its size and times, by stat"


def rows(force: Mapping[str, Any]) -> dict[str, str]:
    """The state of the sandbox as the rows of a table: text by name.

    Args:
        force: What `Sandbox.in_force` returns.
    """
    level, least = force["level"], force["least"]
    code = "tasks with code parameters run" if level >= least else "tasks with code parameters are refused"
    found = {
        "sandbox": f"{level}; {least} or better is asked for: {code}",
        "  L1 seccomp": "yes" if force["seccomp"] else "no",
        "  L2 Landlock": f"yes, ABI {force['landlock_abi']}" if force["landlock_abi"] else "no",
        "  L3 namespaces": f"yes: {', '.join(force['namespaces'])}" if force["namespaces"] else "no",
        "  another user": "yes, nobody" if force["uid_dropped"] else "no: candidates have this user's number",
    }
    if force["landlock_abi"] and force["landlock_abi"] < 6:
        found["  L2 Landlock"] += "; signals and abstract sockets are left to seccomp"
    for k, reason in enumerate(force["missing"], 1):
        found[f"  missing {k}"] = f"{reason}. {how_to_fix(reason)}".rstrip()
    found["  not refused"] = NEVER_REFUSED if level >= "L3" else f"{NEVER_REFUSED}; {BELOW_L3}"
    return found


def how_to_fix(missing: str) -> str:
    """What to install or allow on this machine; "" where there is no advice.

    Args:
        missing: One of the texts in the list ``missing`` of `Sandbox.in_force`.
    """
    what, refused = missing.partition(":")[0], "not permitted" in missing or "ermission denied" in missing
    if sys.platform != "linux":
        return "On this system run opto_gym in a Linux virtual machine or container." if what == "L1 to L3" else ""
    if what == "seccomp":
        return "The kernel needs CONFIG_SECCOMP_FILTER; gVisor and some other container runtimes lack it."
    if what == "Landlock":
        if _kernel() < (5, 13):
            return f"Linux 5.13 or newer has it; this is {platform.release()}."
        if refused:
            return f"{_container()}The profile of the container refuses it: Docker 23 or newer allows it."
        if "not supported" in missing:
            return "The kernel has it switched off: add landlock to its boot parameter lsm=."
        return (
            "The kernel needs CONFIG_SECURITY_LANDLOCK, or a container's profile hides it: Docker 23 or newer does not."
        )
    if what == "namespaces":
        for file, bad, how in (
            (
                "kernel/apparmor_restrict_unprivileged_userns",
                "1",
                "=0, or an AppArmor profile with userns for this Python",
            ),
            ("kernel/unprivileged_userns_clone", "0", "=1"),
            ("user/max_user_namespaces", "0", "=10000"),
        ):
            if _sysctl(file) == bad:
                return f"As root: sysctl {file.replace('/', '.')}{how}."
        return (
            f"{_container()}The profile of a container refuses them by default (docker run --security-opt"
            " seccomp=unconfined --security-opt apparmor=unconfined allows them); L2 is a good level without."
        )
    if what.startswith("a user without rights"):
        return "Install Python where any user may read it, such as /usr or /opt; until then the user stays the same."
    return ""


def _kernel() -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", platform.release())[:2]))


def _container() -> str:
    return "This is a container. " if any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv"))) else ""


def _sysctl(file: str) -> str:
    try:
        return Path("/proc/sys", file).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
