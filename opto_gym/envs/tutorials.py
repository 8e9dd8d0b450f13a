"""Tasks of the Trace library's tutorials, re-made: a greeting, a strange order, a regression in batches."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core import Anchors, Feedback, OptoEnv, Parameter, Parameters, Part
from ..spaces import Code, Number, Prompt
from ..trace import node, operator
from ..trace.values import short

# ------------------------------------------------------------------ the greeting
WORDS = {"en": "Hello", "es": "Hola"}
TRAIN_NAMES = ("Juan", "Maria", "Peter", "Ana", "Lucy", "Carlos", "Emma", "Diego", "Grace", "Mary Ann")
TEST_NAMES = ("Sofia", "Tom", "Elena", "Henry", "Pablo", "Alice", "Luis", "Rose", "Jose Luis", "Irene")
PHRASES = {
    "en": (
        ("Hello,", "Hi,", "Good morning,", "Hey there,", "Good evening,"),
        ("I am {}", "I'm {}", "my name is {}", "this is {}"),
        ("", " I need a lamp.", " Do you sell chairs?", " Can you help me?"),
    ),
    "es": (
        ("Hola,", "Buenos días,", "Buenas tardes,", "Qué tal,", "Buenas noches,"),
        ("soy {}", "me llamo {}", "mi nombre es {}", "aquí {}"),
        ("", " Busco una lámpara.", " ¿Venden sillas?", " ¿Me puede ayudar?"),
    ),
}

Customer = dict[str, str]

START_LANGUAGE = '''def decide_language(query):
    """Decides the language of the customer's query: "en" or "es"."""
    return
'''
START_NAME = '''def extract_name(query):
    """Finds the customer's name in the query."""
    return ""
'''
LANGUAGE = '''def decide_language(query):
    """Spanish is known by its phrases."""
    spanish = ("hola", "buenos", "buenas", "qué tal", "soy ", "me llamo", "mi nombre", "aquí ")
    return "es" if any(phrase in query.lower() for phrase in spanish) else "en"
'''
NAME = '''import re


def extract_name(query):
    """The words after the phrase that introduces it, up to the end of the sentence."""
    found = re.search(r"(?:I am|I'm|my name is|this is|soy|me llamo|mi nombre es|aquí) ([^.,!?]+)", query)
    return found.group(1) if found else ""
'''


def customers(names: Sequence[str], seed: int) -> list[Customer]:
    """What customers of these names say, each in both languages with every opening, shuffled."""
    rng = np.random.default_rng([20241210, seed])
    said = []
    for name in names:
        for language, (openings, phrases, requests) in PHRASES.items():
            for opening in openings:
                phrase, request = (part[int(rng.integers(len(part)))] for part in (phrases, requests))
                query = f"{opening} {phrase.format(name)}.{request}"
                said.append({"query": query, "name": name, "language": language})
    return [said[int(k)] for k in rng.permutation(len(said))]


class Greeting(OptoEnv):
    """Greet customers by name, in their language.

    ## Description
    A customer says a sentence in English or Spanish. Code decides the language, code finds the name, and the text for
    that language is filled in. After the greeting agent of the Trace library's tutorials (github.com/microsoft/Trace),
    re-made without a language model: there, two texts instruct a model that decides and extracts, here, code does,
    and the two texts are the greetings; there, one customer is tried, here, customers of train and test.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `decide_language` | `Code("decide_language(query)")` | returns nothing |
    | `english` | `Prompt(200)` | "Hola, {name}!" |
    | `spanish` | `Prompt(200)` | "Hola, {name}!" |
    | `extract_name` | `Code("extract_name(query)")` | returns "" |

    ## Observation
    The graph of each greeting of the batch (query, language, text, name, greeting), and the feedback.

    ## Reward
    The score: the mean over the batch of 1 for a right greeting, 0.5 where only its first word or only its name is
    right, 0 else; higher is better. Right is "Hello" or "Hola", the name, and nothing else but spaces and ",.!¡".

    ## Feedback
    * reward: "Half right."
    * hindsight_positive: "The language is right."
    * hindsight_negative: "The customer speaks English: 'Hola, !' begins wrongly.", "'Hola, !' does not name the
      customer alone, after one word."
    * future_positive: "The greeting should be: Hello, Mary Ann!"

    ## Start
    Greets everybody with "Hola, !".

    ## End
    After `oracle_calls` steps.

    ## Score and anchors
    Train is 100 customers, test 100 others, of other names. Linear scale, anchors of 2026-11: the start scores 0.25,
    the reference solution 1.0.

    ## Arguments
    * `batch`: customers an oracle call, 3.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`.

    ## Kind, cost and source
    A distribution (customers). An example is `{"query", "name", "language"}`. An oracle call takes 45 to 110 ms, the
    test split 2.3 s; no language model. Source: the tutorial, from its description; the sentences are ours
    (MIT, as the package).

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = (
        "Change the code and the texts so that each customer is greeted in the language of the query, by name: "
        "'Hello, Ann!' in English, 'Hola, Ann!' in Spanish."
    )
    scores = (0.0, 1.0)
    splits: Mapping[str, Sequence[Any]] = {"train": customers(TRAIN_NAMES, 0), "test": customers(TEST_NAMES, 1)}
    feedback_kinds = ("reward", "hindsight_positive", "hindsight_negative", "future_positive")
    parameters = (
        Parameter("decide_language", Code("decide_language(query)"), START_LANGUAGE, 'Gives "en" or "es".'),
        Parameter("english", Prompt(200), "Hola, {name}!", "The greeting in English; {name} is filled in."),
        Parameter("spanish", Prompt(200), "Hola, {name}!", "The greeting in Spanish; {name} is filled in."),
        Parameter("extract_name", Code("extract_name(query)"), START_NAME, "Finds the customer's name."),
    )
    anchors = Anchors(0.25, 1.0, "2026-11", "code that knows the phrases, on the 100 test customers")

    def __init__(self, *, batch: int = 3, **keywords: Any) -> None:
        self.batch = batch
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """One greeting."""

        @operator
        def choose(language: Any, english: str, spanish: str) -> str:
            """The text for the language: english for "en", spanish for everything else."""
            return english if language == "en" else spanish

        @operator
        def fill(text: str, name: Any) -> str:
            """The text with the name (at most 100 characters of it) in the place of {name}."""
            if not isinstance(name, str):
                raise TypeError(f"expected the name to be text, got {type(name).__name__}")
            return text.replace("{name}", name[:100])

        query = node(example["query"], "query")
        text = choose(p.decide_language(query), p.english, p.spanish)
        return fill(text, p.extract_name(query))

    def judge(self, output: Any, example: Any) -> Feedback:
        """Whether the first word and the name are right."""
        word = WORDS[example["language"]]
        first, *rest = re.split(r"[\s,.!¡]+", output.strip(" ,.!¡"), maxsplit=1)
        named = "".join(rest) == example["name"]
        spoken = first == word
        score = (spoken + named) / 2
        speaks = {"en": "English", "es": "Spanish"}[example["language"]]
        said = [Part("reward", ("Wrong.", "Half right.", "Right.")[int(2 * score)])]
        for right, good, bad in (
            (spoken, "The language is right.", f"The customer speaks {speaks}: {output!r:.80} begins wrongly."),
            (named, "The name is right.", f"{output!r:.80} does not name the customer alone, after one word."),
        ):
            said.append(Part("hindsight_positive", good) if right else Part("hindsight_negative", bad))
        if score < 1:
            said.append(Part("future_positive", f"The greeting should be: {word}, {example['name']}!"))
        return Feedback(score, tuple(said), score == 1.0)

    def reference_solution(self) -> dict[str, Any]:
        """Code that knows the phrases of both languages."""
        texts = {"english": "Hello, {name}!", "spanish": "Hola, {name}!"}
        return {"decide_language": LANGUAGE, **texts, "extract_name": NAME}

    def render(self) -> Any:
        """The last batch's greetings, as a picture or as text."""
        if self.last is None or self.render_mode is None:
            return None
        graph, results = self.last.graph, self.last.per_example
        queries, greetings = (
            [str(n.value) for n in graph.nodes if graph.operators[n.operator].name == name]
            for name in ("query", "fill")
        )
        if len(greetings) < len(results):  # some code raised
            return draw_table(self, [])
        right = [r.feedback.success for r in results]
        return draw_table(self, list(zip(queries, greetings, right, strict=True)))


# ------------------------------------------------------------------ the strange order
START_SORT = '''def strange_sort_list(lst):
    """Gives the numbers in the strange order: the smallest, then the largest of the rest, then again the smallest of
    the rest, and so on."""
    return sorted(lst)
'''
SORT = '''def strange_sort_list(lst):
    """Takes from the two ends of the sorted list in turn."""
    rest = sorted(lst)
    return [rest.pop(-(k % 2)) for k in range(len(lst))]
'''


def strange(numbers: Sequence[int]) -> list[int]:
    """The smallest, the largest of the rest, the smallest of the rest, and so on."""
    rest = sorted(numbers)
    return [rest.pop(-(k % 2)) for k in range(len(numbers))]


def number_lists(seed: int) -> list[list[int]]:
    """Five lists: one of up to two numbers, which any sorting gets right, and four of 3 to 9, which it does not."""
    rng = np.random.default_rng([20240614, seed])
    lists = [rng.integers(-20, 21, size=int(rng.integers(3))).tolist()]
    while len(lists) < 5:
        numbers = rng.integers(-20, 21, size=int(rng.integers(3, 10))).tolist()
        if strange(numbers) not in (sorted(numbers), numbers):
            lists.append(numbers)
    return lists


class StrangeSortList(OptoEnv):
    """Write a function that sorts in an unusual order.

    ## Description
    One code parameter is tried on lists of numbers. After the code tutorial of the Trace library
    (github.com/microsoft/Trace), whose task is problem 70 of HumanEval (Chen et al., "Evaluating Large Language Models
    Trained on Code", 2021), re-made: the tests are drawn by seed and split into train and test, the code runs in the
    sandbox, and the feedback names the wrong answers.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `strange_sort_list` | `Code("strange_sort_list(lst)")` | returns `sorted(lst)` |

    ## Observation
    The graph (each list, the answer, the check, the tally), and the feedback.

    ## Reward
    The score: the share of right answers, 0 to 1; higher is better. Code that raises scores 0.

    ## Feedback
    * reward: "1 of 5 lists are right."
    * hindsight_positive: "Right: [7]."
    * hindsight_negative: "Wrong: [3, 1, 2] gave [1, 2, 3]."
    * future_positive: "It should give [1, 3, 2] for [3, 1, 2]."

    ## Start
    Sorts as usual.

    ## End
    After `oracle_calls` steps.

    ## Score and anchors
    Train has 10^6 examples, test 100 others that no call ever draws. Linear scale, anchors of 2026-11: the start scores
    0.2 (of each example's five lists the one of up to two numbers), the reference solution 1.0.

    ## Arguments
    * `batch`: examples an oracle call, 1.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`.

    ## Kind, cost and source
    A distribution (lists). An example is a number, the seed of five lists. An oracle call takes 15 to 50 ms, the test
    split 3 s; no language model, no data set: neither text nor tests are HumanEval's (which is under the MIT licence).

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = "Change the code of strange_sort_list so that it gives every list in the strange order."
    scores = (0.0, 1.0)
    splits: Mapping[str, Sequence[Any]] = {"train": range(10**6), "test": range(10**9, 10**9 + 100)}
    feedback_kinds = ("reward", "hindsight_positive", "hindsight_negative", "future_positive")
    parameters = (
        Parameter("strange_sort_list", Code("strange_sort_list(lst)"), START_SORT, "Sorts in the strange order."),
    )
    anchors = Anchors(0.2, 1.0, "2026-11", "code that takes from both ends of the sorted list")

    def __init__(self, *, batch: int = 1, **keywords: Any) -> None:
        self.batch = batch
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """Five lists."""

        @operator
        def check(answer: Any, lst: list[int]) -> bool:
            """Whether the answer is the list in the strange order."""
            return bool(answer == strange(lst))

        @operator
        def tally(*checks: bool) -> float:
            """The share of right answers."""
            return sum(checks) / len(checks)

        lists = number_lists(example)
        given = [node(numbers, "lst") for numbers in lists]
        answers = [p.strange_sort_list(lst) for lst in given]
        checks = [check(answer, lst) for answer, lst in zip(answers, given, strict=True)]
        results = [(n, a.data, c.data) for n, a, c in zip(lists, answers, checks, strict=True)]
        return tally(*checks), self._said(results)

    def _said(self, results: list[tuple[list[int], Any, bool]]) -> Feedback:
        right = [numbers for numbers, _, good in results if good]
        wrong = [(numbers, answer) for numbers, answer, good in results if not good]
        said = [Part("reward", f"{len(right)} of {len(results)} lists are right.")]
        if right:
            said.append(Part("hindsight_positive", f"Right: {', '.join(map(str, right))}."))
        if wrong:
            some = "; ".join(f"{numbers} gave {answer!r:.80}" for numbers, answer in wrong)
            should = "; ".join(f"{strange(numbers)} for {numbers}" for numbers, _ in wrong)
            said += [
                Part("hindsight_negative", f"Wrong: {some}."),
                Part("future_positive", f"It should give {should}."),
            ]
        shown = [[str(numbers), f"{answer!r:.80}", good] for numbers, answer, good in results]
        return Feedback(len(right) / len(results), tuple(said), not wrong, metrics={"shown": shown})

    def reference_solution(self) -> dict[str, Any]:
        """Takes from the two ends of the sorted list in turn."""
        return {"strange_sort_list": SORT}

    def render(self) -> Any:
        """The last example's lists and answers, as a picture or as text."""
        if self.last is None or self.render_mode is None:
            return None
        return draw_table(self, self.last.metrics.get("shown", []))


# ------------------------------------------------------------------ the regression in batches
class BatchRegression(OptoEnv):
    """Find the weights of a linear function from batches of points.

    ## Description
    y = w1 x1 + ... + b with hidden numbers, without noise. Each oracle call shows a new batch of points, with the error
    at each. After the mini-batch tutorial of the Trace library (github.com/microsoft/Trace), re-made: there, five
    points of one line (y = 2 x - 3) are shown again and again, here, batches are drawn by seed, there may be several
    features, and test is other points.

    ## Parameters (action space)
    | name | space | start |
    | --- | --- | --- |
    | `w1`, `w2`, ... | `Number(-100, 100)` | 0.0 |
    | `b` | `Number(-100, 100)` | 0.0 |

    ## Observation
    The graph of each point of the batch (x, prediction, y, squared error), and the feedback.

    ## Reward
    Minus the score; the score is the mean squared error.

    ## Feedback
    * reward: "Squared error 25."
    * hindsight_positive: "The prediction 3 is right."
    * hindsight_negative: "The prediction 0 is 5 too low."

    ## Start
    All zero.

    ## End
    After `oracle_calls` steps.

    ## Score and anchors
    Train has 10^6 points, test 100 others. Log scale, anchors of 2026-11: 0 is the start's own score (by default
    206.97), 1 is score 0.

    ## Arguments
    * `problem`: 0 to 99, which hidden numbers: multiples of 0.5 from -5 to 5, none zero.
    * `features`: 1 to 8, 2.
    * `batch`: points an oracle call, 5.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`.

    ## Kind, cost and source
    A distribution (points). An example is a number, the seed of a point. An oracle call takes 0.6 to 2 ms, the test
    split 0.05 s; no language model, no data set. Source: the tutorial, from its description.

    ## Version history
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    objective = "Change the weights and b so that the predictions equal y, for all points, also those not shown."
    scores = (1e8, 0.0)
    splits: Mapping[str, Sequence[Any]] = {"train": range(10**6), "test": range(10**9, 10**9 + 100)}
    feedback_kinds = ("reward", "hindsight_positive", "hindsight_negative")
    anchors = Anchors(None, 0.0, "2026-11", "the hidden numbers, by construction")
    scale = "log"

    def __init__(self, *, problem: int = 0, features: int = 2, batch: int = 5, **keywords: Any) -> None:
        if type(problem) is not int or not 0 <= problem < 100:
            raise ValueError(f"BatchRegression: expected a problem from 0 to 99, got {problem!r}")
        if type(features) is not int or not 1 <= features <= 8:
            raise ValueError(f"BatchRegression: expected 1 to 8 features, got {features!r}")
        self.batch, self.features = batch, features
        rng = np.random.default_rng([20240705, problem, features])
        halves = rng.integers(1, 11, size=features + 1) * rng.choice((-1, 1), size=features + 1)
        self.hidden = [float(k) / 2 for k in halves]
        names = [*(f"w{k}" for k in range(1, features + 1)), "b"]
        what = [*(f"the weight of x[{k}]" for k in range(features)), "the intercept"]
        self.parameters = tuple(
            Parameter(name, Number(-100, 100), 0.0, text) for name, text in zip(names, what, strict=True)
        )
        super().__init__(**keywords)

    def forward(self, p: Parameters, example: Any) -> Any:
        """One point's squared error."""

        @operator
        def predict(x: list[int], b: float, *weights: float) -> float:
            """Adds up b and each weight times its feature."""
            return b + sum(w * v for w, v in zip(weights, x, strict=True))

        @operator
        def squared_error(prediction: float, y: float) -> float:
            """The squared difference between prediction and y."""
            return float((prediction - y) ** 2)

        x, y = self.point(example)
        *proposed, intercept = p.values()
        prediction = predict(node(x, "x"), intercept, *proposed)
        output = squared_error(prediction, node(y, "y"))
        return output, self._said(prediction.data, y, output.data)

    def point(self, example: int) -> tuple[list[int], float]:
        """The features x of an example, and y."""
        x = [int(v) for v in np.random.default_rng([20240706, example]).integers(-10, 11, size=self.features)]
        *weights, b = self.hidden
        return x, b + sum(w * v for w, v in zip(weights, x, strict=True))

    def _said(self, prediction: float, y: float, error: float) -> Feedback:
        reward = Part("reward", f"Squared error {error:g}.")
        if error < 1e-12:
            right = Part("hindsight_positive", f"The prediction {prediction:g} is right.")
            return Feedback(error, (reward, right), True)
        way = "low" if prediction < y else "high"
        off = f"The prediction {prediction:g} is {abs(prediction - y):g} too {way}."
        return Feedback(error, (reward, Part("hindsight_negative", off)))

    def reference_solution(self) -> dict[str, Any]:
        """The hidden numbers."""
        return dict(zip((p.name for p in self.parameters), self.hidden, strict=True))

    def render(self) -> Any:
        """The last proposal: its predictions for 60 points of train as a picture, or a line of text."""
        if self.last is None or self.render_mode is None:
            return None
        graph = self.last.graph
        values = [graph.nodes[k].value for k in graph.parameters]
        title = f"mean squared error {self.last.score:.4g}"
        names = [p.name for p in self.parameters]
        if self.render_mode == "ansi":
            return f"{', '.join(f'{n} = {short(v, 40)}' for n, v in zip(names, values, strict=True))}: {title}\n"
        from .drawings import predictions

        points = [self.point(k) for k in range(60)]
        *weights, b = values if self.last.error is None else [0.0] * len(names)
        proposed = [b + sum(w * v for w, v in zip(weights, x, strict=True)) for x, _ in points]
        return predictions([y for _, y in points], proposed, title)


def draw_table(env: OptoEnv, rows: Sequence[Sequence[Any]]) -> Any:
    """What went in and what came out, as `env.render_mode` wants it."""
    assert env.last is not None
    said = f"score {env.last.score:.2f}" if env.last.error is None else f"error: {env.last.error[:90]}"
    if env.render_mode == "ansi":
        marked = (f"{'right' if right else 'wrong'}: {given} -> {answer}\n" for given, answer, right in rows)
        return "".join(marked) + f"{said}\n"
    from .drawings import table

    return table([(given, answer, right) for given, answer, right in rows], said)
