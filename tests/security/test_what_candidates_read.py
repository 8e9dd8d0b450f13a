"""Tries to read from inside the sandbox what is installed beside the interpreter: experts, plug-ins, data, paths."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

import opto_gym
from opto_gym.sandbox import Limits, Sandbox
from tests.support.sandbox import process_of

REPOSITORY = Path(opto_gym.__file__).parents[1]
PACKAGES = Path(np.__file__).parents[1]


@pytest.fixture(scope="module", params=["L2", "L3"])
def walled(request):
    with Sandbox(Limits(seconds=60), level="L0", most=request.param) as box:
        if box.level != request.param:
            pytest.skip(f"this machine grants {box.level}")
        yield box


def ask(box, body, *args):
    """What a function with this body returns; an error fails the test."""
    result = box.call("def f(*x):\n    " + body.strip().replace("\n", "\n    "), "f", list(args))
    assert result.error is None, result.error
    return result.value


IMPORT = """
import importlib
try:
    return [importlib.import_module(x[0]).__name__]
except ModuleNotFoundError as e:
    return str(e)
"""


@pytest.mark.parametrize(
    "name",
    [
        "opto_gym",
        "opto_gym.envs",
        "metaworld.policies",
        "scipy",
        "gymnasium",
        "msgspec",
        "uxsim",
        "pip",
        "tests.support",
    ],
)
def test_no_installed_package_can_be_imported(walled, name):
    assert ask(walled, IMPORT, name) == f"No module named {name.partition('.')[0]!r}"


OPEN = """
import os
read = []
for path in x[0]:
    try:
        with open(path, "rb") as file:
            read.append([path, len(file.read(1))])
    except OSError:
        pass
    try:
        read.append([path, os.listdir(path)])
    except OSError:
        pass
return read
"""


def test_meta_worlds_expert_and_every_other_package_but_numpy_can_t_be_read(walled):
    paths = [str(path) for path in PACKAGES.iterdir() if not path.name.startswith("numpy")]
    expert = importlib.util.find_spec("metaworld")
    if expert is not None:
        paths += map(str, Path(expert.origin).with_name("policies").glob("*.py"))
    found = ask(walled, OPEN, [str(PACKAGES), *paths])
    assert [path for path, _ in found if path != str(PACKAGES)] == []
    assert all({*names} <= {"numpy", "numpy.libs"} for path, names in found if path == str(PACKAGES))


def test_neither_opto_gym_nor_its_data_can_be_read(walled):
    files = [
        str(path) for path in (REPOSITORY / "opto_gym").rglob("*") if path.suffix in (".py", ".json", ".csv", ".gz")
    ]
    assert len(files) > 100
    assert ask(walled, OPEN, [str(REPOSITORY / "opto_gym"), *files]) == []


def test_a_plug_in_and_its_data_are_not_there(tmp_path, monkeypatch):
    plug_in = tmp_path / "opto_plug_in"
    plug_in.mkdir()
    (plug_in / "__init__.py").write_text("EXPERT = 1\n")
    (plug_in / "answers.json").write_text("[1]")
    monkeypatch.syspath_prepend(tmp_path)
    with Sandbox(Limits(seconds=60)) as box:
        assert ask(box, IMPORT, "opto_plug_in") == "No module named 'opto_plug_in'"
        assert ask(box, OPEN, [str(plug_in / "answers.json"), str(plug_in / "__init__.py"), str(tmp_path)]) == []


def test_the_packages_of_the_base_interpreter_are_not_there(walled):
    inside = [str(Path(sysconfig.get_path("stdlib")) / name) for name in ("site-packages", "dist-packages")]
    assert ask(walled, OPEN, [*inside, sysconfig.get_path("stdlib")]) == []
    body = "import pkgutil; return sorted(m.name for m in pkgutil.iter_modules())"
    assert not {"pip", "numpy", "opto_gym"} & set(ask(walled, body))


def test_system_folders_show_shared_libraries_alone(walled):
    wanted = [
        "/usr/lib",
        "/usr/local/lib",
        "/usr/share",
        "/usr/lib/os-release",
        "/usr/lib/python3/dist-packages",
        "/opt",
    ]
    assert ask(walled, OPEN, wanted) == []


def test_the_paths_in_argv_and_sys_are_neutral(walled):
    body = "import sys; return [repr(getattr(sys, n)) for n in dir(sys) if n not in ('modules', 'path_importer_cache')]"
    for text in ask(walled, body):
        for path in (str(Path.home()), str(REPOSITORY), sys.prefix, sys.base_prefix, str(PACKAGES)):
            assert path == "/" or path not in text
    assert ask(walled, "import sys; return sys.argv, sys.orig_argv") == [["python"], ["python"]]


def test_main_holds_nothing_and_frames_name_no_project(walled):
    assert ask(walled, "import __main__; return sorted(vars(__main__))") == ["__builtins__", "__name__"]
    body = """
import sys
frame, names = sys._getframe(), []
while frame is not None:
    names += [frame.f_code.co_filename, *map(repr, frame.f_locals.values())]
    frame = frame.f_back
return names
"""
    assert not [name for name in ask(walled, body) if str(REPOSITORY) in name or "opto_gym" in name]


def test_no_module_of_the_sandbox_itself_is_left(walled):
    names = ask(walled, "import sys; return list(sys.modules)")
    assert not [n for n in names if n.partition(".")[0] in ("inside", "missing_keys", "site", "opto_gym")]


def test_no_finder_of_an_editable_install_or_a_pth_file_is_left(walled):
    names = ask(walled, "import sys; return [getattr(f, '__name__', type(f).__name__) for f in sys.meta_path]")
    assert names == ["BuiltinImporter", "FrozenImporter", "PathFinder"]


def test_metadata_names_no_package(walled):
    assert ask(walled, "import importlib.metadata as m; return [d.name for d in m.distributions()]") == []
    assert ask(walled, "import importlib.metadata as m; return len(m.entry_points())") == 0


def test_proc_self_tells_nothing(walled):
    names = ["cmdline", "environ", "maps", "mounts", "mountinfo", "status", "fd", "map_files", "root", "cwd"]
    assert ask(walled, OPEN, [f"/proc/self/{name}" for name in names]) == []


def test_no_variable_names_a_path(walled):
    assert not [v for v in ask(walled, "import os; return list(os.environ.values())") if "/" in v]


@pytest.mark.parametrize(
    "name",
    [
        *("asyncio", "ctypes", "csv", "decimal", "email.message", "fractions", "json", "sqlite3", "ssl", "unittest"),
        *("xml.etree.ElementTree", "zoneinfo", "concurrent.futures", "lzma", "site"),
        *("numpy.fft", "numpy.linalg", "numpy.ma", "numpy.polynomial", "numpy.testing"),
    ],
)
def test_the_standard_library_and_numpy_are_there(walled, name):
    again = "import importlib; importlib.invalidate_caches()\n" + IMPORT.strip()
    assert ask(walled, again, name) == [name]


def test_what_the_prompt_promises_works(walled):
    assert "Python with NumPy" in opto_gym.make("Battleship-v0").unwrapped.problem.runtime
    assert ask(walled, "import numpy as np; return float(np.linalg.norm([3, 4])), len(np.fft.rfft([1, 2]))") == [5.0, 2]
    assert ask(walled, "try:\n    exit(3)\nexcept SystemExit as e:\n    return e.code") == 3


ELSEWHERE = """
from opto_gym.sandbox import Limits, Sandbox
SOURCE = '''
def f():
    found = []
    for name in ("numpy", "beside", "hooked"):
        try:
            found.append(__import__(name).__name__)
        except ImportError:
            pass
    import sys
    return found, sys.path
'''
with Sandbox(Limits(seconds=60)) as box:
    print(box.call(SOURCE, "f", []).value)
"""


def test_a_virtual_environment_whose_base_lies_elsewhere(tmp_path):
    """Its packages, those that its .pth files name, and what these files run are not there; NumPy is."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    (packages,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (packages / "beside.py").touch()
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "hooked.py").touch()
    (packages / "all.pth").write_text(f"{tmp_path / 'named'}\nimport beside\n{PACKAGES}\n")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [str(tmp_path / "env" / "bin" / "python"), "-c", ELSEWHERE]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.stdout.strip() == "[['numpy'], ['/python/lib', '/python/lib1']]", done.stderr


def test_the_scratch_folder_is_all_that_a_root_of_its_own_shows_of_files():
    with Sandbox(Limits(seconds=60)) as box:
        if box.level != "L3":
            pytest.skip("needs namespaces")
        with box.load({"f": "def f(): return 1"}) as program:
            program.call("f", [])
            try:
                mounts = Path(f"/proc/{process_of(program)}/mounts").read_text()
            except PermissionError:
                pytest.skip("only root may look at the process")
        shown = {line.split()[1] for line in mounts.splitlines()}
        below = {path for path in shown if path.startswith(str(PACKAGES) + os.sep)}
        assert {Path(path).name for path in below} <= {"numpy", "numpy.libs"}
