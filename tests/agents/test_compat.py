"""trace-opt's parser: each fault that it has, and none of ours."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import opto_gym
from opto_gym import Choice, Code, Number, Parameter, Permutation, Problem, Prompt
from opto_gym.reading.proposals import Unusable
from opto_gym.reading.trace_opt import read_as_trace_opt
from tests.support.openai_server import OpenAIServer
from tests.support.rollouts import rollout
from tests.support.tasks import Mixed

PROBLEM = Problem(
    "t", {}, "o",
    (
        Parameter("x", Number(), 1.0),
        Parameter("n", Number(0, 9, integer=True), 1),
        Parameter("flag", Choice([True, False]), True),
        Parameter("p", Prompt(), "hello"),
        Parameter("f", Code("f(x)"), "def f(x):\n    return x\n"),
        Parameter("order", Permutation(3), [0, 1, 2]),
    ),
    (0.0, 1.0),
)  # fmt: skip


def read(text):
    return read_as_trace_opt(text, PROBLEM, PROBLEM.start)


def suggest(**values):
    return json.dumps({"reasoning": "r", "answer": "", "suggestion": values})


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        # TERMINATE anywhere
        ("TERMINATE", {}),
        ('{"reasoning": "no need to TERMINATE", "suggestion": {"n": 5}}', {}),
        # JSON amid prose
        (f"Sure!\n```json\n{suggest(n=5)}\n```\nDone.", {"n": 5}),
        # types: whatever Python makes of it
        (suggest(n="5"), {"n": 5}),
        (suggest(n=5.9), {"n": 5}),
        (suggest(n=-3), {"n": -3}),
        (suggest(x="5.5"), {"x": 5.5}),
        (suggest(flag="False"), {"flag": True}),
        (suggest(flag=0), {"flag": False}),
        (suggest(order="[1,2]"), {"order": ["[", "1", ",", "2", "]"]}),
        (suggest(p=None), {"p": "None"}),
        (suggest(p=["a", 1]), {"p": "['a', 1]"}),
        # code: black's layout; another name, another signature; no function at all
        (suggest(f="def f( x ):\n  return  x+1"), {"f": "def f(x):\n    return x + 1\n"}),
        (suggest(f="def other(a, b): return 'a'"), {"f": 'def other(a, b):\n    return "a"\n'}),
        (suggest(f="not python ("), {"f": "not python ("}),
        # a text that black can read as Python is laid out
        (suggest(p="define"), {"p": "define\n"}),
        # a raw line break in a JSON string: kept, by the pattern
        ('{"suggestion": {"p": "a\nb"}}', {"p": "a\nb"}),
        # the pattern is greedy: what follows is glued into the first
        ('{"suggestion": {"p": "a", "f": "b",}}', {"p": 'a", "f": "b'}),
        # one that fits, one that does not
        (suggest(n="5.5", x=2), {"x": 2.0}),
        (suggest(f=" ", x=2), {"x": 2.0}),
        (suggest(unknown=1, x=2), {"x": 2.0}),
        # what a record can't hold
        ('{"suggestion": {"order": ["\\ud800", {"a": 1}]}}', {"order": ["\ufffd", {"a": 1}]}),
        ('{"suggestion": {"p": "a\\ud800b"}}', {"p": "a\ufffdb"}),
    ],
)
def test_taken(answer, values):
    taken = read(answer)
    assert taken == values
    assert list(map(type, taken.values())) == list(map(type, values.values()))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (suggest(n=None), "raises TypeError"),
        (suggest(n=[1]), "raises TypeError"),
        (suggest(n="5", f=None), "raises AttributeError"),
        (suggest(f=5), "raises AttributeError"),
        (suggest(f=["a"]), "raises AttributeError"),
        ('{"suggestion": {"n": Infinity}}', "raises OverflowError"),
        (suggest(n="5.5"), "drops the values of 'n'"),
        (suggest(p="A definition of the word."), "drops the values of 'p'"),
        (suggest(f="def f(x: broken"), "drops the values of 'f'"),
        (suggest(f="\n"), "drops the values of 'f'"),
        (suggest(unknown=1), "drops the values of 'unknown'"),
        ("{'suggestion': {'n': 5}}", "finds no suggestion"),
        ('{"suggestion": {"n": 5,}}', "finds no suggestion"),
        (f"{suggest(n=5)} or {suggest(n=6)}", "finds no suggestion"),
        ('{"suggestion": [5]}', "finds no suggestion"),
        ('{"suggestion": null}', "finds no suggestion"),
        ('{"n": 5}', "finds no suggestion"),
        ('{"suggestion": {"p": "a {brace} b",}}', "finds no suggestion"),
        ("", "finds no suggestion"),
        ("[1, 2]", "finds no suggestion"),
        ("} {", "finds no suggestion"),
        ("[" * 100_000, "finds no suggestion"),
        (f'{{"suggestion": {{"n": {"9" * 5000}}}}}', "finds no suggestion"),
    ],
)
def test_unusable(answer, why):
    with pytest.raises(Unusable, match=why):
        read(answer)


def usable_or_said(text):
    try:
        values = read(text)
    except Unusable:
        return
    assert values.keys() <= PROBLEM.start.keys()
    assert all(type(value) is type(PROBLEM.start[name]) for name, value in values.items())


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["def", "def f(x", "TERM"]),
    lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=5), x, max_size=4),
    max_leaves=8,
)


@given(st.text() | st.text("{}[]\":,'n fpdef\\\n0123456789", max_size=200))
def test_no_text_raises(text):
    usable_or_said(text)
    usable_or_said('{"suggestion": {' + text + "}}")
    usable_or_said('{"suggestion": {"p": "' + text + '"}}')


@given(st.dictionaries(st.sampled_from([*PROBLEM.start, "z"]), json_values), st.integers(0, 80), st.text(max_size=9))
def test_no_json_raises(values, cut, added):
    text = suggest(**values)
    usable_or_said(text)
    usable_or_said(text[:cut] + added + text[cut:])
    usable_or_said(text[:cut])


@pytest.mark.parametrize("name", ["OptoPrime", "OPRO-Trace"])
@pytest.mark.parametrize(
    ("answer", "kept", "why"),
    [
        ('{"suggestion": {"times": 3.9, "text": "yo"}}', False, None),
        ('{"reasoning": "TERMINATE?", "suggestion": {"times": 3}}', True, None),
        ('{"suggestion": {"times": null}}', True, "trace-opt raises TypeError"),
        ("", True, "the answer is empty"),
        (None, True, "the answer has no text"),
        (b'{"choices": []}', True, "the answer holds no completion"),
    ],
)
def test_agents_with_this_parser(name, answer, kept, why):
    env = Mixed()
    body = isinstance(answer, bytes)
    with OpenAIServer("" if body else answer, script=[answer] if body else []) as server:
        agent = opto_gym.make_agent(name, model="fake", base_url=server.url, parser="compat")
        (values,) = rollout(agent, env, 1)
    assert values == (env.problem.start if kept else {**env.problem.start, "times": 3, "text": "yo"})
    assert [said[: len(why)] for said in agent.invalid_answers] == ([why] if why else [])
