from __future__ import annotations

import json
import re
import shutil

import pytest

from opto_gym.errors import RecordError
from opto_gym.leaderboard import report, run
from opto_gym.leaderboard.reporting.page import SMALL_MODEL, html
from opto_gym.leaderboard.results import load, rows

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HERE = "tests.support.agents"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "run <b>one"
    agents = ["RandomSearch", f"{HERE}:Failing", f"{HERE}:Steps"]
    run(
        ["tests.support.tasks:Valley", "tests.support.tasks:Adder"],
        agents,
        out=out,
        seeds=3,
        oracle_calls=4,
        progress=False,
    )
    return out


def test_the_page_is_a_function_of_the_folder(folder):
    first = html("x", load(folder))
    assert html("x", load(folder)) == first


def test_what_the_table_says(folder):
    made = {(r.env, r.agent): r for r in rows(load(folder))}
    row = made["tests.support.tasks:Valley", "RandomSearch"]
    assert row.score.n == 3
    assert row.total("evaluations") == sum(t.summary.evaluations for t in row.trials)
    failed = made["tests.support.tasks:Valley", f"{HERE}:Failing"]
    assert failed.failed == 3
    assert failed.score.mean == 9.0  # scored as the start values: (0 - 3)²
    assert {r.env for r in made.values()} == {"tests.support.tasks:Valley", "tests.support.tasks:Adder"}


def test_report_prints_and_writes(folder, capsys):
    path = report(folder)
    said = capsys.readouterr().out
    assert path == folder / "report.html"
    assert "RandomSearch" in said
    assert "Failed, and scored as the start values" in said
    page = path.read_text()
    assert "<svg" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=[\"']http", page)
    assert "run &lt;b&gt;one" in page
    assert "Content-Security-Policy" in page


def test_hostile_text_is_escaped(folder, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(folder, out)
    for path in out.glob("trials/*/trial.json"):
        data = json.loads(path.read_text())
        evil = "<script>alert(1)</script>"
        data["spec"]["agent"] = evil
        data["ended"] = evil
        path.write_text(json.dumps(data))
    page = html("x", load(out))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_running_trials_are_named_and_not_counted(folder, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(folder, out)
    path = sorted(out.glob("trials/*/trial.json"))[0]
    data = json.loads(path.read_text())
    data["status"] = "running"
    del data["summary"]
    path.write_text(json.dumps(data))
    page = html("x", load(out))
    assert f"Not finished, and not counted: {path.parent.name}" in page
    assert sum(r.score.n for r in rows(load(out))) == sum(r.score.n for r in rows(load(folder))) - 1


def test_a_folder_without_trials(tmp_path):
    with pytest.raises(RecordError, match="holds no trials"):
        report(tmp_path)


def test_the_small_model_is_never_dressed_up(tmp_path):
    from tests.support.openai_server import OpenAIServer

    with OpenAIServer("3") as server:
        run(["tests.support.tasks:Valley"], [f"{HERE}:Asking"], out=tmp_path, seeds=1, oracle_calls=2, model="big",
            base_url=server.url, progress=False)  # fmt: skip
    assert SMALL_MODEL not in html("x", load(tmp_path))
    path = next(tmp_path.glob("trials/*/trial.json"))
    data = json.loads(path.read_text())
    data["spec"]["optimizer_model"] = "local"
    path.write_text(json.dumps(data))
    assert SMALL_MODEL in html("x", load(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [375, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_real_browser(folder, width, scheme):
    from playwright.sync_api import sync_playwright

    page_path = report(folder)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=True, offline=True
        )
        page = context.new_page()
        said, asked = [], []
        page.on("console", lambda m: said.append(m.text))
        page.on("request", lambda r: asked.append(r.url))
        page.goto(page_path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("table").first.is_visible()
        assert page.locator("svg").first.is_visible()
        page.locator("summary").first.click()
        assert page.locator("pre").first.is_visible()
        assert said == []
        assert asked == [page_path.as_uri()]
        browser.close()
