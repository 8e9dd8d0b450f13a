from __future__ import annotations

import dataclasses
import functools
import http.server
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import types

import pytest

import opto_gym
from opto_gym import data
from opto_gym.cli import main
from opto_gym.errors import DataNotFound
from opto_gym.leaderboard import plan


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setenv("OPTO_GYM_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def put(folder, path, examples):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(json.dumps({"examples": examples}))


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The authors' files, at a web server on loopback: the sample's stand for the published ones."""
    site = tmp_path / "site"
    sets = {}
    for name, wanted in data.SETS.items():
        files = {}
        for path in wanted.files:
            examples, sha256 = data.load(path, "sample")
            files[path] = data.File(sha256, len(examples))
            if not wanted.origin.startswith("hub:"):
                copy = site / wanted.origin / path.split("/")[1]
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes((data.SAMPLE / path).read_bytes())
        sets[name] = dataclasses.replace(wanted, files=files)
    for name, wanted in sets.items():
        monkeypatch.setitem(data.SETS, name, wanted)
    handler = functools.partial(
        type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setattr(data.fetching, "GITHUB", f"http://127.0.0.1:{server.server_address[1]}")
        yield site
        server.shutdown()


def test_what_is_missing_is_said_with_the_mend(folder):
    with pytest.raises(DataNotFound, match=r"bbh/navigate\.json is not in .*opto-gym data fetch bbh.*github\.com") as e:
        opto_gym.make("BBH-navigate-v1")
    assert str(folder) in str(e.value)
    assert not folder.exists()  # nothing is fetched by surprise
    assert opto_gym.make("BBH-navigate-v1", data="sample").unwrapped.splits["test"]
    with pytest.raises(ValueError, match="sample"):
        opto_gym.make("BBH-navigate-v1", data="/elsewhere")


def test_the_cache_folder_is_the_default(tmp_path, monkeypatch):
    monkeypatch.delenv("OPTO_GYM_DATA")
    monkeypatch.setenv("OPTO_GYM_CACHE", str(tmp_path))
    assert data.root() == tmp_path / "data"


def test_own_files_are_taken_by_form_and_number(folder):
    own = [{"input": f"Q{k}", "target": "Yes"} for k in range(250)]
    put(folder, "bbh/navigate.json", own)
    env = opto_gym.make("BBH-navigate-v1").unwrapped
    assert env.data_files == {"bbh/navigate.json": data.load("bbh/navigate.json")[1]}
    put(folder, "bbh/navigate.json", own[:-1])
    with pytest.raises(DataNotFound, match="250 examples, got 249"):
        opto_gym.make("BBH-navigate-v1")


def test_trials_on_other_files_have_other_ids(folder, monkeypatch):
    monkeypatch.setenv("OPTO_GYM_MODEL", "local")

    def trial(target):
        put(folder, "bbh/navigate.json", [{"input": f"Q{k}", "target": target} for k in range(250)])
        return list(plan([("BBH-navigate-v1", {})], [("ModelAlone", {})], seeds=1, limits={"oracle_calls": 1}).specs)

    assert trial("Yes") == trial("Yes") != trial("No")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("bbh/navigate.json", "{"),
        ("bbh/navigate.json", '{"examples": [{"input": "a"}]}'),
        ("bbh/navigate.json", '{"examples": [{"input": "a", "target": ""}]}'),
        ("bbh/navigate.json", '{"examples": [{"input": "a", "target": 3}]}'),
        ("gsm8k/test.jsonl", '{"question": "a", "answer": "about three"}\n'),
        ("gsm8k/test.jsonl", '{"question": "a", "answer": "#### three"}\n'),
        ("mmlu/college_physics_test.csv", "question,1,2,3,D\n"),
        ("mmlu/college_physics_test.csv", "question,1,2,3,4,E\n"),
        ("mmlu/college_physics_test.csv", b"\xff\xfe"),
    ],
)
def test_damaged_files_are_refused(folder, path, content):
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataNotFound, match=f"{path} is damaged"):
        data.load(path)
    assert data.state(path.split("/")[0]).startswith(("damaged", "incomplete"))


def test_fetch_brings_the_published_files(folder, published):
    for name in ("bbh", "gsm8k"):
        assert data.state(name) == "missing"
        assert data.fetch(name) == folder / name
        assert data.state(name) == "published"
    assert len(list((folder / "bbh").iterdir())) == 27  # and no leftovers
    path = folder / "gsm8k" / "test.jsonl"
    path.write_text(path.read_text() + "\n")
    assert data.state("gsm8k") == "own files"
    data.fetch("gsm8k")
    assert data.state("gsm8k") == "own files"  # what somebody put there stays


def test_fetch_refuses_other_content(folder, published):
    file = next(published.rglob("navigate.json"))
    file.write_text(file.read_text() + "\n")
    with pytest.raises(DataNotFound, match=r"bbh/navigate\.json came with another SHA-256.*Put these files into"):
        data.fetch("bbh")
    assert data.state("bbh").startswith("incomplete")
    assert not (folder / "bbh" / "navigate.json").exists()


def test_fetch_takes_mmlu_out_of_the_hub_s_archive(folder, published, tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "data.tar", "w") as tar:
        for path in data.SETS["mmlu"].files:
            content = (data.SAMPLE / path).read_bytes()
            info = tarfile.TarInfo(f"data/test/{path.split('/')[1]}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    asked = []

    def download(repo_id, filename, repo_type, local_files_only=False):
        asked.append((repo_id, filename, repo_type))
        if local_files_only and len(asked) == 1:
            raise FileNotFoundError("not in the cache")
        return str(tmp_path / "data.tar")

    hub = types.SimpleNamespace(
        hf_hub_download=download,
        hf_hub_url=lambda repo_id, filename, repo_type: f"https://hub/{repo_id}/{filename}",
        get_hf_file_metadata=lambda url, timeout: asked.append(url),
    )
    monkeypatch.setattr(data.fetching, "need", lambda module: hub)
    data.fetch("mmlu")
    assert data.state("mmlu") == "published"
    file = ("cais/mmlu", "data.tar", "dataset")
    assert asked == [file, "https://hub/cais/mmlu/data.tar", file, file]  # the second file is of the same archive


def test_without_a_network_fetch_says_what_to_put_where(folder, dead_url, monkeypatch, capsys):
    monkeypatch.setattr(data.fetching, "GITHUB", dead_url)
    assert main(["data", "fetch", "gsm8k"]) == 1
    said = capsys.readouterr().err
    assert str(folder) in said
    assert "gsm8k/train.jsonl, gsm8k/test.jsonl" in said
    assert "github.com/openai/grade-school-math" in said


def test_without_a_network_the_hub_is_asked_once(folder, dead_url, tmp_path):
    pytest.importorskip("huggingface_hub")
    settings = {"HF_ENDPOINT": dead_url, "HF_HOME": str(tmp_path / "hub")}
    command = [sys.executable, "-m", "opto_gym", "data", "fetch", "mmlu"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings}, timeout=20)
    assert done.returncode == 1
    assert done.stdout == ""
    (said,) = done.stderr.splitlines()
    assert f"Put these files into {folder}, from https://github.com/hendrycks/test" in said


def test_without_the_hub_s_client_fetch_says_how_to_install_it_and_what_to_put_where(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["data", "fetch", "mmlu"]) == 1
    said = capsys.readouterr().err
    assert "pip install 'opto-gym[data]'" in said
    assert f"Put these files into {folder}" in said
    assert "mmlu/machine_learning_test.csv, mmlu/college_physics_test.csv" in said


def test_a_damaged_file_is_said_with_the_mend(folder, published):
    data.fetch("gsm8k")
    path = folder / "gsm8k" / "test.jsonl"
    path.write_text("{")
    with pytest.raises(DataNotFound, match=r"Delete .*test\.jsonl and run `opto-gym data fetch gsm8k`, or put the pub"):
        data.fetch("gsm8k")
    path.unlink()
    data.fetch("gsm8k")
    assert data.state("gsm8k") == "published"


def test_in_a_terminal_fetch_shows_how_far_it_is(folder, published, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["data", "fetch", "bbh"]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(folder / "bbh")
    assert "100%" in said.err


def test_the_command(folder, capsys):
    assert main(["data", "path"]) == 0
    assert capsys.readouterr().out.strip() == str(folder)
    assert main(["data", "list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in data.SETS)
    assert said.count("missing") == 3
    assert main(["data", "fetch"]) == 2
    assert "of bbh, gsm8k, mmlu" in capsys.readouterr().err
    assert main(["data", "fetch", "gpqa"]) == 1
    assert "['bbh', 'gsm8k', 'mmlu'], got 'gpqa'" in capsys.readouterr().err


def test_the_sample_has_every_file_in_form():
    for wanted in data.SETS.values():
        for path in wanted.files:
            examples, _ = data.load(path, "sample")
            assert 3 <= len(examples) <= 6
            assert len({e["input"] for e in examples}) == len(examples)
    assert sum(f.stat().st_size for f in data.SAMPLE.rglob("*") if f.is_file()) < 100_000
    assert {f.parent.name for f in data.SAMPLE.rglob("LICENSE")} == set(data.SETS)
