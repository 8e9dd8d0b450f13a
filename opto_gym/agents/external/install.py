"""The Python environment of the authors' packages, which `opto-gym external install` makes, apart from opto_gym's own.

Its folder is named by the environment variable ``OPTO_GYM_EXTERNAL``; by default it is ``external`` in the user's data
folder. It holds the packages that ``requirements.lock`` pins, each file with its hash. pip takes them from the index
that it is configured with.
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
from typing import TYPE_CHECKING, NamedTuple

from ...errors import MissingExtra
from ...utils.moved import moved_names
from ...utils.redaction import without_keys

LOCK = Path(__file__).with_name("requirements.lock")
REQUIRED_DISK_BYTES = 1_500_000_000
"""The free disk space that an installation needs: 900 MB for the environment, the rest for downloads being unpacked."""
STAMP = "opto-gym-external"
"""A file in the environment: empty while the environment is made, then with the SHA-256 of the lock file.

A folder without this file was not made by opto_gym, and is never changed.
"""
COMMAND = "opto-gym external install"


class PinnedPackage(NamedTuple):
    """A package that the lock file pins.

    Attributes:
        name: Its name in the package index.
        version: The pinned version.
        where: The machines that it is for, as an environment marker (PEP 508); empty for all.
        installed: Whether this version is installed in the environment.
    """

    name: str
    version: str
    where: str
    installed: bool


def folder() -> Path:
    """The environment's folder, which need not exist."""
    import platformdirs

    named = os.environ.get("OPTO_GYM_EXTERNAL")
    return Path(named) if named else platformdirs.user_data_path("opto_gym") / "external"


def state() -> str:
    """The state of the environment.

    Returns:
        ``"ready"``; ``"missing"``; ``"half-made"``, if its installation did not finish; or ``"older"``, if it was made
        from the lock file of another version of opto_gym.
    """
    stamp = folder() / STAMP
    if not stamp.is_file() or not _interpreter().is_file():
        return "missing"
    made_from = stamp.read_text(encoding="utf-8")
    return "ready" if made_from == _hash() else "older" if made_from else "half-made"


def python() -> Path:
    """The environment's interpreter.

    Raises:
        MissingExtra: If the environment is not ready; the message has the command that makes it.
    """
    if (current := state()) != "ready":
        raise MissingExtra(f"the environment of the authors' packages is {current} ({folder()}): {COMMAND}")
    return _interpreter()


def packages() -> list[PinnedPackage]:
    """The packages that the lock file pins, in order of their names."""
    installed = _installed() if state() == "ready" else set()
    pins = re.findall(r"^([^\s=#]+)==(\S+)(?: ; (.*?))? \\$", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return [PinnedPackage(name, version, where, (name, version) in installed) for name, version, where in pins]


def requested_versions() -> dict[str, str]:
    """The versions, by name, of the packages that the lock file was made for, without their dependencies."""
    return dict(re.findall(r"^([\w-]+)==(\S+)", LOCK.with_suffix(".in").read_text(encoding="utf-8"), re.MULTILINE))


def install() -> Path:
    """Makes the environment, unless it is ready. Reports on standard error, in a terminal with pip's progress.

    Returns:
        The path of the environment's interpreter.

    Raises:
        MissingExtra: If the environment can't be made. An unfinished one never counts as ready, and the next call makes
            it again.
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
    """Makes the environment in a folder, which is emptied first."""
    stamp = where / STAMP
    if where.exists() and not stamp.exists() and any(where.iterdir()):
        raise MissingExtra(
            f"{where} holds something else than an environment made by `{COMMAND}`: name another folder by "
            "OPTO_GYM_EXTERNAL, or move it away"
        )
    if (free := shutil.disk_usage(where.parent).free) < REQUIRED_DISK_BYTES:
        raise MissingExtra(
            f"the authors' packages need {REQUIRED_DISK_BYTES / 1e9:.1f} GB, and {where.parent} has {free / 1e9:.1f} "
            "GB free: make room, or name a folder elsewhere by OPTO_GYM_EXTERNAL"
        )
    print(f"{len(packages())} packages, 900 MB, go into {where}; that takes a minute or two.", file=sys.stderr)
    if where.exists():
        shutil.rmtree(where)
    where.mkdir()
    stamp.touch()
    # -I: packages from PYTHONPATH or the user's site folder neither count as installed nor are changed
    _run([sys.executable, "-I", "-m", "venv", str(where)])
    pip = [str(_interpreter()), "-I", "-m", "pip", "install", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "--require-hashes", "-r", str(LOCK)])  # without dependencies: the lock leaves some out
    stamp.write_text(_hash(), encoding="utf-8")


def _run(command: list[str]) -> None:
    """Runs a command and shows the latest line of its output.

    Raises:
        MissingExtra: If it fails, with the end of its output.
    """
    from rich.console import Console
    from rich.markup import escape

    output: list[str] = []
    with (
        Console(stderr=True).status("making the environment") as status,
        subprocess.Popen(
            command,
            env=without_keys(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as run,
    ):
        for line in run.stdout or ():
            output.append(line.rstrip())
            status.update(escape(output[-1][:100]))
    if run.returncode:
        first = next((n for n, line in enumerate(output) if line.startswith("ERROR:")), 0)
        raise MissingExtra(
            f"the authors' packages could not be installed. `{' '.join(command)}` said:\n"
            + "\n".join(output[first:][-12:])
            + f"\nWithout a package index in reach, a folder of wheels does: PIP_FIND_LINKS=FOLDER {COMMAND}"
        )


def _interpreter() -> Path:
    return folder() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _hash() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def _installed() -> set[tuple[str, str]]:
    """The normalized names and the versions of the packages in the environment.

    They are asked from the environment's own interpreter, which may be another version of Python.
    """
    program = (
        "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"
    )
    command = [str(_interpreter()), "-I", "-c", program]
    done = subprocess.run(command, env=without_keys(os.environ), capture_output=True, encoding="utf-8", check=True)
    return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in json.loads(done.stdout)}


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "Package": "agents.external.install:PinnedPackage",
            "asked": "agents.external.install:requested_versions",
        },
    )
