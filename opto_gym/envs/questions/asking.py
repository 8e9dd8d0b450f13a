"""What the tasks share that put questions of a data set to a language model and judge its answers."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import OptoEnv
from ...data import store as data_sets
from ...problems import Feedback, Part
from ...reading import task_answers as answers
from ...utils.checks import at_least

if TYPE_CHECKING:
    from ...llm import Answer

LONGEST_PROMPT = 50_000  # characters; some 12,000 tokens, which somebody pays
Split = Sequence[Mapping[str, str]]


class Asking(OptoEnv):
    """A data set's questions, put to the model inside the task (`llm`) at temperature 0.

    An example is ``{"input": question, "target": right answer}``.

    Attributes:
        kind: The kind of answer, of `answers.ANSWER_KINDS`.
        rule: How answers are compared with their targets, of `answers.RULES`.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    scores = (0.0, 1.0)
    feedback_kinds: tuple[str, ...] = ("reward", "hindsight_negative", "future_positive")
    uses_model = True
    nondeterministic = True
    kind: str
    rule: str = "lenient"

    def __init__(
        self,
        *,
        batch: int = 1,
        max_tokens: int = 1024,
        data: str | None = None,
        **keywords: Any,
    ) -> None:
        at_least(1, max_tokens=max_tokens)
        self.batch, self.max_tokens, self.data = batch, max_tokens, data
        self.data_files: dict[str, str] = {}
        self.splits = self.divide()
        super().__init__(**keywords)

    def divide(self) -> Mapping[str, Split]:
        """The examples by split."""
        raise NotImplementedError

    def load(self, path: str) -> Split:
        """The examples of a file in the data folder; its hash goes into the record."""
        examples, self.data_files[path] = data_sets.load(path, self.data)
        return examples

    def ask(self, prompt: Any, system: Any = None) -> str:
        """The model's reply.

        Args:
            prompt: The user's message.
            system: The system's, or None.

        Raises:
            TypeError, ValueError: For what can't be a prompt.
            RuntimeError: If the model's answer can't be used.
        """
        for text in (prompt, "" if system is None else system):
            if not isinstance(text, str):
                raise TypeError(f"expected a prompt as text, got {type(text).__name__}")
            if len(text) > LONGEST_PROMPT:
                raise ValueError(f"expected a prompt of at most {LONGEST_PROMPT} characters, got {len(text)}")
        messages = [] if system is None else [{"role": "system", "content": system}]
        messages.append({"role": "user", "content": prompt})
        return reply_of(self.llm.chat(messages, max_tokens=self.max_tokens, temperature=0.0))

    def judge(self, output: Any, example: Any) -> Feedback:
        """Right or wrong, and what would have been right."""
        target = example["target"]
        if answers.right(self.rule, self.kind, output, target):
            return Feedback(1.0, (Part("reward", f"The answer is right: {target}"),), True)
        said = repr(output)
        parts = [Part("reward", f"The answer is wrong: {said if len(said) <= 200 else said[:197] + '...'}")]
        text = answers.text_of(output)
        if text is None or answers.read(self.kind, text) is None:
            parts.append(Part("hindsight_negative", f"No answer was found in it, which must be {self.expected}."))
        elif self.rule == "strict" and answers.right("lenient", self.kind, output, target):
            parts.append(Part("hindsight_negative", "Only its form is wrong: it must be the answer alone, as text."))
        parts.append(Part("future_positive", f"The right answer is {target}"))
        return Feedback(0.0, tuple(parts))

    @property
    def expected(self) -> str:
        """What an answer looks like, in words."""
        return answers.EXPECTED[self.kind]

    def render(self) -> Any:
        """The last question with its answer (of a batch, the last one), as a picture (uint8, h x w x 3) or as text."""
        if self.last is None or self.render_mode is None:
            return None
        last = self.last.per_example[-1]
        example = self.splits["train"][last.example] if type(last.example) is int else last.example
        rows = {"question": example["input"], **self.last.metrics, "feedback": str(last.feedback)}
        if self.render_mode == "ansi":
            return "\n".join(f"{name}: {text}" for name, text in rows.items()) + "\n"
        return _card(rows, last.feedback.success)


def reply_of(answer: Answer) -> str:
    """What the model said.

    Raises:
        RuntimeError: If its answer can't be used.
    """
    if answer.problem:
        raise RuntimeError(f"the model gave no reply: {answer.problem}")
    return answer.text


def divided(examples: Split, train: int, val: int) -> dict[str, Split]:
    """Train, val and the rest for test, in order; thirds where there are too few examples, as in the sample."""
    if train + val >= len(examples):
        train = val = len(examples) // 3
    return {"train": examples[:train], "val": examples[train : train + val], "test": examples[train + val :]}


def _card(rows: Mapping[str, Any], right: bool) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """An exchange as a card: a line of green or red, and each text under its name, cut where it is long."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    from ..drawing.scenes import to_array

    figure = Figure(figsize=(7.2, 5.4), dpi=100, facecolor="#f6f8fa")
    figure.add_artist(Rectangle((0, 0.97), 1, 0.03, color="#5a9e6f" if right else "#d1495b"))
    y = 0.92
    for name, text in rows.items():
        lines = [part for line in str(text).splitlines() for part in textwrap.wrap(line, 84) or [""]] or [""]
        lines = lines if len(lines) <= 6 else [*lines[:5], "..."]
        figure.text(0.03, y, name, fontsize=9, weight="bold", color="#2c6e9b", va="top")
        figure.text(0.16, y, "\n".join(lines), fontsize=9, color="#223", va="top", family="monospace", parse_math=False)
        y -= 0.033 * len(lines) + 0.025
    return to_array(figure)
