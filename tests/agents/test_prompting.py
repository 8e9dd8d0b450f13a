from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import opto_gym
from opto_gym import trace
from opto_gym.agents.toolkit.model_agent import ModelAgent
from opto_gym.agents.toolkit.prompt_budget import (
    count_tokens,
    fit_list,
    fit_sections,
    newest_lines,
    render_within,
    shorten,
)
from opto_gym.cli import prompt as prompts
from opto_gym.llm import local
from opto_gym.registration import agent_class
from opto_gym.utils.tokenizer import count_exactly

MODELLED = [name for name in opto_gym.registered_agents() if issubclass(agent_class(name), ModelAgent)]


def margins():
    path = Path(__file__).parents[2] / "scripts" / "token_margins.py"
    spec = importlib.util.spec_from_file_location("token_margins", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TEXTS = margins().texts()
TOKENIZERS = [count_exactly, pytest.param(margins().embedded, marks=pytest.mark.slow)]


# ---------------------------------------------------------------- the count
@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("count", TOKENIZERS)
def test_there_are_no_more_tokens_than_counted(kind, count):
    least = 0.8 if kind == "made-up words" else 1
    for text in TEXTS[kind]:
        assert count_tokens(text) >= least * count(text), text[:100]


@pytest.mark.slow
def test_nor_in_the_first_prompts_of_all_agents():
    count, some = margins().embedded, list(margins().first_prompts())
    assert len(some) == len(margins().ENVS) * len(MODELLED)
    for text in some:
        assert count_tokens(text) >= max(count(text), count_exactly(text)), text[:100]
        assert count_tokens(text) <= 2 * count_exactly(text), text[:100]


@given(st.text(max_size=300) | st.text(st.characters(max_codepoint=127), max_size=300))
def test_of_any_text(text):
    sent = text.encode("utf-8", "backslashreplace").decode()
    assert count_exactly(sent) <= 1.25 * count_tokens(text) + 4  # made-up syllables are several
    assert count_tokens(text) <= len(sent.encode())


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("hello world", 5),
        ("x = 12", 5),
        ("12345", 5),
        ("    \n\n", 2),
        ("é", 2),
        ("日本", 6),
        ("\ud800", 5),  # which is sent as \ud800
        ("\x00\x7f", 2),
    ],
)
def test_the_rule(text, count):
    assert count_tokens(text) == count


# ---------------------------------------------------------------- what does not fit
@given(st.text() | st.text("ab \n", min_size=100), st.integers(20, 300))
def test_the_ends_of_a_text(text, token_budget):
    said = shorten(text, token_budget)
    assert count_tokens(said) <= token_budget
    if count_tokens(text) <= token_budget:
        assert said == text
    else:
        begin, left, end = re.fullmatch(r"(.*) \.\.\((\d+) more characters\)\.\. (.*)", said, re.DOTALL).groups()
        assert text.startswith(begin)
        assert text.endswith(end)
        assert len(begin) + int(left) + len(end) == len(text)


@pytest.mark.parametrize("text", ["word " * 10_000, "12345 " * 10_000, "日本" * 10_000, "x" * 10_000])
def test_the_budget_is_used(text):
    assert count_tokens(shorten(text, 400)) > 360


def test_only_the_newest_are_formatted():
    asked = []
    said = newest_lines(range(10**6), lambda k: asked.append(k) or f"line {k}", 100)
    assert count_tokens(said) <= 100
    assert len(asked) < 20
    first, *lines = said.splitlines()
    assert first == f"({10**6 - len(lines)} older ones are left out)"
    assert lines == [f"line {k}" for k in range(10**6 - len(lines), 10**6)]
    assert newest_lines(["a", "b"], str, 100) == "a\nb"
    assert newest_lines([], str, 100) == ""


@given(st.lists(st.text(max_size=200), min_size=1), st.integers(40, 300))
def test_the_newest_one_is_always_shown(lines, token_budget):
    said = newest_lines(lines, str, token_budget, "worse")
    assert count_tokens(said) <= token_budget
    assert said.endswith(shorten(lines[-1], token_budget - 17))
    if said != "\n".join(lines) and count_tokens("\n".join(lines)) > token_budget:
        assert "worse ones are left out" in said or "more characters" in said


@given(st.dictionaries(st.text(), st.tuples(st.floats(0.1, 1), st.text()), min_size=1, max_size=5), st.integers(0, 300))
def test_parts_have_their_shares(parts, token_budget):
    token_budget += 250 * len(parts)  # so that the smallest share is 20 or more
    shown = fit_sections(parts, token_budget)
    whole = sum(share for share, _ in parts.values())
    assert list(shown) == list(parts)
    assert sum(map(count_tokens, shown.values())) <= token_budget
    for name, (share, text) in parts.items():
        if count_tokens(text) <= int(token_budget * share / whole):
            assert shown[name] == text


def test_a_part_has_what_the_others_leave():
    long = "word " * 1000
    shown = fit_sections(
        {"short": (0.5, "a few words"), "long": (0.25, long), "made": (0.25, lambda token_budget: "x" * token_budget)},
        400,
    )
    assert shown["short"] == "a few words"
    assert 180 < count_tokens(shown["long"]) <= 197
    assert shown["made"] == "x" * 197  # half of what "short" leaves


def test_a_list_has_equal_shares():
    said = fit_list(["few", "many " * 500, "many " * 500], 200, between="\n--\n").split("\n--\n")
    assert said[0] == "few"
    assert said[1] == said[2]
    assert 150 < count_tokens("\n--\n".join(said)) <= 200


@pytest.mark.parametrize("value", ["日本語" * 50, "words and more words " * 50, 1 / 3])
@pytest.mark.parametrize("token_budget", [150, 1000])
def test_a_graph_in_tokens(value, token_budget):
    x = trace.parameter(value, "x")
    y = x + x
    for k in range(500):
        y = y * 1 if k % 7 else y + x
    said = render_within(trace.backward(y, [x]).to_pseudocode, token_budget)
    assert token_budget / 4 < count_tokens(said) <= token_budget
    assert "left out" in said or "more" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELLED)
@pytest.mark.parametrize("budget", [1_000, 4_000])
def test_a_trace_of_100_000_nodes_fits_the_embedded_model(name, budget):
    arguments = {"env_arguments": {"length": 100_000}, "settings": {"prompt_budget": budget}}
    messages = prompts.first_request("LongTrace-v0", name, **arguments)["messages"]
    assert local.server().count(messages) <= budget
