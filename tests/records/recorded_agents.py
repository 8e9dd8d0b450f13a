"""The author's module that recorded trials name: small tasks and agents, kept as they were when the records were made.

A record names what ran as ``module:Class``, so these definitions must not change.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from opto_gym import Code, Feedback, Number, OptoEnv, Parameter, Part, Prompt
from opto_gym.agents import Agent
from opto_gym.trace import node, operator

ANIMALS = ("cat", "dog", "hen", "owl", "fox", "cow", "bee", "ant")


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


class Adder(OptoEnv):
    """Code that has to add two numbers; three examples a call, and a validation split."""

    objective, scores, batch = "Make the code add a and b.", (0.0, 1.0), 3
    splits = {
        "train": [[i, i + 1] for i in range(50)],
        "val": [[7, 7], [1, 2]],
        "test": [[1000, k] for k in range(5)],
    }
    overlapping_splits = True
    parameters = (Parameter("add", Code("add(a, b)"), "def add(a, b):\n    return 0\n", "adds"),)

    def forward(self, p, example):
        a, b = example
        return p.add(node(a, "a"), b)

    def judge(self, output, example):
        right = output == sum(example)
        said = "Correct." if right else f"Expected {sum(example)}, got {output!r}."
        return Feedback(float(right), (Part("hindsight_positive" if right else "hindsight_negative", said),), right)


class Words(OptoEnv):
    """Two texts that have to hold each example's words, and a number beside them."""

    objective, scores = "Write all the animals into the texts.", (0.0, 10.0)
    splits = {
        "train": [list(ANIMALS[:n]) for n in range(1, 9)],
        "val": [list(ANIMALS[:4]), list(ANIMALS[2:])],
        "test": [list(ANIMALS)],
    }
    overlapping_splits = True
    parameters = (
        Parameter("times", Number(1, 3, integer=True), 2),
        Parameter("first", Prompt(500), "  Write of a cat.\n\n", "the first text"),
        Parameter("second", Prompt(500), "", "the second text"),
    )

    def forward(self, p, example):
        @operator
        def join(first, second, times):
            """Puts the texts together."""
            return f"{first} {second}" * times

        return join(p.first, p.second, p.times)

    def judge(self, output, example):
        missing = [word for word in example if word not in output]
        said = f"Missing: {', '.join(missing)}." if missing else "None is missing."
        share = 1 - len(missing) / len(example)
        return Feedback(10 * share, (Part("hindsight_negative", said),), not missing)


class Steps(Agent):
    """Draws a number a step; a generator."""

    def run(self):
        yield
        while True:
            yield {"x": int(self.rng.integers(-10, 3))}


class Populations(Agent):
    """Proposes three at once and recommends the best of the last three."""

    def run(self):
        yield
        while True:
            proposals = [{"x": int(v)} for v in self.rng.integers(-10, 10, size=3)]
            observations = yield proposals
            best = max(zip(observations, proposals, strict=True), key=lambda pair: pair[0].feedback.reward)
            self.own = best[1]

    def recommend(self):
        return getattr(self, "own", None)


class Parallel(Agent):
    """Four oracle calls at a time, in threads."""

    def optimize(self, problem, oracle):
        with ThreadPoolExecutor(4) as pool:
            for k in range(100):
                list(pool.map(oracle, [{"x": (4 * k + i) % 7 - 9} for i in range(4)]))


class Choosing(Agent):
    """Chooses its examples, and recommends other parameters than the best."""

    def optimize(self, problem, oracle):
        for body in ("return 1", "return a", "return a + b"):
            values = {"add": f"def add(a, b):\n    {body}\n"}
            oracle(values, examples=[0, 1], split="train")
            oracle(values, split="val")
        self.own = values

    def recommend(self):
        return getattr(self, "own", None)


class Asking(Agent):
    """Asks a model for each step."""

    uses_model = True

    def propose(self, observation):
        text = self.llm.chat([{"role": "user", "content": f"after {observation.feedback.score}"}], max_tokens=5).text
        try:
            return {"x": int(text) % 5 - 8}
        except ValueError:
            self.invalid("no number")
            return {"x": -9}


class Failing(Agent):
    """Raises after its first proposal."""

    def run(self):
        yield
        yield {"x": 1}
        raise RuntimeError("out of ideas")


class Forgetful(Agent):
    """Proposes something else each time it runs, so an interrupted attempt can't be continued."""

    deterministic = False
    uses_model = True

    def propose(self, observation):
        text = self.llm.chat([{"role": "user", "content": f"after {observation.feedback.score}"}], max_tokens=5).text
        return {"x": (len(text) * 7) % 11 - 9}
