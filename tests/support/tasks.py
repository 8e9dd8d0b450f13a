"""Small tasks that tests share: one numeric, one with code, one of mini-batches, one that lives on, one buggy."""

from __future__ import annotations

import time

from opto_gym import Choice, Code, Feedback, Number, OptoEnv, Parameter, Part, Permutation, Problem, Prompt
from opto_gym.trace import node, operator


class Valley(OptoEnv):
    """Minimize (x - 3)² with a whole number."""

    objective, scores = "Make the output small.", (1e4, 0.0)
    splits = {"train": (None,), "test": (None,)}
    parameters = (Parameter("x", Number(-10, 10, integer=True), 0, "the position"),)
    ends_when_solved, instance = True, True

    def forward(self, p, example):
        return (p.x - 3) ** 2

    def judge(self, output, example):
        way = "larger" if output else "as it is"
        return Feedback(output, (Part("reward", f"The output is {output}."), Part("future_positive", way)), output == 0)


class Asked(Valley):
    """The valley, whose position is asked of a model."""

    uses_model, ends_when_solved = True, False

    def forward(self, p, example):
        self.llm.chat([{"role": "user", "content": f"x is {p.x.data}"}], max_tokens=5)
        return super().forward(p, example)


class SlowAtTwo(Valley):
    """The valley, whose evaluation takes longer at x = 2."""

    def forward(self, p, example):
        if p.x.data == 2:
            time.sleep(0.4)
        return super().forward(p, example)


class Adder(OptoEnv):
    """Code that has to add two numbers; three examples a call, and a test split that nobody sees."""

    objective, scores, batch = "Make the code add a and b.", (0.0, 1.0), 3
    overlapping_splits = True
    splits = {
        "train": [[i, i + 1] for i in range(50)],
        "val": [[7, 7], [1, 2]],
        "test": [[1000, k] for k in range(5)],
    }
    parameters = (Parameter("add", Code("add(a, b)"), "def add(a, b):\n    return 0\n", "adds"),)

    def forward(self, p, example):
        a, b = example
        return p.add(node(a, "a"), b)

    def judge(self, output, example):
        right = output == sum(example)
        said = "Correct." if right else f"Expected {sum(example)}, got {output!r}."
        return Feedback(float(right), (Part("hindsight_positive" if right else "hindsight_negative", said),), right)

    def reference_solution(self):
        return {"add": "def add(a, b):\n    return a + b\n"}


class Mixed(OptoEnv):
    """A number, a choice, a prompt and code in one graph."""

    objective, scores = "Make the text long.", (0.0, 100.0)
    splits = {"train": range(4), "test": range(4, 8)}
    parameters = (
        Parameter("times", Number(1, 5, integer=True), 1),
        Parameter("mark", Choice(["!", "?"]), "!"),
        Parameter("text", Prompt(200), "hello"),
        Parameter("change", Code("change(text)"), "def change(text):\n    return text\n"),
    )

    def forward(self, p, example):
        return p.change(p.text * p.times + p.mark)

    def judge(self, output, example):
        return Feedback(float(len(output)), (Part("reward", f"{len(output)} characters for example {example}."),))


class Walk(OptoEnv):
    """A task that lives on: each call moves a position, which is the next call's example."""

    objective, scores = "Walk far.", (-100.0, 100.0)
    splits = {"train": range(3), "test": (3,)}
    parameters = (Parameter("step", Number(-2, 2, integer=True), 1),)

    def draw(self, seed, call, last=None):
        return [{"at": last["at"] if last else 0}]

    def forward(self, p, example):
        at = node(example["at"] if isinstance(example, dict) else 0, "at")
        new = at + p.step
        return new, Feedback(float(new.data), (Part("reward", f"at {new.data}"),), metrics={"at": new.data})


class Buggy(Valley):
    """The author's own mistake, which must never be taken for a proposal's."""

    def forward(self, p, example):
        return p.x + undefined_name  # noqa: F821


class Careless(OptoEnv):
    """Plain code around a parameter's answer, which breaks on answers of another shape."""

    objective, scores, instance = "Give a pair.", (0.0, 1.0), True
    splits = {"train": (None,), "test": (None,)}
    parameters = (Parameter("pair", Code("pair(x)"), "def pair(x):\n    return [x, x]\n"),)

    def forward(self, p, example):
        a, b = p.pair(node(1))

        @operator
        def combine(a, b):
            """Adds."""
            return a + b

        return combine(a, b), Feedback({1: 0.5, 2: 1.0}[a.data])


class Trap(Valley):
    """Whose author made a mistake that comes up at 5."""

    def forward(self, p, example):
        if p.x == 5:
            raise self.mistake
        return super().forward(p, example)

    mistake: BaseException = RuntimeError("the author's")


EVERY_KIND = Problem(
    "t", {}, "o",
    (
        Parameter("n", Number(), 1.0),
        Parameter("k", Number(0, 9, integer=True), 1),
        Parameter("c", Choice([True, False, "auto"]), True),
        Parameter("p", Prompt(), "hello"),
        Parameter("f", Code("f(x)"), "def f(x):\n    return x\n"),
        Parameter("order", Permutation(3), [0, 1, 2]),
    ),
    (0.0, 1.0),
)  # fmt: skip
"""A problem with a parameter of each kind, for what reads answers."""


class AskedInside(OptoEnv):
    """A prompt for a model inside the task, which is asked twice about each example; code reads the answers."""

    objective, scores, batch, uses_model = "Make the answers right.", (0.0, 1.0), 8, True
    splits = {"train": range(20), "test": range(20, 32)}
    overlapping_splits = True
    parameters = (
        Parameter("prompt", Prompt(200), "Count."),
        Parameter("read", Code("read(answer)"), "def read(answer):\n    return answer\n"),
    )

    def forward(self, p, example):
        @operator
        def model(prompt, number):
            """Asks the model."""
            return self.llm.chat([{"role": "user", "content": f"{prompt} {number}"}], max_tokens=9).text

        # the same question twice, and one that several examples ask
        return (
            p.read(model(p.prompt, example)) + p.read(model(p.prompt, example)) + p.read(model(p.prompt, example % 3))
        )

    def judge(self, output, example):
        return Feedback(len(output) % 7 / 7, (Part("reward", f"{output} for {example}"),))
