from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

import opto_gym
from opto_gym.cli import gallery, main
from tests.support.openai_server import OpenAIServer
from tests.support.tasks import Valley

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HERE = "tests.leaderboard.test_gallery"


class Hostile(Valley):
    """A task with <script>alert(1)</script> in its page."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}

    def judge(self, output, example):
        said = opto_gym.Feedback(output)
        part = opto_gym.problems.Part("reward", "<img src=x onerror=alert(1)>" + "long " * 200)
        return type(said)(output, (part, part._replace(content="a second one")))

    def render(self):
        return np.full((40, 60, 3), 200, np.uint8)


class Broken(Valley):
    def __init__(self, **keywords):
        raise opto_gym.errors.MissingExtra("uxsim is not installed: pip install 'opto-gym[traffic]'")


class Modelled(Valley):
    """A task that asks a model."""

    uses_model = True

    def judge(self, output, example):
        return opto_gym.Feedback(float(self.llm.chat([{"role": "user", "content": "?"}]).text))


class Bug(Valley):
    def forward(self, p, example):
        raise NameError("undefined_name")


@pytest.fixture
def few(monkeypatch):
    names = {
        "NumericalOptimization-v0": ["Another-v0"],
        "tests.support.tasks:Adder": [],
        f"{HERE}:Hostile": [],
        f"{HERE}:Broken": [],
        f"{HERE}:Bug": [],
        f"{HERE}:Modelled": [],
    }
    monkeypatch.setattr(gallery, "families", lambda: names)


def test_a_card_a_family():
    found = gallery.families()
    names = [name for first, others in found.items() for name in (first, *others)]
    assert sorted(names) == opto_gym.registered_envs()
    assert len({opto_gym.spec(name).entry_point for name in found}) == len(found)


@pytest.fixture(autouse=True)
def model(monkeypatch):
    with OpenAIServer("4.5") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPTO_GYM_MODEL", "scripted")
        yield


def test_what_the_cards_say(few):
    program, adder, hostile, broken, bug, modelled = gallery.cards(progress=False)
    assert program.others == ("Another-v0",)
    assert (program.scores.reference, program.scores.examples, program.scores.of) == (0.0, 1, 1)
    assert program.scores.floor > 0
    assert program.picture.dtype == np.uint8
    assert program.pictured == "reference solution"
    assert 0 < program.seconds < 1
    assert [kind for kind, _ in program.feedback] == ["reward", "future_positive"]
    assert (adder.scores.floor, adder.scores.reference, adder.scores.examples) == (0.0, 1.0, 5)
    assert adder.picture is None
    assert (hostile.scores.reference, hostile.pictured) == (None, "start values")
    ((_, text),) = hostile.feedback
    assert text.endswith("characters more)")
    assert broken.failed == "uxsim is not installed: pip install 'opto-gym[traffic]'"
    assert bug.failed == "NameError: undefined_name"
    assert modelled.about == "A task that asks a model."
    assert modelled.facts["Model inside"] == "scripted"
    assert modelled.scores.floor == 4.5


def test_the_page(few, tmp_path, capsys):
    assert main(["envs", "--gallery", str(tmp_path / "a" / "b")]) == 0
    page = tmp_path / "a" / "b" / "index.html"
    assert capsys.readouterr().out.strip() == str(page)
    text = page.read_text()
    assert text.count("<article") == 6
    assert "<script" not in text
    assert "<img src=x" not in text
    assert "pip install &#39;opto-gym[traffic]&#39;" in text
    assert not re.search(r"(src|href)=[\"']http", text)
    pictures = re.findall(r'<img src="([^"]*)" alt="[^"]+"', text)
    assert len(pictures) == 2
    assert all((page.parent / name).read_bytes()[:4] == b"\x89PNG" for name in pictures)
    markdown = gallery.render("gallery.md.j2", list(gallery.cards(progress=False)), pictures="gallery/")
    assert re.findall("^## (.*)", markdown, re.M) == list(gallery.families())
    assert "<script" not in markdown
    assert "<img src=x" not in markdown


def test_no_name_beside_it(capsys):
    assert main(["envs", "Battleship-v0", "--gallery", "x"]) == 2
    assert "--gallery shows all families" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("file", 2, "--gallery: expected a folder, got the file file"),
        ("file/inside", 1, "--gallery: the folder file/inside can't be written: Not a directory"),
        ("/proc/self/gallery", 1, "--gallery: the folder /proc/self/gallery can't be written: "),
        ("x" * 300, 1, "can't be written: File name too long"),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_line_before_anything_runs(
    tmp_path, monkeypatch, capsys, path, status, said
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gallery, "cards", lambda: pytest.fail("it ran"))
    (tmp_path / "file").write_text("")
    assert main(["envs", "--gallery", path]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [375, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_real_browser(few, tmp_path, width, scheme):
    from playwright.sync_api import sync_playwright

    page_path = gallery.write(tmp_path, list(gallery.cards(progress=False)))
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
        page = context.new_page()
        said = []
        page.on("console", lambda m: said.append(m.text))
        page.goto(page_path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for image in page.locator("img").all():
            image.scroll_into_view_if_needed()
        page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert page.get_by_role("article", name="NumericalOptimization-v0").is_visible()
        assert (
            page.evaluate("getComputedStyle(document.body).backgroundColor")
            == {
                "light": "rgb(255, 255, 255)",
                "dark": "rgb(20, 24, 30)",
            }[scheme]
        )
        assert said == []
        browser.close()
