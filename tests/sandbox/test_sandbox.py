from __future__ import annotations

import math
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from opto_gym.errors import BudgetSpent, SandboxError
from opto_gym.sandbox import Limits, Sandbox, shared

LIMIT = 0.5


@pytest.fixture(scope="module")
def box():
    with Sandbox(Limits(seconds=LIMIT)) as box:
        yield box


def run(box, body, *args):
    return box.call("def f(*x):\n    " + body.replace("\n", "\n    "), "f", list(args))


BAD = {
    "while True: pass": "TimeLimit: stopped: time limit 0.5 s",
    "import time; time.sleep(60)": "TimeLimit: stopped: time limit 0.5 s",
    "while True:\n    try:\n        while True: pass\n    except BaseException: pass": "TimeLimit",
    "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)": "TimeLimit",
    "import os\nwhile True: os.fork()": "",
    "return [0] * 10**10": "MemoryError",
    "return 'x' * 10**9": "",
    "return 'x' * (1 << 21)": "OutputLimit: stopped: the answer is over 1048576 bytes",
    "return 10**5000": "OutputLimit",
    "return f(*x)": "RecursionError",
    "import sys; sys.exit(3)": "SystemExit: 3",
    "import os; os._exit(0)": "ProcessDied",
    "import ctypes; ctypes.string_at(0)": "ProcessDied",
    "import os; os.write(3, b'\\0\\0\\0\\0')": "OutputLimit",
    "import os; os.write(3, b'\\xff\\xff\\xff\\xff')": "OutputLimit",
    "import os; os.write(3, b'\\0\\0\\0\\3[1]')": "OutputLimit",
    "import os; os.write(3, b'\\0\\0\\0\\2{}')": "ProcessDied",
    "return {1: 2}": "TypeError: the answer has a dictionary key of type int",
    "return object()": "TypeError: the answer holds a object",
    "a = []\na.append(a)\nreturn a": "TypeError: the answer is nested more than 100 deep",
    "return undefined": "NameError: name 'undefined' is not defined (line 2: return undefined)",
    "raise KeyError('k')": "KeyError: 'k' (line 2: raise KeyError('k'))",
    "class E(Exception):\n    def __str__(self): raise ValueError\nraise E": "E: (its message can't be shown)",
    "raise ValueError(object())": "ValueError: <object object> (line 2",
    "x = (": "SyntaxError: '(' was never closed (line 2: x = ()",
    "with open('/tmp/opto_gym_was_here', 'w') as f: f.write('x')": "OSError",
}


@pytest.mark.parametrize("body", BAD)
def test_bad_code_is_a_result_in_time_and_the_next_call_is_right(box, body):
    begin = time.monotonic()
    result = run(box, body, 1)
    assert time.monotonic() - begin < LIMIT + 2
    assert result.error is not None
    assert str(result.error).startswith(BAD[body])
    assert "opto_gym/" not in str(result.error)
    assert " at 0x" not in str(result.error)
    assert run(box, "return x[0] + 1", 1).value == 2


def test_errors_are_the_same_each_time(box):
    for body in ("while True: pass", "raise ValueError(object())", "return [0] * 10**10"):
        assert run(box, body).error == run(box, body).error


def test_prints_are_swallowed(box):
    assert run(box, "print('x' * 10_000_000)\nreturn 5").value == 5


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return x", [1, [2, "ü"]]),
        ("import numpy as np; return np.arange(3), np.float64(0.5), np.bool_(True)", [[0, 1, 2], 0.5, True]),
        ("return {'a': (1, None)}", {"a": [1, None]}),
        ("return float('inf')", math.inf),
        ("return '\\ud800'", "\ud800"),
        ("return 10**30", 10**30),
    ],
)
def test_plain_data_goes_across(box, body, value):
    assert run(box, body, 1, [2, "ü"]).value == value


def test_a_namespace_a_source_and_memory_for_one_program(box):
    sources = {
        "a": "n = 0\ndef a():\n    global n\n    n += 1\n    return n\n",
        "b": "def b():\n    return 'n' in globals()\n",
    }
    with box.load(sources) as program:
        assert [program.call("a", []).value for _ in range(3)] == [1, 2, 3]
        assert program.call("b", []).value is False
        with pytest.raises(KeyError, match="'a', 'b'"):
            program.call("c", [])
    with box.load(sources) as program:
        assert program.call("a", []).value == 1


def test_helpers_and_imports_in_the_source(box):
    source = "import math\ndef helper(x):\n    return math.sqrt(x)\ndef f(x):\n    return helper(x)\n"
    assert box.call(source, "f", [9]).value == 3.0
    assert str(box.call("def g(): pass", "f", []).error) == "NameError: the code defines no function 'f'"


def test_a_dead_program_stays_dead(box):
    with box.load({"f": "def f(x):\n    while x: pass\n    return 1"}) as program:
        assert program.call("f", [0]).value == 1
        assert program.call("f", [1]).error.type == "TimeLimit"
        assert program.call("f", [0]).error.type == "TimeLimit"
    program.close()
    assert program.call("f", [0]).error is not None


def test_an_answer_given_ahead_is_not_taken(box):
    ahead = "import os\ndef f(x):\n    if x:\n        os.write(3, b'\\0\\0\\0\\x0b{\"value\":7}')\n    return 1\n"
    with box.load({"f": ahead}) as program:
        program.call("f", [1])
        time.sleep(0.05)
        assert program.call("f", [0]).error.type == "ProcessDied"


def test_no_environment_and_no_descriptor_comes_along(box, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "secret" not in str(run(box, "import os; return dict(os.environ)").value)
    assert (
        run(box, "import os\nreturn sorted(int(n) for n in os.listdir('/proc/self/fd') if int(n) > 3)[1:]").value == []
    )


def test_host_functions(box):
    def add(a, b):
        return a + b

    def spent():
        raise BudgetSpent("llm_calls")

    with Sandbox(Limits(seconds=LIMIT, host_calls=3), host={"add": add, "spent": spent}) as host:
        assert run(host, "return add(x[0], 2)", 1).value == 3
        assert "TypeError" in str(run(host, "return add(1, 'a')").error)
        assert "more than 3 calls" in str(run(host, "for _ in range(5): add(1, 1)").error)
        with pytest.raises(BudgetSpent):
            run(host, "return spent()")
        assert run(host, "return add(x[0], 2)", 1).value == 3


def test_threads_do_not_wait_for_each_other(box):
    begin = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        slow = list(pool.map(lambda _: run(box, "import time; time.sleep(0.3); return 1").value, range(8)))
    assert slow == [1] * 8
    assert time.monotonic() - begin < 1.5


def test_a_killed_zygote_is_replaced(box):
    assert run(box, "return 1").value == 1
    os.kill(box._zygote.pid, signal.SIGKILL)
    assert run(box, "return 1").value == 1


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(name))
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux's /proc")
def test_nothing_is_left_behind():
    deaths = ("return 1", "import os; os._exit(1)", "import os; os.kill(os.getpid(), 9)", "return [0] * 10**10")
    with Sandbox(Limits(seconds=LIMIT)) as box:
        run(box, "return 1")
        before = len(os.listdir("/proc/self/fd"))
        for k in range(300):
            run(box, deaths[k % 4])
        time.sleep(0.1)
        assert len(os.listdir("/proc/self/fd")) == before
        assert children(box._zygote.pid) == []
        zygote = box._zygote.pid
    assert not os.path.exists(f"/proc/{zygote}")


def test_levels_and_limits_are_checked():
    with pytest.raises(SandboxError, match="L3"):
        Sandbox(level="L3")
    with pytest.raises(ValueError, match="seconds"):
        Limits(seconds=0)
    with Sandbox() as box:
        assert box.in_force()["level"] == "L0"


def test_the_shared_sandbox_is_made_once():
    assert shared() is shared()
