"""The requests and answers of the evaluation server as structs, which check requests and describe them in `openapi`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec


class Proposal(msgspec.Struct, forbid_unknown_fields=True):
    """A value for each parameter. A bad value is not an error: the evaluation's feedback says what is wrong with it.

    With `texts`, a text is converted to its parameter's kind: "5.5" is 5.5 for a number.
    """

    parameters: dict[str, Any]
    texts: bool = False


class EvaluationRequest(Proposal):
    """A proposal, and the examples to evaluate it on, as indices into the split.

    Without `examples`, a batch of train is drawn, or the whole of val is taken.
    """

    examples: Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], msgspec.Meta(min_length=1)] | None = None
    split: Literal["train", "val"] = "train"


class InvalidAnswer(msgspec.Struct, forbid_unknown_fields=True):
    """Why an answer of the model could not be used."""

    reason: str


class Part(msgspec.Struct):
    """One statement about an output, of one kind, about one example of the batch where there are several."""

    kind: str
    content: str
    media: str
    example: int | None


class Evaluation(msgspec.Struct):
    """The answer of the oracle.

    `score` is the task's own metric. `reward` is the same with higher values better, and `rewards` has that of each
    example, in their order. `text` is the feedback of all parts in words, `trace` the run in pseudo-code, and `graph`
    the run as data. `left` is what is left of the budget, null where it is unlimited. When it is `over`, no further
    evaluation is possible.
    """

    score: float
    reward: float
    rewards: list[float]
    success: bool
    text: str
    parts: list[Part]
    trace: str
    graph: dict[str, Any]
    left: dict[str, float | None]
    over: bool


class NumberSpace(msgspec.Struct, tag_field="kind", tag="Number"):
    """A finite number; null means that there is no bound."""

    low: float | None
    high: float | None
    integer: bool


class ChoiceSpace(msgspec.Struct, tag_field="kind", tag="Choice"):
    """One of several values."""

    options: list[Any]


class PermutationSpace(msgspec.Struct, tag_field="kind", tag="Permutation"):
    """A list of the whole numbers 0 to `size` - 1, each once."""

    size: int


class PromptSpace(msgspec.Struct, tag_field="kind", tag="Prompt"):
    """Text of at most `max_length` characters."""

    max_length: int


class CodeSpace(msgspec.Struct, tag_field="kind", tag="Code"):
    """Python code that defines one function with this signature."""

    signature: str
    max_length: int


class Parameter(msgspec.Struct):
    """A trainable value; `constraint` describes its space in words."""

    name: str
    space: NumberSpace | ChoiceSpace | PermutationSpace | PromptSpace | CodeSpace
    start: Any
    description: str
    constraint: str


class Problem(msgspec.Struct):
    """The objective in words, and the parameters.

    `scores` are the worst and the best score. `examples` is the number of examples in each split that can be asked for.
    `runtime` says how code parameters run: their limits, and the functions that they may call.
    """

    id: str
    arguments: dict[str, Any]
    objective: str
    parameters: list[Parameter]
    scores: tuple[float, float]
    oracle_calls: int | None
    feedback_kinds: list[str]
    examples: dict[str, int]
    runtime: str = ""


class Task(msgspec.Struct):
    """A trial's task.

    The problem, the evaluation of its start values, the seed of all random choices, the trial's model (null if it has
    none), and the optimizer's settings.
    """

    problem: Problem
    start: Evaluation
    seed: int
    model: str | None
    settings: dict[str, Any]
