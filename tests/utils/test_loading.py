"""Modules of users that can't be loaded: in Python an exception that says what is wrong, on the command line a line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import opto_gym
from opto_gym import registration
from opto_gym.cli import main
from opto_gym.errors import MissingExtra

FILES = {
    "user_fine.py": (
        "from opto_gym.agents import Agent\n"
        "class Mine(Agent):\n    def propose(self, observation): return {}\n"
        "class NotAnAgent: pass\n"
        "from opto_gym import env_factory\n"
        "@env_factory\n"
        "def function(**keywords): return 3\n"
        "def undeclared(**keywords): return 3\n"
        "VALUE = 5\n"
    ),
    "user_import.py": "x = 1\nimport nothing_like_that\n",
    "user_name.py": "from opto_gym import NothingLikeThat\n",
    "user_syntax.py": "x = 1\ndef f(:\n",
    "user_raises.py": "\nraise RuntimeError('two\\nlines')\n",
    "user_exits.py": "import sys\nsys.exit(3)\n",
    "user_library.py": "import json\n\njson.loads('{')\n",
    "user_helper.py": "import user_raises\n",
    "user_extra.py": "import uxsim\n",
    "user_need.py": "from opto_gym.utils.extras import need\nneed('skopt.space')\n",
    "user_bytes.py": b"x = '\xff\xfe'\n",
    "user_null.py": b"x = 1\0",
    "user_package/__init__.py": "",
    "user_package/inner.py": "raise ValueError('inside')\n",
    "sched.py": "class Mine: pass\n",
    "time.py": "class Mine: pass\n",
    "msgspec.py": "class Mine: pass\n",
    "rich/__init__.py": "class Mine: pass\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with modules of a user."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*(p for p in sys.path if p), ""])
    monkeypatch.setitem(sys.modules, "uxsim", None)
    monkeypatch.setitem(sys.modules, "skopt", None)
    monkeypatch.delitem(sys.modules, "skopt.space", raising=False)  # another test may have imported it
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("user_")]:
        del sys.modules[name]


BROKEN = {
    "user_fine:NotAnAgent": (TypeError, r"user_fine.py\): expected a subclass of {base}.*, got the class NotAnAgent$"),
    "user_fine:undeclared": (TypeError, r"user_fine.py\): expected a subclass of {base}.*, got the function undecl"),
    "user_fine:VALUE": (TypeError, r"user_fine.py\): expected a subclass of {base}.*, got an object of type int$"),
    "user_fine:Agnet": (ValueError, r"user_fine.py\) has no 'Agnet'; did you mean 'Agent'\?$"),
    "user_import:Mine": (ImportError, r"ModuleNotFoundError: No module named 'nothing_like_that' .*import.py, line 2"),
    "user_name:Mine": (ImportError, r"ImportError: cannot import name 'NothingLikeThat' .*user_name.py, line 1\)$"),
    "user_syntax:Mine": (ImportError, r"SyntaxError: invalid syntax \(.*user_syntax.py, line 2\)$"),
    "user_raises:Mine": (ImportError, r"RuntimeError: two lines \(.*user_raises.py, line 2\)$"),
    "user_exits:Mine": (ImportError, r"SystemExit: 3 \(.*user_exits.py, line 2\)$"),
    "user_library:Mine": (ImportError, r"JSONDecodeError: .*user_library.py, line 3\)$"),
    "user_helper:Mine": (ImportError, r"'user_helper' can't be imported: RuntimeError: .*user_raises.py, line 2\)$"),
    "user_bytes:Mine": (ImportError, r"SyntaxError: .*user_bytes.py"),
    "user_null:Mine": (ImportError, r"null bytes \(.*user_null.py"),
    "user_package.inner:Mine": (ImportError, r"ValueError: inside \(.*inner.py, line 1\)$"),
    "user_package.outer:Mine": (ValueError, r"there is no module 'user_package.outer' in the working folder"),
    "user_nowhere.deep:Mine": (ValueError, r"there is no module 'user_nowhere' in the working folder"),
    "user_fine.py:Mine": (ValueError, r"expected the name of a module, such as 'user_fine:Mine', got a file in"),
    "./user_fine.py:Mine": (ValueError, r"expected the name of a module, such as 'user_fine:Mine', got a file in"),
    "user_fine:": (ValueError, r"expected 'module:Class', got 'user_fine:'$"),
    ".user_fine:Mine": (ValueError, r"expected 'module:Class', got"),
    "sched:Mine": (ValueError, r"'sched' \(.*python.*\) has no 'Mine'.*/sched.py was not loaded, because Python's "
                   r"own module 'sched' \(.*\) comes first: give your file another name$"),
    "sched:scheduler": (TypeError, r"python.*sched.py\): expected a subclass of .*sched.py was not loaded, because "),
    "sched.inner:Mine": (ValueError, r"no module 'sched.inner'.*sched.py was not loaded, because Python's own"),
    "time:Mine": (ValueError, r"'time' \(no file\) has no 'Mine'.*time.py was not loaded, because Python's own module"),
    "msgspec:Mine": (ValueError, r"msgspec/__init__.py\) has no 'Mine'.*/msgspec.py was not loaded, because another"),
    "rich:Mine": (ValueError, r"/rich/__init__.py was not loaded, because another .* comes first: give your folder an"),
}  # fmt: skip


@pytest.mark.parametrize("path", BROKEN)
def test_in_python_the_exception_says_what_is_wrong(folder, path):
    kind, message = BROKEN[path]
    for base, load in (
        ("opto_gym.agents.Agent", registration.agent_class),
        ("opto_gym.agents.Agent", opto_gym.make_agent),
        ("opto_gym.OptoEnv", registration.env_class),
        ("opto_gym.OptoEnv", opto_gym.make),
    ):
        with pytest.raises(kind, match=message.format(base=base)) as e:
            load(path)
        assert path in str(e.value)
        assert "\n" not in str(e.value)


@pytest.mark.parametrize("option", ["--agent", "--env"])
@pytest.mark.parametrize("path", BROKEN)
def test_on_the_command_line_it_is_one_line(folder, capsys, path, option):
    names = {"--env": "NumericalOptimization-v0", "--agent": "RandomSearch", option: path}
    arguments = [word for pair in names.items() for word in pair]
    assert main(["run", *arguments, "--oracle-calls", "1", "--out", "r"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"opto-gym: {option}: ")
    assert path in line
    assert not (folder / "r").exists()


@pytest.mark.parametrize(
    "command",
    [["envs", "PATH"], ["agents", "PATH"], ["play", "PATH"], ["prompt", "PATH", "OptoPrime"],
     ["prompt", "NumericalOptimization-v0", "PATH"],
     ["compare", "--agent", "Adam", "--against", "PATH", "--env", "NumericalOptimization-v0", "--oracle-calls", "1"]],
)  # fmt: skip
@pytest.mark.parametrize("path", ["user_fine:NotAnAgent", "user_exits:Mine", "user_syntax:Mine", "sched:Mine"])
def test_so_it_is_with_every_command(folder, capsys, command, path):
    assert main([path if word == "PATH" else word for word in command]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert path in said.err


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "user_extra:Mine",
            r"uxsim is not installed, but 'user_extra:Mine' needs it \(.*user_extra.py, line 1\): pip ins",
        ),
        ("user_need:Mine", r"skopt.space is not installed .*: pip install 'opto-gym\[search\]'"),
    ],
)
def test_a_missing_extra_comes_with_what_installs_it(folder, capsys, path, message):
    with pytest.raises(MissingExtra, match=message):
        opto_gym.make_agent(path)
    assert main(["agents", path]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_function_that_makes_no_environment(folder, monkeypatch):
    with pytest.raises(
        TypeError, match=r"'user_fine:function': expected a subclass of .*; the function returned .*int"
    ):
        opto_gym.make("user_fine:function")
    import gymnasium
    import user_fine

    monkeypatch.setattr(user_fine, "function", opto_gym.env_factory(lambda **_: gymnasium.make("CartPole-v1")))
    with pytest.raises(TypeError, match=r"the function returned a CartPoleEnv"):
        opto_gym.make("user_fine:function")


def test_what_is_fine_is_loaded_and_interrupts_pass(folder):
    import user_fine

    assert registration.agent_class("user_fine:Mine") is user_fine.Mine
    (folder / "user_stops.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        registration.agent_class("user_stops:Mine")


def test_the_installed_command_finds_the_working_folder(folder):
    script = os.path.join(os.path.dirname(sys.executable), "opto-gym")
    for path, status in (("user_fine:Mine", 0), ("sched:Mine", 2)):
        done = subprocess.run([script, "agents", path], capture_output=True, encoding="utf-8", cwd=folder)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
