"""Our TextGrad beside the real textgrad: the same graphs of texts and answers through both.

Common ground: each value is a reply to a prompt that is a parameter, so that textgrad's variables are the nodes that
ours criticises; the loss is a function of strings that gives the feedback.
"""

from __future__ import annotations

import functools
import random
import re
from collections import Counter

import pytest

import opto_gym
from opto_gym import Feedback, Parameter, Part, Problem, Prompt, TraceFeedback, trace
from tests.support import text_problems
from tests.support.author_packages import by_their_packages, needs_packages
from tests.support.openai_server import OpenAIServer
from tests.support.text_problems import ODD, USABLE, marks

PROBLEMS, MUTE, STEPS = 200, 20, 2
GAVE = r" = reply\(.*# gave '(id\d+)"

pytestmark = [pytest.mark.slow, needs_packages]


def forward(example, prompts):
    """The node of an example's last reply."""
    values = iter([one["value"] for one in example["replies"]])

    @trace.operator
    def reply(prompt, *texts):
        """Answers the texts as the prompt says."""
        return next(values)

    texts = [trace.node(t, "given") for t in example["inputs"]]
    for one in example["replies"]:
        texts.append(reply(prompts[one["prompt"]], *(texts[k] for k in one["of"])))
    return texts[-1]


class Asked:
    """Answers our agent's requests as textgrad_child.py answers textgrad's, and keeps what they say."""

    def begin(self, case, step):
        self.case, self.step, self.criticised, self.updated = case, step, [], {}

    def __call__(self, body):
        found = re.findall(r"^<(\w+)>\n(.*?)\n</\1>$", body["messages"][1]["content"], re.DOTALL | re.MULTILINE)
        sections = dict(found)
        return self.improve(sections) if "variable" in sections else self.criticise(sections)

    def criticise(self, s):
        name, _, how = s["value"].partition(", which was made so:\n")
        made = re.search(f"^{name}{GAVE}.*", how, re.MULTILINE)
        value = made[0].split("# gave ")[1][1:-1] if made else s["value"].partition("\n")[2]
        (said,) = (text for tag, text in s.items() if tag == "feedback" or tag.startswith("criticism_of_"))
        calls = re.findall(GAVE, s["computation"]) if "computation" in s else []
        one = {
            "variable": marks(value)[0],
            "shown": value,
            "successor": "end" if "feedback" in s else calls[-1],
            "said": marks(said, r"f\d+|c\w{10}"),
            "values": sorted({*marks(value, r"id\d+"), *marks(s.get("computation", ""), r"id\d+")}),
        }
        self.criticised.append(one)
        if self.case["mute"] and one["successor"] == "end":
            return ""
        return text_problems.criticism(one["variable"], one["successor"], one["said"])

    def improve(self, s):
        name, _, role = s["variable"].partition(": ")
        blocks = re.findall(r"(.*?)^Criticism: (.*?)$", s["criticism"], re.DOTALL | re.MULTILINE)
        said = [marks(text)[0] for _, text in blocks]
        variable = marks(s["value"])[0]
        form, new, answer = text_problems.improved(variable, name, said, self.step["forms"], "new_value")
        self.updated[name] = {
            "role": marks(role)[0],
            "criticisms": sorted([c, sorted({variable, *marks(at)})] for c, (at, _) in zip(said, blocks, strict=True)),
            "constraints": marks(s["constraints"]),
            "examples": marks(s.get("examples_of_good_values", "")),
            "form": form,
            "new": new,
        }
        return answer


def ours(case, agent, asked):
    """The case's steps through our tracer and agent, as textgrad_child.py gives them."""
    described = tuple(Parameter(n, Prompt(), p["value"], p["role"]) for n, p in case["prompts"].items())
    agent.reset(Problem("generated", {}, "Make the replies better.", described, (0.0, 1.0)), seed=0)
    steps = []
    for step in case["steps"]:
        asked.begin(case, step)
        prompts = {p.name: trace.parameter(agent.values[p.name], p.name, description=p.description) for p in described}
        ends = [forward(example, prompts) for example in step["examples"]]
        graph = trace.backward(trace.batch(ends), prompts.values())
        parts = (Part("reward", example["feedback"], example=k) for k, example in enumerate(step["examples"]))
        agent.invalid_answers.clear()
        values = agent.propose(TraceFeedback(graph, Feedback(0.0, tuple(parts))))
        updated = {
            n: {**asked.updated.get(n, {}), "before": prompts[n].data, "value": value} for n, value in values.items()
        }
        steps.append({"criticised": asked.criticised, "updated": updated, "invalid": list(agent.invalid_answers)})
    return steps


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """(case, textgrad's steps, ours) of each problem."""
    made = [
        {**text_problems.problem(random.Random(k), STEPS if k < PROBLEMS else 1), "mute": k >= PROBLEMS}
        for k in range(PROBLEMS + MUTE)
    ]
    theirs = by_their_packages("textgrad_child.py", made, tmp_path_factory.mktemp("textgrad"))
    asked, found = Asked(), []
    with OpenAIServer(asked) as server:

        @functools.cache  # a client takes 30 ms to make
        def agent(constraints, in_context):
            return opto_gym.make_agent(
                "TextGrad",
                model="fake",
                base_url=server.url,
                prompt_budget=10**6,
                max_calls=10**4,
                constraints=constraints,
                in_context=in_context,
            )

        for case, steps in zip(made, theirs, strict=True):
            found.append((case, steps, ours(case, agent(tuple(case["constraints"]), tuple(case["in_context"])), asked)))
    return found


@pytest.fixture(scope="module")
def steps(cases):
    """(step, textgrad's, ours) of each step in which all criticism was said."""
    return [three for case, a, b in cases if not case["mute"] for three in zip(case["steps"], a, b, strict=True)]


def criticised(side):
    """{(value, successor, what is said of it): the request} of a step, by marks."""
    found = {(one["variable"], one["successor"], *sorted(one["said"])): one for one in side["criticised"]}
    assert len(found) == len(side["criticised"])
    return found


def test_the_same_values_are_criticised_by_the_same_words(steps):
    calls = 0
    for _, a, b in steps:
        assert criticised(a).keys() == criticised(b).keys()
        calls += len(b["criticised"])
    print(f"\n{len(steps)} steps, {calls} criticisms")
    assert len(steps) == PROBLEMS * STEPS
    assert calls > 5 * len(steps)


def test_a_value_is_shown_where_it_was_used(steps):
    for step, a, b in steps:
        arguments = {}
        for example in step["examples"]:
            texts = [*example["inputs"], *(one["value"] for one in example["replies"])]
            for one in example["replies"]:
                arguments[marks(one["value"])[0]] = {marks(texts[k])[0] for k in one["of"]}
        theirs, own = criticised(a), criticised(b)
        for key in theirs:
            words = own[key]["shown"].split(" ")  # theirs shows both ends of what has more than 20 words
            short = words if len(words) <= 20 else [*words[:10], "(...)", *words[-10:]]
            assert theirs[key]["shown"] == " ".join(short)
            more = set(own[key]["values"]) - set(theirs[key]["values"])
            assert set(theirs[key]["values"]) <= set(own[key]["values"])
            assert more <= arguments.get(key[0], set())  # ours shows how it was made, too


def test_the_updates_show_the_same(steps):
    shown = uncriticised = 0
    for _, a, b in steps:
        for name, theirs in a["updated"].items():
            if not theirs["criticisms"]:  # textgrad asks nevertheless
                uncriticised += 1
                assert "criticisms" not in b["updated"][name]
                continue
            own = b["updated"][name]
            for what in ("role", "criticisms", "constraints", "examples", "form"):
                assert theirs[what] == own[what]
            shown += 1
    print(f"\n{shown} updates, {uncriticised} of textgrad's without any criticism")
    assert shown > 1.5 * len(steps)


DRAFT = "id0 a first draft"
READ = {
    **dict.fromkeys(USABLE, ("new", "new")),
    "untagged": ("IndexError", "kept"),
    "blank": ("IndexError", "kept"),
    "null": ("AttributeError", "kept"),
    "empty": ("", "kept"),
    "named": ("and", "new"),
    "twice": (DRAFT, "new"),
    "json": ("IndexError", "new"),
}
"""What textgrad takes from an answer of a form, or raises, and what ours takes."""


def test_the_updated_values_are_the_same_but_for_odd_answers(steps):
    forms = Counter()
    for _, a, b in steps:
        kept = 0
        for name, own in b["updated"].items():
            theirs, values = a["updated"][name], {"kept": own["before"], "new": own.get("new")}
            if "form" not in own:
                assert own["value"] == own["before"]
                continue
            taken, ours_takes = READ[own["form"]]
            assert own["value"] == values[ours_takes]
            assert theirs["raised"] == (taken if taken.endswith("Error") else None)
            assert theirs["value"] == (own["before"] if theirs["raised"] else values.get(taken, taken))
            forms[own["form"]] += 1
            kept += ours_takes == "kept"
        assert len(b["invalid"]) == kept
    print(f"\n{sum(forms[form] for form in USABLE)} usable answers, {sum(forms[form] for form in ODD)} odd ones")
    assert forms.keys() == READ.keys()


def test_where_the_criticism_is_blank_textgrad_goes_on_with_none(cases):
    mute = [(case["steps"][0], a[0], b[0]) for case, a, b in cases if case["mute"]]
    assert len(mute) == MUTE
    unsaid = 0
    for step, a, b in mute:
        ends = [marks(example["replies"][-1]["value"])[0] for example in step["examples"]]
        assert sorted(one["variable"] for one in b["criticised"]) == sorted(ends)  # ours asks nothing further
        assert b["invalid"] == ["the answer is empty"] * len(ends)
        assert all(p["value"] == p["before"] for p in b["updated"].values())
        before = [one for one in a["criticised"] if one["successor"] in ends]
        assert before
        assert not any(one["said"] for one in before)
        unsaid += len(before)
    print(f"\n{unsaid} criticisms that nothing was said for")
