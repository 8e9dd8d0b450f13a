"""textgrad, the TextGrad paper's own package.

Yuksekgonul et al., "TextGrad: Automatic 'Differentiation' via Text", 2024, arXiv:2406.07496;
https://github.com/zou-group/textgrad.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...utils.checks import at_least, number_in
from .package import Package


class TextGradPackage(Package):
    """TextGrad as textgrad 0.1.8 has it: a model criticises each parameter, another call writes its new value.

    The oracle is a function of the parameters, as its ``StringBasedFunction`` is; what that gives is our trace and
    feedback in words, so a step takes two calls of the model for each parameter. Each parameter has an optimizer
    (``TextualGradientDescent``) of its own, which is told its constraint. The package shows the first and the last ten
    words of a value; the trace has it whole, as far as it goes.

    The model is asked through an engine of ours, which sends what the package's own for OpenAI does, but keeps no
    answers on disk. An answer without the tag that the package asks for, at which it raises ``IndexError``, leaves its
    parameter as it was and counts as invalid, and so does a prompt that is longer than the model can take.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        batch_size: Examples of a step, drawn anew without replacement, as the paper's 3; None takes the task's own.
        validate: Take a step back that lowers the score on val, where there is one; an oracle call on all of val for
            the start and for each step.
        temperature: Of all calls.
        max_tokens: Tokens of an answer.
        settings: `External`'s.
    """

    program: ClassVar[str] = "with_textgrad.py"
    kinds: ClassVar[Mapping[str, str]] = {
        "Number": "as text",
        "Choice": "as text",
        "Permutation": "as text",
        "Prompt": "native",
        "Code": "native",
    }

    def __init__(
        self,
        *,
        batch_size: int | None = None,
        validate: bool = False,
        temperature: float = 0.0,
        max_tokens: int = 2000,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        at_least(1, max_tokens=max_tokens, **({} if batch_size is None else {"batch_size": batch_size}))
        number_in("[0, inf)", temperature=temperature)
        self.settings = {
            "batch_size": batch_size,
            "validate": validate,
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
