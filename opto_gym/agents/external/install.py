"""The environment of the authors' packages: made by `opto-gym external install`, apart from opto_gym's own.

Its folder is the one that ``OPTO_GYM_EXTERNAL`` names, else ``external`` in the user's data folder. It holds what
``requirements.lock`` pins, each file with its hash; pip takes it from the index that it is set up with.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from ...errors import MissingExtra

LOCK = Path(__file__).with_name("requirements.lock")
DISK = 1_500_000_000
"""Bytes that have to be free: the environment takes 900 MB, the downloads until they are unpacked the rest."""
STAMP = "opto-gym-external"
"""A file in the environment: empty while it is made, then the lock's SHA-256. A folder without it is never touched."""
COMMAND = "opto-gym external install"


class Package(NamedTuple):
    """A package that the lock pins.

    Attributes:
        name: As in the index.
        version: The one pinned.
        where: The machines that it is for, as an environment marker; empty for all.
        installed: Whether this version is there.
    """

    name: str
    version: str
    where: str
    installed: bool


def folder() -> Path:
    """The environment's folder, whether it is there or not."""
    import platformdirs

    named = os.environ.get("OPTO_GYM_EXTERNAL")
    return Path(named) if named else platformdirs.user_data_path("opto_gym") / "external"


def state() -> str:
    """``ready``, ``missing``, ``half-made``, or ``older``: made from another lock than this version's."""
    stamp = folder() / STAMP
    if not stamp.is_file() or not _interpreter().is_file():
        return "missing"
    made_from = stamp.read_text(encoding="utf-8")
    return "ready" if made_from == _hash() else "older" if made_from else "half-made"


def python() -> Path:
    """The environment's interpreter.

    Raises:
        MissingExtra: If the environment is not ready; the message is the line that makes it.
    """
    if (now := state()) != "ready":
        raise MissingExtra(f"the environment of the authors' packages is {now} ({folder()}): {COMMAND}")
    return _interpreter()


def packages() -> list[Package]:
    """What the lock pins, by name."""
    there = _installed() if state() == "ready" else set()
    pins = re.findall(r"^([^\s=#]+)==(\S+)(?: ; (.*?))? \\$", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return [Package(name, version, where, (name, version) in there) for name, version, where in pins]


def asked() -> dict[str, str]:
    """The versions of the packages that the lock was made for: those by name, without what they need."""
    return dict(re.findall(r"^([\w-]+)==(\S+)", LOCK.with_suffix(".in").read_text(encoding="utf-8"), re.MULTILINE))


def install() -> Path:
    """Makes the environment, unless it is ready; says so on standard error, and what pip does, in a terminal.

    Returns:
        The interpreter.

    Raises:
        MissingExtra: If it can't be made. What was begun is never taken for ready, and made anew the next time.
    """
    from filelock import FileLock

    where = folder().absolute()
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(where.with_name(f"{where.name}.lock")):
            if state() != "ready":
                _make(where)
    except OSError as e:
        raise MissingExtra(f"the environment of the authors' packages can't be made in {where}: {e}") from e
    return python()


def _make(where: Path) -> None:
    stamp = where / STAMP
    if where.exists() and not stamp.exists() and any(where.iterdir()):
        raise MissingExtra(
            f"{where} holds something else than an environment made by `{COMMAND}`: name another folder by "
            "OPTO_GYM_EXTERNAL, or move it away"
        )
    if (free := shutil.disk_usage(where.parent).free) < DISK:
        raise MissingExtra(
            f"the authors' packages need {DISK / 1e9:.1f} GB, and {where.parent} has {free / 1e9:.1f} GB free: make "
            "room, or name a folder elsewhere by OPTO_GYM_EXTERNAL"
        )
    print(f"{len(packages())} packages, 900 MB, go into {where}; that takes a minute or two.", file=sys.stderr)
    if where.exists():
        shutil.rmtree(where)
    where.mkdir()
    stamp.touch()
    # -I: what PYTHONPATH or the user's own packages bring is neither taken for installed nor changed.
    _run([sys.executable, "-I", "-m", "venv", str(where)])
    pip = [str(_interpreter()), "-I", "-m", "pip", "install", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "--require-hashes", "-r", str(LOCK)])  # no dependencies: some are left out of the lock
    stamp.write_text(_hash(), encoding="utf-8")


def _run(command: list[str]) -> None:
    """Runs a command and shows its latest line.

    Raises:
        MissingExtra: If it fails, with the end of what it said.
    """
    from rich.console import Console
    from rich.markup import escape

    said: list[str] = []
    with (
        Console(stderr=True).status("making the environment") as status,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
        ) as run,
    ):
        for line in run.stdout or ():
            said.append(line.rstrip())
            status.update(escape(said[-1][:100]))
    if run.returncode:
        first = next((n for n, line in enumerate(said) if line.startswith("ERROR:")), 0)
        raise MissingExtra(
            f"the authors' packages could not be installed. `{' '.join(command)}` said:\n"
            + "\n".join(said[first:][-12:])
            + f"\nWithout a package index in reach, a folder of wheels does: PIP_FIND_LINKS=FOLDER {COMMAND}"
        )


def _interpreter() -> Path:
    return folder() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _hash() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def _installed() -> set[tuple[str, str]]:
    """Normalized names and versions in the environment, from its own interpreter, which may be of another Python."""
    program = (
        "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"
    )
    done = subprocess.run([_interpreter(), "-I", "-c", program], capture_output=True, encoding="utf-8", check=True)
    return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in json.loads(done.stdout)}
