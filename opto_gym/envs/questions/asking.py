"""The base class of tasks that ask a language model the questions of a data set and check its answers."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ...core import OptoEnv
from ...data import store as data_sets
from ...problems import Feedback, Part
from ...reading import task_answers as answers
from ...utils.checks import at_least
from ..drawing.scenes import Picture, to_array

if TYPE_CHECKING:
    from ...llm import Answer

MAX_PROMPT_CHARACTERS = 50_000  # about 12,000 tokens, a bound on the cost of a call
Split = Sequence[Mapping[str, str]]

_CUT: ContextVar[list[str]] = ContextVar("cut replies")


class QuestionEnv(OptoEnv):
    """A data set's questions, which the task's language model (`llm`) answers at temperature 0.

    An example is ``{"input": question, "target": right answer}``. A subclass defines `make_splits`.

    Args:
        batch: Examples per oracle call.
        max_tokens: The most tokens of a reply.
        data: The folder of the data files; None for the default folder, ``"sample"`` for the examples in the package.
        **keywords: Those of `OptoEnv`.

    Attributes:
        answer_kind: The kind of answer that `reading.task_answers` reads, such as ``"integer"``.
        tells_of_cuts: Whether the feedback on a wrong answer says that a reply ended by length.
        rule: How answers are compared with their targets, of `reading.task_answers.RULES`.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}
    scores = (0.0, 1.0)
    feedback_kinds: tuple[str, ...] = ("reward", "hindsight_negative", "future_positive")
    uses_model = True
    nondeterministic = True
    answer_kind: str
    rule: str = "lenient"
    tells_of_cuts = True

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
        self.splits = self.make_splits()
        super().__init__(**keywords)

    def make_splits(self) -> Mapping[str, Split]:
        """The examples by split, from files that `load` reads."""
        raise NotImplementedError

    def load(self, path: str) -> Split:
        """The examples of a file in the data folder; the trial's record holds the hash of the file."""
        examples, self.data_files[path] = data_sets.load(path, self.data)
        return examples

    def ask(self, prompt: Any, system: Any = None) -> str:
        """Asks the model one question and returns its reply.

        Args:
            prompt: The user message.
            system: The system message, or None.

        Raises:
            TypeError: If a message is not a text.
            ValueError: If a message is longer than `MAX_PROMPT_CHARACTERS`.
            RuntimeError: If the model's answer holds no usable reply.
        """
        for text in (prompt, "" if system is None else system):
            if not isinstance(text, str):
                raise TypeError(f"expected a prompt as text, got {type(text).__name__}")
            if len(text) > MAX_PROMPT_CHARACTERS:
                raise ValueError(f"expected a prompt of at most {MAX_PROMPT_CHARACTERS} characters, got {len(text)}")
        messages = [] if system is None else [{"role": "system", "content": system}]
        messages.append({"role": "user", "content": prompt})
        answer = self.llm.chat(messages, max_tokens=self.max_tokens, temperature=0.0)
        text = reply_text(answer)
        if answer.cut():
            cut_replies().append(text)
        return text

    def begin_example(self) -> None:
        """Forgets the replies to the example before; `forward` calls it first."""
        _CUT.set([])

    def read(self, text: str, *, cut: bool = False) -> str | None:
        """The answer in a text, of `answer_kind`; `cut` says whether the text ended by length."""
        return answers.read(self.answer_kind, text, cut=cut)

    def is_right(self, output: Any, target: str, *, rule: str | None = None, cut: bool = False) -> bool:
        """Whether an output is the target.

        Args:
            output: The answer.
            target: The right answer.
            rule: How they are compared; None for the environment's own `rule`.
            cut: Whether the output reaches to where a reply ended by length.
        """
        return answers.right(rule or self.rule, self.answer_kind, output, target, cut=cut)

    def judge(self, output: Any, example: Any, *, cut: bool = False) -> Feedback:
        """Compares the output with the target; the feedback gives the right answer where they differ.

        Args:
            output: The answer.
            example: The question with its target.
            cut: Whether the output reaches to where a reply ended by length.
        """
        target = example["target"]
        if self.is_right(output, target, cut=cut):
            return Feedback(1.0, (Part("reward", f"The answer is right: {target}"),), True)
        shown = repr(output)
        parts = [Part("reward", f"The answer is wrong: {shown if len(shown) <= 200 else shown[:197] + '...'}")]
        text = answers.text_of(output)
        if text is None or self.read(text, cut=cut) is None:
            parts.append(Part("hindsight_negative", f"No answer was found in it, which must be {self.expected}."))
        elif self.rule == "strict" and self.is_right(output, target, rule="lenient", cut=cut):
            parts.append(Part("hindsight_negative", "Only its form is wrong: it must be the answer alone, as text."))
        if self.tells_of_cuts and (replies := cut_replies()):
            parts.append(Part("hindsight_negative", self._about_cut(empty=not all(map(str.strip, replies)))))
        parts.append(Part("future_positive", f"The right answer is {target}"))
        return Feedback(0.0, tuple(parts))

    def _about_cut(self, empty: bool) -> str:
        limit = f"at the limit of {self.max_tokens} tokens (max_tokens)"
        if empty:
            return f"The model's reply ended {limit} before it said anything; a model that reasons needs more."
        return f"The model's reply was cut {limit}. What the cut touches does not count."

    @property
    def expected(self) -> str:
        """The form of an answer, in words."""
        return answers.EXPECTED[self.answer_kind]

    def render_text(self) -> str:
        """The last question, its answer and the feedback, each on a line."""
        return "\n".join(f"{name}: {text}" for name, text in self._last_exchange().items()) + "\n"

    def render_image(self) -> Picture:
        """The last question, its answer and the feedback; a green or red bar says whether the answer is right."""
        assert self.last is not None
        return _draw_exchange(self._last_exchange(), self.last.per_example[-1].feedback.success)

    def _last_exchange(self) -> dict[str, Any]:
        """The last question of the last call, what was asked and answered, and the feedback, by name."""
        assert self.last is not None
        last = self.last.per_example[-1]
        example = self.splits["train"][last.example] if type(last.example) is int else last.example
        return {"question": example["input"], **self.last.metrics, "feedback": str(last.feedback)}


def reply_text(answer: Answer) -> str:
    """The text of a model's answer.

    Raises:
        RuntimeError: If the answer holds no usable completion.
    """
    if answer.problem:
        raise RuntimeError(f"the model gave no reply: {answer.problem}")
    return answer.text


def cut_replies() -> list[str]:
    """The replies of the example at hand that ended by length."""
    return _CUT.get([])


def split_in_order(examples: Split, train: int, val: int) -> dict[str, Split]:
    """Splits examples, in their order, into train, val and the rest for test.

    Where there are too few examples, as in the package's sample, each split gets a third of them.

    Args:
        examples: The examples.
        train: The number of examples for training.
        val: The number of examples for validation.
    """
    if train + val >= len(examples):
        train = val = len(examples) // 3
    return {"train": examples[:train], "val": examples[train : train + val], "test": examples[train + val :]}


def _draw_exchange(rows: Mapping[str, Any], right: bool) -> Picture:
    """A bar of green or red, and each text beside its name, cut after six lines."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

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
