from __future__ import annotations

import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from opto_gym.agents.external import install
from opto_gym.cli import main
from opto_gym.errors import MissingExtra

AUTHORS = (
    *("opto.optimizers", "opto.trace", "textgrad", "dspy", "dspy.teleprompt", "optuna", "gepa", "openevolve"),
    *("openai", "litellm", "black"),
)


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    """Where the environment is to be made, with no package index but a folder of wheels."""
    monkeypatch.setenv("OPTO_GYM_EXTERNAL", str(tmp_path / "env"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    return tmp_path / "env"


@pytest.fixture
def lock(monkeypatch, tmp_path):
    """A lock of one small wheel."""
    path = tmp_path / "requirements.lock"
    monkeypatch.setattr(install, "LOCK", path)
    pin(path, wheel(tmp_path, "1.0"))
    return path


def wheel(folder: Path, version: str) -> Path:
    path, info = folder / f"wee-{version}-py3-none-any.whl", f"wee-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("wee.py", f"VERSION = {version!r}\n")
        z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: wee\nVersion: {version}\nRequires-Dist: huge\n")
        z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(f"{info}/RECORD", f"wee.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def pin(lock: Path, of: Path, sha256: str = "") -> None:
    sha256 = sha256 or subprocess.run(["sha256sum", of], capture_output=True, text=True, check=True).stdout.split()[0]
    lock.write_text(
        f"tzdata==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{'0' * 64}\n"
        f"wee=={of.name.split('-')[1]} \\\n    --hash=sha256:{sha256}\n    # via us\n"
    )


def version_there() -> str:
    command = [install.python(), "-c", "import wee; print(wee.VERSION)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_missing_is_said_with_the_line_that_installs_it(place, capsys):
    with pytest.raises(MissingExtra) as e:
        install.python()
    assert str(e.value) == f"the environment of the authors' packages is missing ({place}): opto-gym external install"
    assert main(["external", "path"]) == 0
    assert capsys.readouterr().out == f"{place}\n"
    assert main(["external", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "dspy                       3.4.1        not installed" in lines
    assert not any(line.endswith(" installed") and "not installed" not in line for line in lines)
    main(["doctor"])
    assert "external packages missing: opto-gym external install\n" in capsys.readouterr().out
    assert not place.exists()


def test_the_folder_is_the_users_own(monkeypatch, tmp_path):
    monkeypatch.delenv("OPTO_GYM_EXTERNAL")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert install.folder() == tmp_path / "opto_gym" / "external"


@pytest.mark.slow
def test_installs_what_the_lock_says_and_once(place, lock, capsys):
    place.mkdir()
    (place / install.STAMP).touch()
    (place / "left").touch()  # by an installation that was ended halfway
    assert main(["external", "install"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{place}\n"
    assert said.err == f"2 packages, 900 MB, go into {place}; that takes a minute or two.\n"
    assert install.python().is_relative_to(place)
    assert version_there() == "1.0"
    assert not (place / "left").exists()
    assert main(["external", "list"]) == 0
    assert [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()] == [
        ["tzdata", "1.0", "if sys_platform == 'win32'"], ["wee", "1.0", "installed"],
    ]  # fmt: skip
    (place / "mine").touch()
    assert main(["external", "install"]) == 0
    assert capsys.readouterr().err == ""
    assert (place / "mine").exists()

    pin(lock, wheel(lock.parent, "2.0"))  # a newer opto_gym
    with pytest.raises(MissingExtra, match=r"is older .*opto-gym external install"):
        install.python()
    assert main(["external", "install"]) == 0
    assert version_there() == "2.0"
    assert not (place / "mine").exists()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["another hash", "no wheel"])
def test_what_pip_refuses_is_said_and_never_taken_for_ready(place, lock, monkeypatch, capsys, fault):
    if fault == "another hash":
        pin(lock, lock.parent / "wee-1.0-py3-none-any.whl", "f" * 64)
    else:
        monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    assert main(["external", "install"]) == 1
    err = capsys.readouterr().err
    assert "the authors' packages could not be installed" in err
    assert "PIP_FIND_LINKS=FOLDER opto-gym external install" in err
    assert {"another hash": "Expected sha256 ffffffff", "no wheel": "No matching distribution found"}[fault] in err
    assert "Traceback" not in err
    with pytest.raises(MissingExtra, match=r"is half-made .*opto-gym external install"):
        install.python()


def test_a_folder_of_something_else_is_left_alone(place, lock, capsys):
    (place / "thesis").mkdir(parents=True)
    assert main(["external", "install"]) == 1
    assert "holds something else than an environment made by `opto-gym external install`" in capsys.readouterr().err
    assert [path.name for path in place.iterdir()] == ["thesis"]


def test_too_small_a_disk_is_said_before_anything_is_made(place, lock, monkeypatch, capsys):
    monkeypatch.setattr(install, "REQUIRED_DISK_BYTES", 10**18)
    assert main(["external", "install"]) == 1
    assert "the authors' packages need 1000000000.0 GB, and" in capsys.readouterr().err
    assert not place.exists()


def test_a_place_that_cannot_be_written_is_said(lock, monkeypatch, capsys):
    monkeypatch.setenv("OPTO_GYM_EXTERNAL", str(lock / "env"))
    assert main(["external", "install"]) == 1
    assert "can't be made in" in capsys.readouterr().err


def test_the_lock_pins_each_package_with_hashes_and_names_no_host():
    text = install.LOCK.read_text()
    pinned = {package.name for package in install.packages()}
    assert {"trace-opt", "textgrad", "dspy", "gepa", "openevolve"} <= pinned
    assert not {"xgboost", "scikit-learn"} & pinned
    assert "://" not in text
    assert text.count(" \\\n    --hash=sha256:") >= len(install.packages())
    assert all(
        line.startswith(("    --hash=sha256:", "    #", "#")) or "==" in line for line in text.splitlines() if line
    )


def test_the_page_names_the_pinned_versions():
    page = (Path(__file__).parents[2] / "docs" / "external.md").read_text()
    named = dict(re.findall(r"^\| \[`(.+?)`\]\(.*?\) \| (\S+) \|", page, re.MULTILINE))
    assert named.keys() == {"trace-opt", "textgrad", "dspy", "gepa", "openevolve"}
    assert named.items() <= {(package.name, package.version) for package in install.packages()}
    assert f"{len(install.packages())} packages" in page


@pytest.mark.slow
def test_the_real_environment_holds_what_the_lock_says_and_all_of_it_imports(place, monkeypatch, tmp_path):
    monkeypatch.undo()
    python = install.python()
    monkeypatch.setenv("HOME", str(tmp_path))  # what they write at import goes there, and into the working directory
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it asks the net for prices otherwise
    monkeypatch.chdir(tmp_path)
    check = [*("-m", "pip", "install", "--dry-run", "--quiet", "--no-index", "--no-deps"), "-r", install.LOCK]
    done = subprocess.run([python, *check], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")  # nothing would be installed
    for module in AUTHORS:
        done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{module}: {done.stderr[-2000:]}"
