"""What every registered environment promises of its documentation page."""

from __future__ import annotations

import importlib
import re

from opto_gym import data
from tests.support.env_contract import arguments

SECTIONS = (
    "Description",
    "Parameters (action space)",
    "Observation",
    "Reward",
    "Feedback",
    "Start",
    "End",
    "Score and anchors",
    "Arguments",
    "Kind, cost and source",
    "Version history",
)


def test_the_docstring_is_a_page(env):
    page = sections(env)
    assert tuple(page) == SECTIONS
    assert re.fullmatch(r"\d{4}-\d\d", env.anchors.dated)
    assert env.anchors.dated in page["Score and anchors"]
    version = env.spec.id.rsplit("-", 1)[1]
    assert f"* {version}:" in page["Version history"]
    module = importlib.import_module(type(env).__module__)
    assert getattr(module, type(env).__name__) is type(env)


def test_the_page_names_every_argument(env):
    assert {"oracle_calls", "render_mode", "feedback"} <= set(arguments(env))
    for name, p in arguments(env).items():
        try:
            type(env)(**{name: p.default})
        except TypeError:  # one of a base class that this one refuses
            continue
        assert f"`{name}`" in sections(env)["Arguments"]


def test_the_page_has_an_example_of_every_kind_of_feedback(env):
    said = sections(env)["Feedback"]
    assert [kind for kind in env.feedback_kinds if not re.search(rf'^ *\* {kind}: [^*]*"', said, re.M)] == []


def test_the_page_tells_the_splits_and_what_an_example_is(env):
    page = sections(env)
    assert re.search("[Aa]n example is", page["Kind, cost and source"])
    if list(env.splits["test"]) == list(env.splits["train"]):
        assert "test is train" in page["Score and anchors"]
    elif not env.data_files or data.root() != data.SAMPLE:  # the sample of a data set is smaller
        said = page["Score and anchors"] + page["Arguments"] + page["Kind, cost and source"]
        for examples in env.splits.values():
            size = "10^6" if len(examples) == 10**6 else len(examples)
            assert re.search(rf"\b{re.escape(str(size))}\b", said)


def sections(env):
    """The page by its headings."""
    _, *parts = re.split(r"^ *## (.*)$", type(env).__doc__, flags=re.M)
    return dict(zip(parts[::2], parts[1::2], strict=True))
