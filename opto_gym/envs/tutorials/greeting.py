"""Greet customers by name, in their language (a task of the Trace library's tutorials, reimplemented)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core import OptoEnv, Parameters
from ...problems import Anchors, Feedback, Parameter, Part
from ...spaces import Code, Prompt
from ...trace import node, operator
from ..drawing.scenes import Picture
from .table import table_image, table_text

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
    """Queries of customers, each with the name and the language that it has.

    Each name occurs in both languages with every opening, in shuffled order.

    Args:
        names: The customers' names.
        seed: Draws the phrases, the requests and the order.
    """
    rng = np.random.default_rng([20241210, seed])
    made = []
    for name in names:
        for language, (openings, phrases, requests) in PHRASES.items():
            for opening in openings:
                phrase, request = (part[int(rng.integers(len(part)))] for part in (phrases, requests))
                query = f"{opening} {phrase.format(name)}.{request}"
                made.append({"query": query, "name": name, "language": language})
    return [made[int(k)] for k in rng.permutation(len(made))]


class Greeting(OptoEnv):
    """Greet customers by name, in their language.

    ## Description
    A customer says a sentence in English or Spanish. One function decides the language, another finds the name, and the
    name is filled into the text for that language. The task follows the greeting agent of the Trace library's tutorials
    (github.com/microsoft/Trace), without a language model: there, two texts instruct a model that decides and extracts;
    here, code does both, and the two texts are the greetings. There, one customer is tried; here, there are customers
    for train and for test.

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
    The score, which is the mean over the batch: 1 for a right greeting, 0.5 where only its first word or only its name
    is right, else 0; higher is better. A right greeting has "Hello" or "Hola", the name, and else only spaces and
    ",.!¡".

    ## Feedback
    * reward: "Half right."
    * hindsight_positive: "The language is right."
    * hindsight_negative: "The customer speaks English: 'Hola, !' begins wrongly.", "'Hola, !' does not name the
      customer alone, after one word."
    * future_positive: "The greeting should be: Hello, Mary Ann!"

    ## Start
    The start values greet every customer with "Hola, !".

    ## End
    After `oracle_calls` steps.

    ## Score and anchors
    The train split has 100 customers, the test split 100 others with other names. Linear scale, anchors of 2026-11: the
    start values score 0.25, the reference solution 1.0.

    ## Arguments
    * `batch`: customers per oracle call; 3.
    * `oracle_calls`, `render_mode` (`"rgb_array"`, `"ansi"`), `feedback`. No `test_seed`: the sentences are few.

    ## Kind, cost and source
    A distribution of customers. An example is `{"query", "name", "language"}`. An oracle call takes 45 to 110 ms, the
    test split 2.3 s. The task uses no language model. Source: the tutorial, from its description; the sentences are our
    own (MIT licence, as the package).

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
        """Greets one customer."""

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
        """Checks the first word and the name of the greeting; each is half of the score."""
        word = WORDS[example["language"]]
        first, *rest = re.split(r"[\s,.!¡]+", output.strip(" ,.!¡"), maxsplit=1)
        name_right = "".join(rest) == example["name"]
        language_right = first == word
        score = (language_right + name_right) / 2
        speaks = {"en": "English", "es": "Spanish"}[example["language"]]
        parts = [Part("reward", ("Wrong.", "Half right.", "Right.")[int(2 * score)])]
        for right, good, bad in (
            (language_right, "The language is right.", f"The customer speaks {speaks}: {output!r:.80} begins wrongly."),
            (name_right, "The name is right.", f"{output!r:.80} does not name the customer alone, after one word."),
        ):
            parts.append(Part("hindsight_positive", good) if right else Part("hindsight_negative", bad))
        if score < 1:
            parts.append(Part("future_positive", f"The greeting should be: {word}, {example['name']}!"))
        return Feedback(score, tuple(parts), score == 1.0)

    def reference_solution(self) -> dict[str, Any]:
        """Code that knows the phrases of both languages."""
        texts = {"english": "Hello, {name}!", "spanish": "Hola, {name}!"}
        return {"decide_language": LANGUAGE, **texts, "extract_name": NAME}

    def render_text(self) -> str:
        """The queries and the greetings of the last call, and its score."""
        assert self.last is not None
        return table_text(self.last, self._last_greetings())

    def render_image(self) -> Picture:
        """The queries and the greetings of the last call as a table."""
        assert self.last is not None
        return table_image(self.last, self._last_greetings())

    def _last_greetings(self) -> list[tuple[str, str, bool]]:
        """(query, greeting, whether it is right) of each customer; empty where the code raised."""
        assert self.last is not None
        graph, results = self.last.graph, self.last.per_example
        queries, greetings = (
            [str(n.value) for n in graph.nodes if graph.operators[n.operator].name == name]
            for name in ("query", "fill")
        )
        if len(greetings) < len(results):
            return []
        return list(zip(queries, greetings, [r.feedback.success for r in results], strict=True))
