"""Runs the attempts in tests/sandbox/escapes at the levels of the sandbox, and says which got through.

``python -m tests.sandbox.escape_runner [--levels L0,L2] [--as-user] [--json] [name ...]`` prints a table: an attempt a
line, a level a column; then how many of each kind were stopped, and the totals. With ``--as-user``, root lets an
ordinary user do it.

An attempt is a file that holds the candidate's source, which defines ``attack(t)``: true only if it got what it wanted.
``second(t)``, where it is there, is called after it in the same program. `Targets.known` says what is in ``t``.
``STOPPED_AT`` is the lowest level that must stop it, None where none can; up to the level ``THROUGH_AT``, where it is
given, the attempt succeeds, which proves that it is a real one. Besides, this
process looks at itself and at the machine after each attempt: what arrived, what was written, what is left, and whether
the next evaluation gives the right answer.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import ctypes
import dataclasses
import functools
import gc
import json
import os
import resource
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import opto_gym
from opto_gym.sandbox import Limits, Sandbox
from opto_gym.sandbox.inside.protocol import LEVELS
from tests.sandbox.ordinary_user import ordinary_user
from tests.support.sandbox import below, zygote_of

ATTEMPTS = {path.stem: path for path in sorted(Path(__file__).with_name("escapes").glob("*.py"))}
SECONDS = 0.6  # of one call
MANY = 5  # attempts whose names begin alike are a kind of their own in the summary
PRELUDE = '''
import ctypes as _ctypes
def sc(number, *args):
    """A system call by its number on x86-64; -1 where it fails."""
    made = [_ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return _ctypes.CDLL(None).syscall(_ctypes.c_long(number), *made)
'''
AFTERWARDS = """
import builtins, json, math, os, random, statistics, struct, sys
import numpy as np
def f(x):
    left = [] if os.getcwd() == "/" else os.listdir(".")
    return [
        json.loads(json.dumps({"a": x})), struct.unpack(">I", struct.pack(">I", 7))[0], len(x), sum(x), 255 + 1,
        float(np.mean(np.arange(5))), statistics.mean([1, 2, 3]), random.random(), float(np.random.rand()), left,
        sys.getrecursionlimit(), sys.gettrace() is None, math.sqrt(16),
    ]
"""
HERE = "/dev/shm", "/tmp", site.getsitepackages()[0]


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one attempt at one level."""

    through: bool
    why: str
    seconds: float


class Targets:
    """What attempts aim at, and what this process sees of them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="og_escapes"))
        self.folder.chmod(0o755)
        (self.folder / "answers").write_text("SECRET")
        (self.folder / "link").symlink_to("answers")
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self.home = self.folder / "home"  # in the place of the user's own, which no test should change
        os.environ["OPENAI_API_KEY"] = "SECRET"
        self.leaked = os.open(self.folder / "answers", os.O_RDONLY)
        os.set_inheritable(self.leaked, True)
        self.memory = ctypes.create_string_buffer(b"SECRET", 4096)
        self.signals: list[int] = []
        self.before = {
            number: signal.signal(number, lambda n, _: self.signals.append(n))
            for number in (signal.SIGURG, signal.SIGIO)
        }
        self.name = f"og_escapes{os.getpid()}"
        self.listeners = []
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            (socket.AF_UNIX, socket.SOCK_STREAM, str(self.folder / "socket")),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.name}"),
            (socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self.name}d"),
        ):
            server = socket.socket(family, kind)
            server.bind(address)
            server.setblocking(False)
            if kind == socket.SOCK_STREAM:
                server.listen()
            self.listeners.append(server)
        self.renew()

    def renew(self) -> None:
        """Makes good what an attempt broke, and looks at how all is."""
        for path in self.folder.glob("outside*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        self.scratch.chmod(0o777)
        (self.folder / "victim").unlink(missing_ok=True)
        (self.folder / "victim").write_text("a record")
        (self.folder / "answers").write_text("SECRET")
        (self.folder / "late").unlink(missing_ok=True)
        for place in (
            "/dev/shm/og_escape",
            "/tmp/og_escape",
            f"{HERE[2]}/og_escape.py",
            f"{HERE[2]}/og_escape.pth",
            "/left",
        ):
            with contextlib.suppress(OSError):
                os.unlink(place)
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        while self.arrived():
            self.signals.clear()
        self.state = self.look()

    def look(self) -> dict[str, object]:
        """The state of what no attempt may change."""
        victim = self.folder / "victim"
        info = victim.stat() if victim.exists() else None
        return {
            "files beside the test examples": sorted(p.name for p in self.folder.iterdir()),
            "a record": info and (victim.read_text(), info.st_mode, info.st_mtime, info.st_ino, os.listxattr(victim)),
            "test examples": (self.folder / "answers").read_text(),
            "shared folders": [
                [n for n in os.listdir(place) if n.startswith("og_escape") and not n.startswith("og_escapes")]
                for place in HERE
            ],
            "the root": os.path.exists("/left"),
            "home": os.listdir(self.home),
            "limits of the supervisor": [resource.getrlimit(n) for n in range(15)],
            "priority of the supervisor": os.getpriority(os.PRIO_PROCESS, 0),
            "processors of the supervisor": os.sched_getaffinity(0),
            "descriptors of the supervisor": len(os.listdir("/proc/self/fd")),
        }

    def arrived(self) -> str:
        """What came over the network or as a signal."""
        for server in self.listeners:
            with contextlib.suppress(BlockingIOError):
                if server.type == socket.SOCK_STREAM:
                    server.accept()[0].close()
                else:
                    server.recv(100)
                return f"something arrived at {server.getsockname()!r}"
        return f"signals arrived: {self.signals}" if self.signals else ""

    def known(self, box: Sandbox) -> dict[str, object]:
        """``t``, what an attempt is told."""
        return {
            "answers": str(self.folder / "answers"),
            "link": str(self.folder / "link"),
            "victim": str(self.folder / "victim"),
            "outside": str(self.folder / "outside"),
            "late": str(self.folder / "late"),
            "scratch": "." if box.level == "L3" else str(self.scratch),
            "home": str(self.home),
            "package": os.path.dirname(opto_gym.__file__),
            "site_packages": HERE[2],
            "supervisor": os.getpid(),
            "group": os.getpgrp(),
            "zygote": zygote_of(box),
            "address": ctypes.addressof(self.memory),
            "leaked": self.leaked,
            "tcp": self.listeners[0].getsockname()[1],
            "udp": self.listeners[1].getsockname()[1],
            "unix": str(self.folder / "socket"),
            "abstract": self.name,
            "abstract_datagram": f"{self.name}d",
        }

    def close(self) -> None:
        self.renew()
        for server in self.listeners:
            server.close()
        os.close(self.leaked)
        for number, handler in self.before.items():
            signal.signal(number, handler)
        shutil.rmtree(self.folder, ignore_errors=True)


class Range:
    """Targets, and a sandbox a level that all attempts share: what one leaves behind, the next would find."""

    def __init__(self) -> None:
        gc.collect()  # what other tests left to the collector would close its descriptors during an attempt
        self.targets = Targets()
        self.boxes: dict[str, Sandbox] = {}

    def box(self, level: str) -> Sandbox:
        """Exactly this level."""
        if level not in self.boxes:
            box = self.boxes[level] = Sandbox(Limits(seconds=SECONDS), level="L0", most=level)
            box.expected = box.call(AFTERWARDS, "f", [[1, 2]]).value
            settle(box)
            self.targets.renew()
        return self.boxes[level]

    @functools.cached_property
    def levels(self) -> list[str]:
        """Those that this machine grants."""
        return [level for level in LEVELS if self.box(level).level == level]

    def attempt(self, name: str, level: str) -> Verdict:
        """One attempt, and a look at what it did."""
        box, source = self.box(level), ATTEMPTS[name].read_text()
        self.targets.renew()
        whole = f"{PRELUDE}{source}"
        begin = time.monotonic()
        with box.load({"attack": whole, "second": whole}) as program:
            results = [program.call("attack", [self.targets.known(box)])]
            if "\ndef second(" in source:
                results.append(program.call("second", [self.targets.known(box)]))
        seconds = time.monotonic() - begin
        why = self.judge(box, results, seconds)
        said = results[0].error or ""
        return Verdict(bool(why), why or str(said), seconds)

    def judge(self, box: Sandbox, results: list, seconds: float) -> str:
        """Why an attempt got through, or ""."""
        settled = settle(box)  # whatever it is judged by: a process that dies late can still send a signal
        for result in results:
            if result.error is None and result.value:
                return f"it says {str(result.value)[:60]!r}"
        if seconds > (SECONDS * box.limits.wall + 2) * len(results):
            return f"it took {seconds:.1f} s"
        if not settled:
            return "it left processes behind"
        if said := self.targets.arrived():
            return said
        for what, now in self.targets.look().items():
            if now != self.targets.state[what]:
                return f"it changed {what}"
        found = box.call(AFTERWARDS, "f", [[1, 2]])
        settle(box)
        return "" if found.value == box.expected else f"the next evaluation went wrong: {found}"

    def close(self) -> None:
        for box in self.boxes.values():
            box.close()
        self.targets.close()


def claims(name: str) -> tuple[str, str | None, str | None]:
    """What an attempt's file says of it: what it tries, the level that stops it, the level up to which it succeeds."""
    tree = ast.parse(ATTEMPTS[name].read_text())
    said = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id in ("STOPPED_AT", "THROUGH_AT")
    }
    return ast.get_docstring(tree) or "", said["STOPPED_AT"], said["THROUGH_AT"]


def settle(box: Sandbox) -> bool:
    """Waits until no program's process is left."""
    end = time.monotonic() + 2
    while len(below(zygote_of(box))) > (box.level == "L3"):  # there the zygote has a child of its own
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def table(verdicts: dict[str, dict[str, Verdict]], levels: list[str]) -> str:
    """The verdicts as text: an attempt a line, a level a column, and the totals."""
    lines = [f"{'attempt':28}" + "".join(f"{level:9}" for level in levels) + "at the highest level"]
    for name, found in verdicts.items():
        marks = "".join(f"{'through' if found[level].through else 'stopped':9}" for level in levels)
        lines.append(f"{name:28}{marks}{found[levels[-1]].why[:70]}".replace("\n", " "))
    kinds = Counter(name.partition("_")[0] for name in verdicts)
    groups: dict[str, list[dict[str, Verdict]]] = {kind: [] for kind, n in sorted(kinds.items()) if n >= MANY}
    groups["other"] = []
    for name, found in verdicts.items():
        groups.get(name.partition("_")[0], groups["other"]).append(found)
    lines.append("")
    for kind, members in groups.items():
        counts = [sum(not found[level].through for found in members) for level in levels]
        lines.append(f"{kind:18} {len(members):>3} tried  stopped " + "".join(f"{count:<9}" for count in counts))
    for what, count in (
        ("attempts", len),
        ("stopped", lambda found: sum(not v.through for v in found)),
        ("through", lambda found: sum(v.through for v in found)),
    ):
        lines.append(f"{what:28}" + "".join(f"{count([v[level] for v in verdicts.values()]):<9}" for level in levels))
    return "\n".join(lines)


def as_user(*arguments: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
    """This script, run by an ordinary user; see `ordinary_user`."""
    return ordinary_user([sys.executable, "-m", __spec__.name, *arguments], cwd=Path(__file__).parents[2], **keywords)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--levels", help="such as L0,L2 (default: all that this machine grants)")
    parser.add_argument("--as-user", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("name", nargs="*")
    options = parser.parse_args()
    if options.as_user:
        sys.exit(as_user(*(a for a in sys.argv[1:] if a != "--as-user"), capture_output=False).returncode)
    place = Range()
    try:
        levels = options.levels.split(",") if options.levels else place.levels
        verdicts = {}
        for name in options.name or ATTEMPTS:
            verdicts[name] = {level: place.attempt(name, level) for level in levels}
            if sys.stderr.isatty():
                print(f"\r{len(verdicts)}/{len(options.name or ATTEMPTS)} {name:40}", end="", file=sys.stderr)
        if options.json:
            print(json.dumps({n: {lv: dataclasses.astuple(v) for lv, v in f.items()} for n, f in verdicts.items()}))
        else:
            print(table(verdicts, levels))
    finally:
        place.close()


if __name__ == "__main__":
    main()
