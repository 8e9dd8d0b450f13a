"""Tries to run programs from the scratch folder, to set setuid bits, and to change limits: by files and filter."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from opto_gym.sandbox import Limits, Sandbox
from opto_gym.sandbox.inside import filters
from opto_gym.sandbox.inside.filters import ALLOW, REFUSE
from tests.support.sandbox import process_of, run

ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


@pytest.fixture(scope="module")
def box():
    with Sandbox(Limits(seconds=20)) as box:
        if box.level != "L3":
            pytest.skip("needs namespaces")
        yield box


def test_it_is_mounted_without_setuid_devices_and_programs(box):
    with box.load({"f": "def f(): return 1"}) as program:
        assert program.call("f", []).value == 1
        try:
            mounts = Path(f"/proc/{process_of(program)}/mounts").read_text().splitlines()
        except PermissionError:
            pytest.skip("only root may look at the process")
    (scratch,) = [line.split() for line in mounts if line.split()[1] == "/tmp/scratch"]
    assert {"nosuid", "nodev", "noexec"} <= set(scratch[3].split(","))
    (root,) = [line.split() for line in mounts if line.split()[1] == "/"]
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(root[3].split(","))
    for line in mounts:
        assert "nosuid" in line.split()[3].split(",")


def test_no_code_is_mapped_from_a_file_in_it(box):
    body = """
import mmap
with open("a", "wb") as f: f.write(b"\\x90" * 4096)
with open("a", "r+b") as f:
    return len(mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC))
"""
    assert run(box, body.strip()).error.type == "PermissionError"


SETUID = {
    "chmod": "os.chmod('a', 0o4755)",
    "setgid": "os.chmod('a', 0o2755)",
    "fchmod": "os.fchmod(fd, 0o4755)",
    "fchmodat": "os.chmod('a', 0o6755, dir_fd=os.open('.', os.O_RDONLY))",
    "open": "os.umask(0); os.close(os.open('b', os.O_CREAT | os.O_WRONLY, 0o4777))",
    "creat": "import ctypes; ctypes.CDLL(None).creat(b'b', 0o4777)",
    "mkdir": "os.umask(0); os.mkdir('b', 0o2777)",
    "fchmodat2": "import ctypes; ctypes.CDLL(None).syscall(452, -100, b'a', 0o4755, 0)",
}


@pytest.mark.parametrize("how", SETUID)
def test_setuid_and_setgid_are_refused(box, how):
    body = f"""
import os
fd = os.open("a", os.O_CREAT | os.O_RDWR)
try:
    {SETUID[how]}
except PermissionError:
    pass
return [oct(os.stat(n).st_mode) for n in os.listdir(".") if os.stat(n).st_mode & 0o6000]
"""
    result = run(box, body.strip())
    assert result.error is None, result.error
    assert result.value == []


def test_other_permissions_can_be_set(box):
    body = "import os\nos.mkdir('d', 0o700)\nos.chmod('d', 0o750)\nreturn os.stat('d').st_mode & 0o7777"
    assert run(box, body).value == 0o750


def verdict(machine, number, *args, writing=True):
    """What the kernel would do with the filter."""
    data = struct.pack("=iIQ6Q", number, ARCHITECTURE[machine], 0, *(*args, *[0] * (6 - len(args))))
    code, at, held = filters.program(machine, writing=writing), 0, 0
    while True:
        op, jump, otherwise, k = code[at]
        at += 1
        if op == filters.LOAD:
            (held,) = struct.unpack_from("=I", data, k)
        elif op == filters.RETURN:
            return k
        else:
            at += jump if {0x15: held == k, 0x35: held >= k, 0x45: bool(held & k)}[op] else otherwise


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_the_filter_s_verdicts_on_permissions(machine):
    column = list(ARCHITECTURE).index(machine)
    for name, numbers, argument in filters.MODES:
        if numbers[column] is not None:
            for mode in (0o4000, 0o2000, 0o6755):
                assert verdict(machine, numbers[column], *[0] * argument, mode) == REFUSE, name
            assert verdict(machine, numbers[column], *[0] * argument, 0o1777) == ALLOW, name


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_limits_can_be_read_and_not_changed(machine):
    column = list(ARCHITECTURE).index(machine)
    prlimit, setrlimit = (302, 261)[column], (160, 164)[column]
    assert verdict(machine, prlimit, 0, 0, 0) == ALLOW
    for address in (1, 0x7FFF12345678, 1 << 32, 0xFFFFFFFF):
        assert verdict(machine, prlimit, 0, 0, address) == REFUSE
    assert verdict(machine, prlimit, 1, 0, 0) == REFUSE
    assert verdict(machine, setrlimit, 0, 0) == REFUSE


def test_nothing_else_than_the_scratch_folder_can_be_written(box):
    body = """
import os
made = []
for folder in ("/", "/tmp", "/usr", "/usr/lib", "/python", "/dev", os.path.dirname(os.__file__), "/etc"):
    try:
        os.close(os.open(os.path.join(folder, "x"), os.O_CREAT | os.O_WRONLY))
        made.append(folder)
    except OSError:
        pass
return made
"""
    assert run(box, body.strip()).value == []
    assert not os.path.exists("/x")
