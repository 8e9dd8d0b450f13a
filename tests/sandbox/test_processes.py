"""The processes behind the programs: none waits for another, none is left behind, a dead one is replaced."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from opto_gym.errors import SandboxError, SandboxKilled
from opto_gym.sandbox import Limits, Sandbox, shared
from tests.support.sandbox import LIMIT, below, process_of, run, zygote_of
from tests.support.soak import SOAK


def test_threads_do_not_wait_for_each_other(box):
    begin = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        slow = list(pool.map(lambda _: run(box, "import time; time.sleep(0.3); return 1").value, range(8)))
    assert slow == [1] * 8
    assert time.monotonic() - begin < 8 * 0.3  # one after the other


def test_a_killed_zygote_is_replaced(box):
    assert run(box, "return 1").value == 1
    os.kill(zygote_of(box), signal.SIGKILL)
    assert run(box, "return 1").value == 1
    with box.load({"f": "def f(): return 1"}) as unasked, box.load({"f": "def f(): return 1"}) as asked:
        assert asked.call("f", []).value == 1
        os.kill(zygote_of(box), signal.SIGKILL)
        time.sleep(0.1)
        assert unasked.call("f", []).value == 1  # nothing was lost
        with pytest.raises(SandboxKilled):  # what it remembered was
            asked.call("f", [])


def test_programs_of_a_zygote_that_died_long_ago_are_replaced(box):
    with box.load({"f": "def f(): return 1"}) as first, box.load({"f": "def f(): return 2"}) as second:
        os.kill(zygote_of(box), signal.SIGKILL)
        time.sleep(0.1)
        assert first.call("f", []).value == 1
        os.kill(zygote_of(box), signal.SIGKILL)  # the one after it
        time.sleep(0.1)
        assert second.call("f", []).value == 2


@pytest.mark.skipif(sys.platform != "linux", reason="the tree is found in Linux's /proc")
def test_what_a_program_leaves_behind_is_killed():
    daemon = """
import os, time
def f():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    return os.getpid()
"""
    with Sandbox(Limits(seconds=LIMIT), level="L0", most="L0") as box:  # any better refuses the fork
        result = box.call(daemon, "f", [])
        assert result.value or result.error.type == "BlockingIOError"  # who is not root is refused it here, too
        wait_until(lambda: below(zygote_of(box)) == [])


def test_a_forgotten_program_ends(box):
    program = box.load({"f": "def f(): return 1"})
    assert program.call("f", []).value == 1
    pid = process_of(program)
    del program
    wait_until(lambda: not alive(pid))


def test_a_forked_process_gets_a_zygote_of_its_own(box):
    with box.load({"f": "def f(): return 1"}) as program:
        context = multiprocessing.get_context("fork")
        answers = context.SimpleQueue()
        child = context.Process(
            target=lambda: answers.put((in_fork(box, program), shared().call("f = abs", "f", [-1]).value))
        )
        child.start()
        child.join(20)
        assert answers.get() == (("SandboxError", 2), 1)
        assert program.call("f", []).value == 1


def in_fork(box, program):
    try:
        program.call("f", [])
    except SandboxError as e:
        return type(e).__name__, run(box, "return 2").value


def test_descriptors_over_1024_do(box):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit[1] != resource.RLIM_INFINITY and limit[1] < 1200:
        pytest.skip("this machine allows no more")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1200, limit[1]))
    taken = [os.dup(0)]
    try:
        while taken[-1] < 1050:  # others are open already, how many depends on the tests before
            taken.append(os.dup(0))
        assert run(box, "return 1").value == 1
        assert run(box, "while True: pass").error.type == "TimeLimit"
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def wait_until(true):
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux's /proc")
@pytest.mark.parametrize("rounds", [50, pytest.param(10_000 if SOAK else 2_000, marks=pytest.mark.slow)])
def test_nothing_is_left_behind(rounds):
    deaths = (
        "return 1",
        "import os; os._exit(1)",
        "import ctypes; ctypes.string_at(0)",
        "return [0] * 10**10",
        "open('left', 'w').write('behind')",
        "import os; os.write(3, b'\\xff' * 8)",
        "import os; os.kill(os.getpid(), 9)",
        "while True: pass",
    )
    draw = random.Random(0)
    with Sandbox(Limits(seconds=1.5)) as box:
        run(box, "return 1")
        own = 1 if box.level == "L3" else 0  # in namespaces the zygote waits for a child of its own
        wait_until(lambda: len(below(zygote_of(box))) == own)
        processes = below(zygote_of(box))
        mine, theirs = descriptors(os.getpid()), [descriptors(pid) for pid in processes]
        with ThreadPoolExecutor(4) as pool:
            drawn = draw.choices(deaths, [300, 50, 20, 50, 50, 50, 50, 1], k=rounds - len(deaths))
            bodies = [*deaths, *drawn]
            results = list(pool.map(lambda body: (body, run(box, body)), bodies))
        for body, result in results:
            right = result.value == 1 if body == "return 1" else body.startswith("open") or result.error
            assert right, (body, result)
        wait_until(lambda: below(zygote_of(box)) == processes)
        assert descriptors(os.getpid()) <= mine
        assert [descriptors(pid) for pid in processes] == theirs
        assert not mounts_of_scratch()
        zygote = zygote_of(box)
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in [zygote, *processes]))


def descriptors(pid):
    gc.collect()  # what other tests left to the collector goes at any moment
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:  # an undumpable process of an ordinary user
        return None


def mounts_of_scratch():
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if "scratch" in line]
