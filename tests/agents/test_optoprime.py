"""OptoPrime's settings and variants, on a real scripted server."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import opto_gym
from opto_gym import Feedback, Part, TraceFeedback, trace
from opto_gym.agents.optoprime import ADDED, WORKED
from opto_gym.reading.proposals import Unusable, read_tags
from opto_gym.utils.tokenizer import count_exactly
from tests.support.openai_server import OpenAIServer
from tests.support.tasks import EVERY_KIND, Adder, Mixed, Valley

VARIANTS = ["CoT", "Candidates", "FewShot", "Masked", "NoMem", "Scalar"]
CODE = "def f(x):\n    return x if x < 3 else '<value>\\n'"


def suggest(**values):
    return json.dumps({"reasoning": "r", "answer": "", "suggestion": values})


class Trial:
    """An agent on a task, with what was asked."""

    def __init__(self, name, env, answers, **settings):
        self.env, self.server = env, OpenAIServer(lambda body: answers(body) if callable(answers) else answers.pop(0))
        self.agent = opto_gym.make_agent(name, model="fake", base_url=self.server.url, **settings)
        self.agent.reset(env.problem, seed=0)
        self.values = env.problem.start

    def step(self):
        """One update: the new values."""
        self.values = self.agent.propose(self.env.evaluate(self.values, seed=0).observation)
        return self.values

    @property
    def asked(self):
        return [r["body"] for r in self.server.requests]

    def user(self, k=-1):
        return self.asked[k]["messages"][1]["content"]


@pytest.fixture
def trial():
    made = []

    def make(*args, **settings):
        made.append(Trial(*args, **settings))
        return made[-1]

    yield make
    for t in made:
        t.server.close()


# ---------------------------------------------------------------- ablations
def test_masked_sees_no_trace(trial):
    t = trial("OptoPrime-Masked", Mixed(), [suggest(times=2)])
    assert t.step()["times"] == 2
    assert not {"#Code", "#Documentation", "#Inputs", "#Others"} & set(t.user().splitlines())
    assert {"#Variables", "#Constraints", "#Outputs", "#Feedback"} <= set(t.user().splitlines())
    assert "characters for example" in t.user()


def test_scalar_sees_parameters_and_scores_alone(trial):
    t = trial("OptoPrime-Scalar", Valley(), [suggest(x=2), suggest(x=4)])
    t.step()
    t.step()
    assert "#Feedback\nThe score is 1; lower is better." in t.user()
    assert "\n(int) x=2\n" in t.user()
    assert '{"variables": {"x": 0}, "feedback": "The score is 9; lower is better."}' in t.user()
    assert "larger" not in t.user()  # what the feedback says in words
    assert "sub0" not in t.user()
    assert "** 2" not in t.user()


def test_a_refused_proposal_is_shown_with_the_last_run_that_worked(trial):
    t = trial("OptoPrime", Mixed(), [suggest(times=2), suggest(times=10**6), suggest(times=3)])
    t.step()
    t.step()
    assert WORKED not in t.user()
    t.step()  # sees that 10**6 was refused
    report = t.user().partition(f"{WORKED}\n")[2]
    assert "(int) times=1000000" in t.user()
    assert "##Variables" in report
    assert "(int) times=2" in report
    assert "##Code" in report
    assert "##Feedback\n" in report
    assert ADDED[WORKED] in t.asked[-1]["messages"][0]["content"]


def test_how_code_runs_is_told_in_every_prompt(trial):
    t = trial("OptoPrime", Mixed(), [suggest(times=2), suggest(times=3)])
    t.step()
    t.step()
    for k in (0, 1):
        assert "a call may take 2 seconds, all calls of one example 60 seconds, and 1 GiB of memory" in t.user(k)
    t = trial("OptoPrime", Valley(), [suggest(x=2)])
    t.step()
    assert "memory." not in t.user()


def test_nomem_shows_no_past_whatever_its_memory(trial):
    with_memory = trial("OptoPrime", Valley(), [suggest(x=1), suggest(x=2)], memory_size=5)
    without = trial("OptoPrime-NoMem", Valley(), [suggest(x=1), suggest(x=2)], memory_size=5)
    for t in (with_memory, without):
        t.step()
        t.step()
    assert '{"variables": {"x": 0}' in with_memory.user()
    assert '{"variables"' not in without.user()
    assert without.asked[0]["messages"] == with_memory.asked[0]["messages"]


# ---------------------------------------------------------------- variants
def test_cot_thinks_in_words_and_answers_from_them(trial):
    t = trial("OptoPrime-CoT", Valley(), ["The output is 9, so x must be larger.", suggest(x=3)])
    assert t.step() == {"x": 3}
    first, second = t.asked
    assert "JSON" not in first["messages"][0]["content"]
    assert "step by step" in first["messages"][1]["content"]
    assert [m["role"] for m in second["messages"]] == ["system", "user", "assistant", "user"]
    assert second["messages"][2]["content"] == "The output is 9, so x must be larger."
    assert "JSON" in second["messages"][0]["content"]
    assert "\n(int) x=0\n" in second["messages"][1]["content"]


def test_cot_without_thoughts_asks_no_more(trial):
    t = trial("OptoPrime-CoT", Valley(), [None])
    assert t.step() == {"x": 0}
    assert len(t.asked) == len(t.agent.invalid_answers) == 1


def test_fewshot_shows_the_changes_that_helped_the_best_last(trial):
    answers = [suggest(x=k) for k in (-1, 2, 1, 3, 0, 0)]  # errors: 9, 16, 1, 4, 0, 9, 9
    t = trial("OptoPrime-FewShot", Valley(), answers, shots=2)
    for _ in range(6):
        t.step()
    shown = [json.loads(line) for line in t.user().splitlines() if line.startswith("{") and "suggestion" in line]
    assert [(e["variables"], e["suggestion"]) for e in shown] == [({"x": 1}, {"x": 3}), ({"x": -1}, {"x": 2})]
    assert shown[1]["feedback"].startswith("The output is 16.")
    assert shown[1]["feedback on it"].startswith("The output is 1.")
    assert '"suggestion": {"x"' not in t.user(0)
    assert t.user(2).count('"suggestion": {"x"') == 1
    t.agent.reset(t.env.problem)
    assert t.agent.gains == []


def test_fewshot_shows_its_memory_too(trial):
    t = trial("OptoPrime-FewShot", Valley(), [suggest(x=1), suggest(x=2)], memory_size=1)
    t.step()
    t.step()
    assert '{"variables": {"x": 0}, "feedback": "The output is 9. larger"}' in t.user()
    assert '"suggestion": {"x": 1}' in t.user()


def test_candidates_selects_one_of_its_proposals(trial):
    t = trial("OptoPrime-Candidates", Valley(), [suggest(x=1), suggest(x=3), suggest(x=7), suggest(choice=2)])
    assert t.step() == {"x": 3}
    assert [body["temperature"] for body in t.asked] == [0, 0.5, 1, 0]
    *asked, listed, order = t.asked[-1]["messages"]
    assert asked == t.asked[0]["messages"]
    assert listed == {"role": "assistant", "content": '1. {"x": 1}\n2. {"x": 3}\n3. {"x": 7}'}
    assert "choice" in order["content"]


@pytest.mark.parametrize(
    ("answers", "chosen", "calls", "invalid"),
    [
        ([suggest(x=1), suggest(x=1), suggest(x=1)], 1, 3, 0),  # nothing to select
        (["no", suggest(x=5), "no"], 5, 3, 2),
        (["no", "no", "no"], 0, 3, 3),
        (["TERMINATE", suggest(x=5), suggest(x=6), suggest(choice=1)], 0, 4, 0),
        ([suggest(x=1), suggest(x=5), "no", suggest(choice=7)], 1, 4, 2),  # two proposals, the second is number 2
        ([suggest(x=1), suggest(x=5), suggest(x=6), "the second"], 1, 4, 1),
        ([suggest(x=1), suggest(x=5), suggest(x=6), suggest(choice=[2])], 1, 4, 1),
        ([suggest(x=1), suggest(x=5), suggest(x=6), suggest(choice="3")], 6, 4, 0),
    ],
)
def test_candidates_with_unusable_answers(trial, answers, chosen, calls, invalid):
    t = trial("OptoPrime-Candidates", Valley(), answers)
    assert t.step() == {"x": chosen}
    assert (len(t.asked), len(t.agent.invalid_answers)) == (calls, invalid)


def test_candidates_temperatures_end_at_the_one_given(trial):
    t = trial("OptoPrime-Candidates", Valley(), lambda body: suggest(x=3), n=2, temperature=1.4)
    t.step()
    assert [body["temperature"] for body in t.asked] == [0, 1.4]
    one = trial("OptoPrime-Candidates", Valley(), lambda body: suggest(x=3), n=1)
    one.step()
    assert [body["temperature"] for body in one.asked] == [0]


@pytest.fixture(scope="module")
def long_graph():
    """The graph of 5,000 operations on a long text."""
    x = trace.parameter("def add(a, b):\n    return 0\n" * 300, "add")
    y = trace.node(0, "zero") + x.count("a")
    for _ in range(5_000):
        y = y + 1.5
    return trace.backward(y, [x])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("form", "budget"),
    [
        ("json", 4_000),
        ("tags", 1_000),
        *(pytest.param(*p, marks=pytest.mark.slow) for p in (("json", 1_000), ("tags", 4_000))),
    ],
)
def test_prompts_stay_within_their_budget_whatever_the_trace(trial, variant, form, budget, long_graph):
    numbers = iter(range(10**6))

    def answer(body):
        if "TERMINATE" not in body["messages"][0]["content"]:  # the form is not asked for: CoT's first call
            return "thoughts " * 2_000
        if "numbered" in body["messages"][-1]["content"]:  # Candidates' last
            return suggest(choice=2)
        source = f"def add(a, b):\n    return {next(numbers)}\n" + "#\n" * 2_000
        if form == "tags":
            return f"<variable><name>add</name><value>{source}</value></variable>"
        return suggest(add=source)

    t = trial(f"OptoPrime-{variant}", Adder(), answer, prompt_budget=budget, form=form, memory_size=5)
    for k in range(4):
        said = (Part("reward", "long " * 20_000),)
        values = t.agent.propose(TraceFeedback(long_graph, Feedback(float(k), said, reward=float(k))))
    assert "def add" in values["add"]
    assert t.agent.invalid_answers == []
    sizes = [sum(count_exactly(m["content"]) for m in body["messages"]) for body in t.asked]
    assert max(sizes) <= budget
    assert min(sizes) > budget / 4


# ---------------------------------------------------------------- settings
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"parser": "strict"}, "expected parser to be 'tolerant' or 'compat', got 'strict'"),
        ({"form": "xml"}, "expected form to be 'json' or 'tags', got 'xml'"),
        ({"form": "tags", "parser": "compat"}, "expected form to be 'json' where"),
        ({"form": "tags", "constrained": True}, "expected form to be 'json' where"),
    ],
)
@pytest.mark.parametrize("name", ["OptoPrime", *(f"OptoPrime-{v}" for v in VARIANTS)])
def test_settings_that_can_t_work_are_refused(name, settings, said):
    with pytest.raises(ValueError, match=said):
        opto_gym.make_agent(name, model="fake", **settings)


# ---------------------------------------------------------------- the form in tags
def block(name, value):
    return f"<variable>\n<name>{name}</name>\n<value>\n{value}\n</value>\n</variable>\n"


def test_tags_are_asked_for_and_read(trial):
    new = "def change(text):\n    return text + '\\n'"
    answer = f"<reasoning>because</reasoning>\n{block('times', 3)}{block('mark', '?')}{block('change', new)}"
    t = trial("OptoPrime", Mixed(), [answer], form="tags")
    assert t.step() == {**t.env.problem.start, "times": 3, "mark": "?", "change": new}
    assert "<variable>" in t.asked[0]["messages"][0]["content"]
    assert "JSON" not in t.asked[0]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        (block("n", 5.5) + block("k", "3"), {"n": 5.5, "k": 3}),
        (block("c", "False"), {"c": False}),
        (block("order", "[2, 0, 1]"), {"order": [2, 0, 1]}),
        (block("f", CODE), {"f": CODE}),  # tags inside a value
        (block("f", f"```python\n{CODE}\n```"), {"f": CODE + "\n"}),
        ("prose\n```xml\n" + block("p", " two\n\nlines ") + "```", {"p": "two\n\nlines"}),
        ("<variable><name> p </name><value>x</value>", {"p": "x"}),  # not closed
        ("<variable><name>p</name><value>x</value>\n<variable><name>n</name><value>1</value>", {"p": "x", "n": 1.0}),
        ("<reasoning>" + block("n", 1) + "</reasoning>" + block("p", "x"), {"p": "x"}),
        ("<reasoning>not closed" + block("p", "x"), {"p": "x"}),
        (block("n", 1) + block("n", 2), {"n": 2.0}),
        (block("unknown", 1) + block("p", ""), {"p": ""}),
    ],
)
def test_forgiving_of_tags(answer, values):
    assert read_tags(answer, EVERY_KIND) == values


@pytest.mark.parametrize(
    "answer",
    ["", "TERMINATE now", suggest(n=1), block("unknown", 1), block("n", "five"), "<variable><name>p</name><value>cut"],
)
def test_unusable_tags(answer):
    with pytest.raises(Unusable):
        read_tags(answer, EVERY_KIND)


PIECES = [
    "<variable>",
    "</variable>",
    "<name>",
    "</name>",
    "<value>",
    "</value>",
    "<reasoning>",
    "p",
    "n",
    "f",
    " ",
    "5",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5)).map("".join))
def test_no_tags_break_the_reader(text):
    try:
        values = read_tags(text, EVERY_KIND)
    except Unusable:
        return
    assert values.keys() <= EVERY_KIND.start.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", [f"OptoPrime-{v}" for v in VARIANTS])
def test_on_the_embedded_model(name):
    task = opto_gym.make("NumericalOptimization-v0").unwrapped
    agent = opto_gym.make_agent(name, model="local", max_tokens=200, prompt_budget=1250)
    agent.reset(task.problem, seed=0)
    values = agent.propose(task.evaluate(task.problem.start, seed=0).observation)
    assert set(values) == set(task.problem.start)
    assert agent.llm.ledger.totals()["tokens_out"] > 0
    assert task.evaluate(values).score is not None
