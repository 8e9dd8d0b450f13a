"""The walls one by one: the filter's verdicts on both machines, and what happens where the kernel refuses a wall."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from opto_gym.sandbox import advice
from opto_gym.sandbox.inside import filters
from opto_gym.sandbox.inside.filters import ALLOW, KILL_PROCESS, MISSING, REFUSE

ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
COLUMN = {"x86_64": 0, "aarch64": 1}


def verdict(machine, number, *args, writing=False, architecture=None):
    """What the kernel would do with the filter: the instructions of BPF that it uses."""
    data = struct.pack("=iIQ6Q", number, architecture or ARCHITECTURE[machine], 0, *(*args, *[0] * (6 - len(args))))
    code, at, held = filters.program(machine, writing=writing), 0, 0
    while True:
        op, jump, otherwise, k = code[at]
        at += 1
        if op == 0x20:
            (held,) = struct.unpack_from("=I", data, k)
        elif op == 0x06:
            return k
        else:
            at += jump if {0x15: held == k, 0x35: held >= k, 0x45: bool(held & k)}[op] else otherwise


def table(text, column):
    rows = (row.split() for row in text.replace("\n", " ").split(","))
    return {row[0]: int(row[1 + column]) for row in rows if row[1 + column] != "-"}


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_verdicts(machine):
    column = COLUMN[machine]
    for calls, expected in (
        (filters.ALLOWED, ALLOW),
        (filters.CHANGING_FILES, REFUSE),
        (filters.FATAL, KILL_PROCESS),
    ):
        assert {verdict(machine, n) for n in table(calls, column).values()} == {expected}
    assert {verdict(machine, n, writing=True) for n in table(filters.CHANGING_FILES, column).values()} == {ALLOW}
    known = dict(table(filters.ALLOWED, column) | table(filters.CHANGING_FILES, column) | table(filters.FATAL, column))
    for name, numbers, *_ in (*filters.CONDITIONS, *filters.OPENING):
        known[name] = numbers[column]
    others = set(range(600)) - set(known.values()) - {435}
    assert {verdict(machine, n) for n in others} == {REFUSE}
    assert verdict(machine, 435) == MISSING


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_verdicts_that_depend_on_arguments(machine):
    openat = {"x86_64": 257, "aarch64": 56}[machine]
    for flags, expected in (
        (os.O_RDONLY | os.O_CLOEXEC, ALLOW),
        (os.O_WRONLY, REFUSE),
        (os.O_RDWR, REFUSE),
        (os.O_CREAT, REFUSE),
        (os.O_TRUNC, REFUSE),
        (0o20000000, REFUSE),  # __O_TMPFILE
    ):
        assert verdict(machine, openat, 0, 0, flags) == expected
        assert verdict(machine, openat, 0, 0, flags, writing=True) == ALLOW
    prlimit, fcntl, pair = {"x86_64": (302, 72, 53), "aarch64": (261, 25, 199)}[machine]
    assert verdict(machine, prlimit, 0) == ALLOW
    assert verdict(machine, prlimit, 1) == REFUSE
    assert verdict(machine, fcntl, 5, 2) == ALLOW
    assert verdict(machine, fcntl, 5, 8) == REFUSE  # F_SETOWN aims signals
    assert verdict(machine, pair, 1) == ALLOW
    assert verdict(machine, pair, 2) == REFUSE


def test_calls_of_another_architecture_end_the_process():
    assert verdict("x86_64", 0, architecture=0x40000003) == KILL_PROCESS  # int 0x80: i386's numbers
    assert verdict("x86_64", 0x40000000) == KILL_PROCESS  # x32
    assert verdict("aarch64", 63, architecture=0x40000028) == KILL_PROCESS  # 32-bit arm
    with pytest.raises(KeyError):
        filters.program("riscv64", writing=False)


@pytest.mark.parametrize(
    ("column", "header"),
    [(0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), (1, "/usr/include/asm-generic/unistd.h")],
)
def test_numbers_are_those_of_the_kernels_headers(column, header):
    """arm64 has the generic table."""
    if not os.path.exists(header):
        pytest.skip("needs linux-libc-dev")
    defined = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text()))
    defined = {name: int(number) for name, number in defined.items()}
    if column == 1:
        defined["newfstatat"] = defined["fstatat"]
    known = {}
    for text in (filters.ALLOWED, filters.CHANGING_FILES, filters.FATAL):
        known |= table(text, column)
    known |= {name: n[column] for name, n, *_ in (*filters.CONDITIONS, *filters.OPENING) if n[column] is not None}
    younger = {name for name in known if name not in defined}  # than these headers
    assert younger <= {"memfd_secret", "faccessat2", "process_madvise", "close_range", "mount_setattr"}
    assert {name: n for name, n in known.items() if name in defined} == {
        name: defined[name] for name in known if name in defined
    }


# The features of the kernel denied in turn, as an old kernel, a container or an administrator would do.

DENY = """
import os, struct, sys
from opto_gym.sandbox.inside import kernel
denied, error = {denied}, {error}
code = [(0x20, 0, 0, 0)]
for number in denied:
    code += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error)]
code += [(0x06, 0, 0, 0x7FFF0000)]
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
kernel.install_filter(b"".join(struct.pack("=HBBI", *i) for i in code))
"""
X86_64 = {
    "seccomp": 317,
    "landlock": 444,
    "restrict": 446,
    "unshare": 272,
    "mount": 165,
    "open_tree": 428,
    "capset": 126,
}
EPERM, ENOSYS, EOPNOTSUPP = 1, 38, 95
RUN = (
    "run",
    "--env",
    "Battleship-v0",
    "--agent",
    "HuntTarget",
    "--seeds",
    "1",
    "--oracle-calls",
    "1",
    "--test-scores",
    "never",
    "--quiet",
)


def opto_gym(denied, error, *arguments, cwd):
    """The command line with some system calls denied to it and to all that it starts."""
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers are x86-64's")
    start = DENY.format(denied=[X86_64[name] for name in denied], error=error)
    start += f"from opto_gym.cli import main\nsys.exit(main({list(arguments)!r}))"
    environment = {k: v for k, v in os.environ.items() if k != "OPTO_GYM_SANDBOX"}
    return subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, cwd=cwd, env=environment)


FEATURES = [
    # what is denied, how, the level that is left, what doctor says is missing
    (["seccomp"], EPERM, "L0", "seccomp: seccomp: Operation not permitted"),
    (
        ["landlock"],
        ENOSYS,
        "L1",
        "Landlock: landlock: Function not implemented. The kernel needs CONFIG_SECURITY_LANDLOCK",
    ),
    (["landlock"], EOPNOTSUPP, "L1", "Landlock: landlock: Operation not supported. The kernel has it switched off"),
    (["restrict"], EPERM, "L1", "The profile of the container refuses it"),
    (["unshare"], EPERM, "L2", "namespaces: unshare: Operation not permitted."),
    (["mount"], EPERM, "L2", "namespaces: mount: Operation not permitted."),
    (["open_tree"], ENOSYS, "L2", "namespaces: open_tree: Function not implemented."),
    (["seccomp", "landlock", "unshare"], ENOSYS, "L0", "gVisor"),
]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")
@pytest.mark.parametrize(("denied", "error", "level", "said"), FEATURES)
def test_doctor_and_refusal_where_a_feature_is_denied(denied, error, level, said, tmp_path):
    if opto_gym([], 0, "doctor", cwd=tmp_path).stdout.count("L3;") == 0:
        pytest.skip("this machine grants less than L3 to begin with")
    doctor = opto_gym(denied, error, "doctor", cwd=tmp_path)
    assert re.search(rf"^sandbox +{level}; L2 or better is asked for", doctor.stdout, re.MULTILINE), doctor.stdout
    assert said in doctor.stdout
    assert ("are refused" in doctor.stdout) == (level < "L2")
    run = opto_gym(denied, error, *RUN, "--out", "r", cwd=tmp_path)
    if level >= "L2":
        assert run.returncode == 0, run.stderr
        refused = opto_gym(denied, error, *RUN, "--out", "s", "--sandbox", "L3", cwd=tmp_path)
        assert "level L3 or better" in refused.stderr
    else:
        assert run.returncode == 1
        assert not (tmp_path / "r").exists()  # nothing was begun
        for part in ("L2 or better", f"grants {level}", f"--sandbox {level}", "opto-gym doctor", "may read every file"):
            assert part in run.stderr
        accepted = opto_gym(denied, error, *RUN, "--out", "s", "--sandbox", level, cwd=tmp_path)
        assert accepted.returncode == 0, accepted.stderr


def test_a_wall_that_fails_later_is_no_fault_of_the_candidate(tmp_path):
    """Capabilities can't be given up: at L3 the trial in advance does not see it."""
    source = "from opto_gym.sandbox import Sandbox\nwith Sandbox() as box: box.call('def f(): return 1', 'f', [])"
    start = DENY.format(denied=[X86_64["capset"]], error=EPERM) + source
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, cwd=tmp_path)
    assert "SandboxError: a candidate's process can't be locked in, so it does not run: capset" in done.stderr


def test_numerical_tasks_need_no_sandbox(tmp_path):
    run = [{"Battleship-v0": "NumericalOptimization-v0", "HuntTarget": "Adam"}.get(part, part) for part in RUN]
    done = opto_gym(["seccomp"], EPERM, *run, "--out", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("missing", "part"),
    [
        ("L1 to L3: seccomp, Landlock and namespaces are Linux's, this is darwin", "Linux virtual machine"),
        ("a user without rights (uid 65534): x: Permission denied", "where any user may read it"),
        ("RLIMIT_NPROC", ""),
    ],
)
def test_advice(missing, part, monkeypatch):
    if "darwin" in missing:
        monkeypatch.setattr(sys, "platform", "darwin")
    assert part in advice.how_to_fix(missing)


def test_advice_for_an_old_kernel(monkeypatch):
    monkeypatch.setattr("platform.release", lambda: "5.10.0-30-amd64")
    assert "Linux 5.13 or newer" in advice.how_to_fix("Landlock: landlock: Function not implemented")
