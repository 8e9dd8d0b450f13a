"""textgrad, the TextGrad paper's own package.

Yuksekgonul et al., "TextGrad: Automatic 'Differentiation' via Text", 2024, arXiv:2406.07496;
https://github.com/zou-group/textgrad.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...utils.checks import at_least, number_in
from .package import PackageAgent


class TextGradPackage(PackageAgent):
    """TextGrad of textgrad 0.1.8: one call of the model criticises a parameter, another one writes its new value.

    Yuksekgonul et al., "TextGrad: Automatic 'Differentiation' via Text", 2024, section 2. The oracle is a
    ``StringBasedFunction`` of the parameters, whose value is the trace and the feedback in words, so a step makes two
    calls of the model for each parameter. Each parameter has an optimizer (``TextualGradientDescent``) of its own,
    which gets its constraint. The package shows the first and the last ten words of a value; the trace shows all of it,
    as far as its length allows.

    The model is asked through an engine of opto_gym, which sends the same requests as the package's own engine for
    OpenAI, but keeps no answers on disk. The package raises ``IndexError`` at an answer without the tag that it asks
    for; here the parameter keeps its value and the answer counts as invalid. So it does where a prompt is longer than
    the model's context.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        batch_size: The number of examples in a step, drawn without replacement for each step, as the paper's 3; None
            takes the task's own.
        validate: Undo a step that lowers the score on val, where there is a val split; costs an oracle call on all of
            val for the start values and for each step.
        temperature: The temperature of all calls.
        max_tokens: The tokens of an answer.
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
        if batch_size is not None:
            at_least(1, batch_size=batch_size)
        number_in("[0, inf)", temperature=temperature)
        super().__init__(
            {"batch_size": batch_size, "validate": validate, "temperature": temperature},
            max_tokens=max_tokens,
            **settings,
        )
