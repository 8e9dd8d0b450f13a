"""The cost of the sandbox in time and memory, compared with alternatives to it.

The aims are:

- a new program returns its first answer within 12 ms at level L2
- a later call takes 0.15 ms at the median, and 0.5 ms at the 99th percentile
- 64 idle programs together take 600 MB
- an oracle call on Battleship takes 20 ms, and 8 trials at once make 60 calls per second on 2 cores
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import opto_gym
from opto_gym.sandbox import CandidateProcess, Sandbox
from opto_gym.sandbox.inside.protocol import LEVELS

MAP = [["."] * 8 for _ in range(8)]
SOURCE = "def act(map, plan):\n    return [len(map) - 1, 0]\n"


def act(map, plan):
    return [len(map) - 1, 0]


@pytest.fixture(scope="module", params=LEVELS)
def box(request):
    with Sandbox(level="L0", most=request.param) as box:
        if box.level != request.param:
            pytest.skip(f"this machine grants {box.level}")
        box.call(SOURCE, "act", [MAP, 1])
        yield box


def test_bare_call(benchmark):
    namespace = {}
    exec(SOURCE, namespace)
    assert benchmark(namespace["act"], MAP, 1) == [7, 0]


def test_later_call(benchmark, box):
    with box.load({"act": SOURCE}) as program:
        assert benchmark.pedantic(program.call, ("act", [MAP, 1]), rounds=5000).value == [7, 0]
    benchmark.extra_info["p99 ms"] = np.quantile(benchmark.stats.stats.data, 0.99) * 1e3


def test_new_program_to_its_first_answer_and_closed(benchmark, box):
    assert benchmark.pedantic(box.call, (SOURCE, "act", [MAP, 1]), rounds=300).value == [7, 0]


def test_new_sandbox_to_its_first_answer(benchmark):
    def cold():
        with Sandbox() as box:
            return box.call(SOURCE, "act", [MAP, 1])

    assert benchmark.pedantic(cold, rounds=5).value == [7, 0]


def test_fresh_interpreter_with_numpy(benchmark):
    command = [sys.executable, "-c", f"import numpy\n{SOURCE}\nprint(act({MAP!r}, 1))"]
    answer = benchmark.pedantic(subprocess.run, (command,), {"capture_output": True, "text": True}, rounds=5)
    assert answer.stdout == "[7, 0]\n"


def test_bubblewrap_with_numpy(benchmark):
    if not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    bwrap = [
        "bwrap",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--unshare-all",
        "--die-with-parent",
        "--clearenv",
    ]
    command = [*bwrap, sys.executable, "-c", f"import numpy\n{SOURCE}\nprint(act({MAP!r}, 1))"]
    answer = benchmark.pedantic(subprocess.run, (command,), {"capture_output": True, "text": True}, rounds=5)
    assert answer.stdout == "[7, 0]\n"


def _answer(channel):
    channel.send(act(*channel.recv()))


def test_new_process_of_multiprocessing(benchmark):
    context = multiprocessing.get_context("fork")

    def call():
        parent_end, child_end = context.Pipe()
        process = context.Process(target=_answer, args=(child_end,))
        process.start()
        parent_end.send((MAP, 1))
        answer = parent_end.recv()
        process.join()
        return answer

    assert benchmark.pedantic(call, rounds=100) == [7, 0]


def test_later_call_in_a_pool_of_multiprocessing(benchmark):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert benchmark(pool.apply, act, (MAP, 1)) == [7, 0]


def test_64_idle_programs(benchmark, box):
    """Starts the programs one after the other. Their memory includes the zygote's; shared pages count once."""
    programs = []

    def start():
        programs.extend(box.load({"act": SOURCE}) for _ in range(64))
        assert all(program.call("act", [MAP, 1]).value == [7, 0] for program in programs)

    try:
        benchmark.pedantic(start, rounds=1)
        if os.geteuid() == 0:  # other users may not read the memory of these processes
            pids = [*(program._pid for program in programs), box._zygote.pid]
            benchmark.extra_info["MB"] = sum(map(_proportional_memory, pids)) / 1e6
    finally:
        for program in programs:
            program.close()


def _proportional_memory(pid):
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))


@pytest.mark.parametrize("env", opto_gym.registered_envs())
def test_share_of_an_oracle_call(benchmark, env, monkeypatch):
    """Measures an evaluation of the start values, and the share of it that waits for candidates' processes."""
    env = opto_gym.make(env)
    env.reset(seed=0)
    start = {p.name: p.start for p in env.unwrapped.parameters}
    durations = []

    def timed(function):
        def run(*args):
            begin = time.perf_counter()
            try:
                return function(*args)
            finally:
                durations.append(time.perf_counter() - begin)

        return run

    for name in ("call", "close", "__init__"):
        monkeypatch.setattr(CandidateProcess, name, timed(getattr(CandidateProcess, name)))

    def call():
        return env.unwrapped.evaluate(start)

    call()
    durations.clear()
    benchmark.pedantic(call, rounds=20)
    benchmark.extra_info["sandbox share"] = sum(durations) / sum(benchmark.stats.stats.data)


def test_battleship_calls_of_8_trials_at_once(benchmark):
    envs = [opto_gym.make("Battleship-v0") for _ in range(8)]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)
    start = {p.name: p.start for p in envs[0].unwrapped.parameters}

    def calls(env):
        for _ in range(10):
            env.unwrapped.evaluate(start)

    def all_at_once():
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(calls, envs))

    benchmark.pedantic(all_at_once, rounds=3, warmup_rounds=1)
    benchmark.extra_info["calls a second"] = 80 / benchmark.stats.stats.median
