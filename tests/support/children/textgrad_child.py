"""Runs problems and answers (of text_problems.py) through the real textgrad, in its Python: JSON in, JSON out.

In, on stdin: a list of `text_problems.problem`s, each with ``mute``: whether criticisms by the feedback are blank. Out:
for each a list of its steps ``{"criticised", "updated"}``: what the package asked, and what became of the prompts.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import textgrad
from textgrad.autograd import FormattedLLMCall, StringBasedFunction
from textgrad.engine import EngineLM

sys.path.insert(0, str(Path(__file__).parents[1]))  # this Python has no opto_gym, and text_problems needs none

import text_problems
from text_problems import marks


class Scripted(EngineLM):
    """An engine that answers as a function of the prompt; the package's own would keep answers on disk."""

    model_string = "scripted"

    def __init__(self, answer):
        self.answer = answer

    def generate(self, prompt, **_):
        return self.answer(prompt)

    def __call__(self, prompt, **_):
        return self.generate(prompt)


def inside(tag, text):
    return re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]


def forward(example, prompts):
    """The loss variable of an example."""
    texts = [textgrad.Variable(t, requires_grad=False, role_description="a text given") for t in example["inputs"]]
    for reply in example["replies"]:
        fields = {f"text_{k}": texts[k] for k in reply["of"]}
        call = FormattedLLMCall(
            Scripted(lambda _, value=reply["value"]: value),
            " ".join(f"{{{field}}}" for field in fields),
            dict.fromkeys(fields, ""),
            prompts[reply["prompt"]],
        )
        texts.append(call(fields, "a reply"))
    judge = StringBasedFunction(lambda answer: example["feedback"], "judges the reply")
    return judge({"answer": texts[-1]})


def run(case):
    prompts = {n: textgrad.Variable(p["value"], role_description=p["role"]) for n, p in case["prompts"].items()}
    return [run_step(case, step, prompts) for step in case["steps"]]


def run_step(case, step, prompts):
    criticised, updated = [], {}

    def criticise(prompt):
        variable, objective = inside("VARIABLE", prompt), inside("OBJECTIVE_FUNCTION", prompt)
        by_feedback = "<OUTPUT_OF_FUNCTION>" in prompt
        output = inside("OUTPUT_OF_FUNCTION" if by_feedback else "LM_OUTPUT", prompt)
        one = {
            "variable": marks(variable)[0],
            "shown": variable.strip(),
            "successor": "end" if by_feedback else marks(output)[0],
            "said": marks(output if by_feedback else objective, r"f\d+|c\w{10}"),
            "values": sorted({*marks(prompt, r"id\d+")} - set(marks(inside("ROLE", prompt)))),
        }
        criticised.append(one)
        if case["mute"] and by_feedback:
            return ""
        return text_problems.criticism(one["variable"], one["successor"], one["said"])

    def improve(prompt):
        found = inside("CONTEXT", prompt)
        blocks = re.findall(r"<CONVERSATION>(.*?)</CONVERSATION>.*?<FEEDBACK>(.*?)</FEEDBACK>", found, re.DOTALL)
        said = [marks(feedback)[0] for _, feedback in blocks]
        variable = marks(inside("VARIABLE", prompt))[0]
        form, new, answer = text_problems.improved(variable, name, said, step["forms"], "IMPROVED_VARIABLE")
        updated[name] = {
            "role": marks(inside("ROLE", prompt))[0],
            "criticisms": sorted([c, sorted(set(marks(where)))] for c, (where, _) in zip(said, blocks, strict=True)),
            "constraints": marks(inside("CONSTRAINTS", prompt)) if case["constraints"] else [],
            "examples": marks(inside("EXAMPLES", prompt)) if case["in_context"] else [],
            "form": form,
            "new": new,
        }
        if not said:  # the package asks nevertheless; ours does not, so nothing changes
            return f"<IMPROVED_VARIABLE>{prompts[name].value}</IMPROVED_VARIABLE>"
        return answer

    optimizers = {
        name: textgrad.TextualGradientDescent(
            [p], 0, Scripted(improve), case["constraints"], in_context_examples=case["in_context"]
        )
        for name, p in prompts.items()
    }
    for optimizer in optimizers.values():
        optimizer.zero_grad()
    textgrad.sum([forward(example, prompts) for example in step["examples"]]).backward(Scripted(criticise))
    for name, optimizer in optimizers.items():  # each by itself, since an exception ends a step
        raised = None
        try:
            optimizer.step()
        except Exception as e:
            raised = type(e).__name__
        updated[name] |= {"raised": raised, "value": prompts[name].value}
    return {"criticised": criticised, "updated": updated}


if __name__ == "__main__":
    results = [run(case) for case in json.load(sys.stdin)]
    print("\n" + json.dumps(results))
