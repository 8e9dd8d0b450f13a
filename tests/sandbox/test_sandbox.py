from __future__ import annotations

import json
import math
import os
import socket
import struct
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opto_gym.errors import BudgetSpent, ProposalError, SandboxError
from opto_gym.sandbox import Limits, Sandbox, shared
from opto_gym.sandbox.channel import Deadline, ProcessEnded, receive
from opto_gym.sandbox.inside.protocol import LENGTH
from tests.support.sandbox import LIMIT, run

BAD = {
    "while True: pass": "TimeLimit: stopped: time limit 0.5 s",
    "import time; time.sleep(60)": "TimeLimit: stopped: time limit 0.5 s",
    "while True:\n    try:\n        while True: pass\n    except BaseException: pass": "TimeLimit",
    "return [0] * 10**10": "MemoryError",
    "return 'x' * 10**10": "MemoryError",
    "import numpy as np; return np.ones(10**9)": "MemoryError: Unable to allocate",
    "return 'x' * (1 << 21)": "OutputLimit: stopped: the answer is over 1048576 bytes",
    "return 10**5000": "OutputLimit: stopped: the answer holds an integer of over 4300 digits",
    "import sys; sys.set_int_max_str_digits(0); return 10**5000": "OutputLimit: stopped: the answer can't be read",
    'import os; os.write(3, b\'\\0\\0\\0\\x11{"n":1,"value":1\')\nwhile True: pass': "TimeLimit",
    "return f(*x)": "RecursionError",
    "import sys; sys.exit(3)": "SystemExit: 3",
    "import os; os._exit(0)": "ProcessDied",
    "import ctypes; ctypes.string_at(0)": "ProcessDied",
    "import os; os.write(3, b'\\0\\0\\0\\0')": "OutputLimit",
    "import os; os.write(3, b'\\xff\\xff\\xff\\xff')": "OutputLimit",
    "import os; os.write(3, b'\\0\\0\\0\\3[1]')": "OutputLimit",
    "import os; os.write(3, b'\\0\\0\\0\\2{}')": "ProcessDied",
    "return {1: 2}": "TypeError: the answer has a dictionary key of type int",
    "return object()": "TypeError: the answer holds a value of type object, which is not plain data",
    "return {1, 2}": "TypeError: the answer holds a value of type set, which is not plain data",
    "return 1j": "TypeError: the answer holds a value of type complex",
    "a = []\na.append(a)\nreturn a": "TypeError: the answer is nested more than 100 deep",
    "return undefined": "NameError: name 'undefined' is not defined (line 2: return undefined)",
    "raise KeyError('k')": "KeyError: 'k' (line 2: raise KeyError('k'))",
    "x = 1 \x0c\nreturn y": "NameError: name 'y' is not defined (line 3: return y)",
    "from math import nothing": "ImportError: cannot import name 'nothing' from 'math'",
    "class E(Exception):\n    def __str__(self): raise ValueError\nraise E": "E: (its message can't be shown)",
    "raise ValueError(object())": "ValueError: <object object> (line 2",
    "x = (": "SyntaxError: '(' was never closed (line 2: x = ()",
}


@pytest.mark.parametrize("body", BAD)
def test_bad_code_is_a_result_in_time_and_the_next_call_is_right(box, body):
    begin = time.monotonic()
    result = run(box, body, 1)
    assert time.monotonic() - begin < LIMIT * box.limits.wall + 2
    assert result.error is not None
    assert str(result.error).startswith(BAD[body])
    assert "opto_gym/" not in str(result.error)
    assert " at 0x" not in str(result.error)
    assert run(box, "return x[0] + 1", 1).value == 2


def test_errors_are_the_same_each_time(box):
    for body in ("while True: pass", "raise ValueError(object())", "return [0] * 10**10"):
        assert run(box, body).error == run(box, body).error


def test_memory_that_fills_up_in_small_pieces_is_an_error_with_its_line():
    with Sandbox(Limits(seconds=5, memory=300 << 20)) as box, box.load({"f": FILL}) as program:
        assert (
            str(program.call("f", [True]).error) == "MemoryError: stopped: memory limit (line 4: a.append([0] * 1000))"
        )
        assert program.call("f", [False]).value == 1


FILL = """def f(x):
    a = []
    while x:
        a.append([0] * 1000)
    return 1
"""


def test_nothing_is_written_to_files(box, tmp_path):
    file = tmp_path / "f"
    file.touch()
    error = run(box, f"with open({str(file)!r}, 'w') as f: f.write('x')").error
    assert error.type in ("OSError", "PermissionError", "FileNotFoundError")
    assert file.read_bytes() == b""


REFUSED = {
    "import socket; socket.socket()": "PermissionError: socket: network is not available to candidate code (line 2",
    "import urllib.request as u; u.urlopen('http://example.com')": "URLError: socket: network is not available",
    "import subprocess; subprocess.run('ls')": "PermissionError: subprocess: other processes are not available",
    "import threading; threading.Thread().start()": "RuntimeError: threads are not available to candidate code",
    "import os; os.fork()": "PermissionError: refused: candidate code may compute, and nothing else (line 2",
    "open('../f', 'w')": "PermissionError: '../f': files are not available to candidate code (line 2",
    "raise PermissionError('of its own')": "PermissionError: of its own (line 2",
    "import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0)": "ProcessDied: the code ended its process, crashed it, or",
}


@pytest.mark.parametrize("body", REFUSED)
def test_what_is_refused_is_told(patient_box, body):
    if patient_box.level == "L0":
        pytest.skip("nothing is refused at L0")
    error = str(run(patient_box, body).error)
    if body.startswith("open") and patient_box.level == "L3":
        assert "Read-only file system" in error or "files are not available" in error
    else:
        assert error.startswith(REFUSED[body])


def test_a_scratch_folder_of_limited_size_for_one_program():
    with Sandbox(Limits(seconds=LIMIT)) as box:
        if box.level != "L3":
            pytest.skip("needs namespaces")
        body = "import os, tempfile\nopen('a', 'w').write('1')\nreturn tempfile.gettempdir(), os.listdir('.')"
        assert run(box, body).value == ["/tmp/scratch", ["a"]]
        assert run(box, "import os; return os.listdir('.')").value == []
        full = run(box, "with open('a', 'wb') as f:\n    for _ in range(20): f.write(bytes(1 << 20))").error
        assert full.type == "OSError"
        assert "No space left" in full.message or "File too large" in full.message
        many = run(box, "for k in range(1000): open(str(k), 'w').close()").error
        assert "No space left" in many.message


def test_prints_are_swallowed(box):
    assert run(box, "print('x' * 10_000_000)\nreturn 5").value == 5


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return x", [1, [2, "ü"]]),
        ("import numpy as np; return np.arange(3), np.float64(0.5), np.bool_(True)", [[0, 1, 2], 0.5, True]),
        ("return {'a': (1, None)}", {"a": [1, None]}),
        ("return float('inf')", math.inf),
        ("return '\\ud800'", "?"),
        ("return '\\U0001f6a2'", "🚢"),
        (
            "import collections as c; return c.Counter('aab'), c.namedtuple('P', 'x y')(1, 2)",
            [{"a": 2, "b": 1}, [1, 2]],
        ),
        ("import enum\nclass E(enum.IntEnum): A = 1\nreturn {'e': E.A}", {"e": 1}),
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


@pytest.mark.parametrize("forged", ['{"n":1,"value":7}', '{"n":2,"value":7}', '{"n":9}', '{"host":"x","args":[]}'])
def test_more_than_one_answer_to_a_call_ends_the_program(box, forged):
    frame = struct.pack(">I", len(forged)) + forged.encode()
    source = f"import os\ndef f(x):\n    if x: os.write(3, {frame!r})\n    return 1\n"
    with box.load({"f": source}) as program:
        first, second = program.call("f", [1]), program.call("f", [0])
        assert first.value in (1, 7, None)
        assert second.error.type == "ProcessDied"
        assert "not asked for" in second.error.message


def test_a_program_that_does_not_listen_runs_out_of_time(box):
    source = """
import signal
def deaf(*_):
    while True: pass
def f(x):
    signal.signal(signal.SIGALRM, deaf)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
def g(x):
    pass
"""
    with box.load({"f": source, "g": source}) as program:
        assert program.call("f", [0]).error is None
        time.sleep(0.2)
        begin = time.monotonic()
        assert program.call("g", ["x" * 5_000_000]).error.type == "TimeLimit"
        assert time.monotonic() - begin < LIMIT * box.limits.wall + 2


def test_no_environment_and_no_descriptor_comes_along(box, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "secret" not in str(run(box, "import os; return dict(os.environ)").value)
    body = """
import os
def is_open(fd):
    try: return bool(os.fstat(fd))
    except OSError: return False
return [fd for fd in range(5000) if is_open(fd)]"""
    assert run(box, body).value == [0, 1, 2, 3]


def test_host_functions():
    def spent():
        raise BudgetSpent("llm_calls")

    def dead():
        raise ProposalError("a KeyError too, but not the candidate's business")

    def slow():
        time.sleep(2 * LIMIT)
        return "slept"

    host = {"add": lambda a, b: a + b, "spent": spent, "dead": dead, "slow": slow}
    with Sandbox(Limits(seconds=LIMIT, host_calls=3), host=host) as box:
        assert run(box, "return add(x[0], 2)", 1).value == 3
        assert str(run(box, "return add(1, 'a')").error).startswith("RuntimeError: TypeError: unsupported operand")
        assert "more than 3 calls" in str(run(box, "for _ in range(5): add(1, 1)").error)
        said = str(run(box, "return add(1, b=2)").error)
        assert said.startswith("TypeError: add takes its arguments by position")
        for call, got in (("add()", 0), ("add(1, 2, 3)", 3)):
            said = str(run(box, f"return {call}").error)
            assert said.startswith(f"RuntimeError: add: expected arguments (a, b), got {got}")
        assert run(box, "return add('x' * (2 << 20), 'y')").error.type == "OutputLimit"
        assert "not plain data" in str(run(box, "return add(object(), 1)").error)
        assert run(box, "import functools; return add.func.__self__.call_host('open', 1)").error.type == "ProcessDied"
        result = run(box, "return slow()")
        assert result.value == "slept"
        assert result.seconds < LIMIT
        with pytest.raises(BudgetSpent):
            run(box, "return spent()")
        with pytest.raises(ProposalError):
            run(box, "return dead()")
        assert run(box, "return add(x[0], 2)", 1).value == 3


def test_arguments_are_plain_data(box):
    assert run(box, "return x", (1, np.float64(0.5)), np.arange(2), {"a": None}).value == [
        [1, 0.5],
        [0, 1],
        {"a": None},
    ]
    with box.load({"f": "def f(x): return x"}) as program:
        for wrong in ({1: 2}, object(), {1}):
            with pytest.raises(TypeError, match="the arguments of f"):
                program.call("f", [wrong])
        assert program.call("f", [1]).value == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=20,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_plain_data_goes_there_and_back(echo, value):
    assert echo.call("f", [value]).value == value


@pytest.fixture(scope="module")
def echo(box):
    with box.load({"f": "def f(x): return x"}) as program:
        yield program


@given(
    st.binary(max_size=200)
    | st.builds(lambda b: struct.pack(">I", len(b)) + b, st.binary() | st.text().map(str.encode))
)
@settings(max_examples=200, deadline=None)
def test_whatever_bytes_come_the_channel_gives_a_message_or_ends(data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.close()
        try:
            assert isinstance(receive(ours, Deadline(5), 1000), dict)
        except ProcessEnded:
            pass


@pytest.mark.parametrize(
    "body", ['{"a":1,"a":2}', "[" * 100_000, '{"a":' * 110 + "1" + "}" * 110, '"x"', "\xff", "[1]"]
)
def test_messages_that_are_not_taken(body):
    data = body.encode("latin-1")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(struct.pack(">I", len(data)) + data)
        with pytest.raises(ProcessEnded, match="can't be read"):
            receive(ours, Deadline(5), 1 << 20)


def test_random_draws_are_the_same_each_time(box):
    body = "import random, numpy as np; return random.random(), np.random.rand(), hash('x')"
    with Sandbox(Limits(seconds=LIMIT)) as other:
        assert run(box, body).value == run(box, body).value == run(other, body).value


def test_levels_and_limits_are_checked():
    for wrong in ({"level": "L4"}, {"most": "none"}):
        with pytest.raises(SandboxError, match="expected a sandbox level of"):
            Sandbox(**wrong)
    with pytest.raises(ValueError, match="seconds"):
        Limits(seconds=0)
    with Sandbox() as box:
        assert box.load({})
    with pytest.raises(SandboxError, match="closed"):
        box.load({})


def test_what_is_in_force_is_told(box):
    found = box.in_force()
    assert json.loads(json.dumps(found)) == found
    assert found["level"] == box.level
    assert found["least"] == "L0"
    assert found["platform"] == sys.platform
    assert found["seccomp"] == (box.level >= "L1")
    assert (found["landlock_abi"] is not None) == (box.level >= "L2")
    assert ("pid" in found["namespaces"]) == (box.level >= "L3")
    assert ("RLIMIT_NPROC" in found["missing"]) == (os.geteuid() == 0 and box.level == "L0")


def test_less_than_was_asked_for_is_refused_and_told_how_to_go_on():
    with Sandbox(most="L1") as box, pytest.raises(SandboxError) as refused:
        box.call("def f(): pass", "f", [])
    for part in ("level L2 or better", "grants L1", "doctor", "--sandbox L1", "may read every file"):
        assert part in str(refused.value)
    with Sandbox(level="L1", most="L1") as box:
        assert box.call("def f(): return 1", "f", []).value == 1


def test_an_example_has_a_limit_of_its_own():
    with Sandbox(Limits(seconds=LIMIT, example=0.6)) as box:
        with box.load({"f": "import time\ndef f(x):\n    while time.process_time() < x: pass"}) as program:
            assert program.call("f", [0.4]).error is None
            error = program.call("f", [0.8]).error
        assert str(error) == "TimeLimit: stopped: time limit 0.6 s of one example"
        assert run(box, "return 1").value == 1


def test_the_shared_sandbox_is_made_once():
    assert shared() is shared()


def test_an_answer_that_has_arrived_counts_however_late_it_is_read():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(LENGTH.pack(11) + b'{"value":7}')
        assert receive(ours, Deadline(-1), 1000) == {"value": 7}
        with pytest.raises(TimeoutError):
            receive(ours, Deadline(-1), 1000)
