"""trace-opt, the Trace paper's own package: OptoPrime and its OPRO.

Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024; https://github.com/microsoft/Trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...utils.checks import at_least
from .package import Package


class TraceOptOptoPrime(Package):
    """OptoPrime as trace-opt 0.1.3.8 has it: one proposal an update, from the trace and the feedback.

    Our trace is rebuilt in trace-opt's nodes, so its optimizer reads the graph of our task. The time of its backward
    pass grows with the square of the trace.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        memory_size: Past updates that the prompt shows.
        max_tokens: Tokens of the answer.
        settings: `External`'s.
    """

    program: ClassVar[str] = "with_trace_opt.py"
    optimizer: ClassVar[str] = "OptoPrime"
    kinds: ClassVar[Mapping[str, str]] = {
        "Number": "native",
        "Choice": "as a value with its options as the constraint",
        "Permutation": "as a list with its constraint",
        "Prompt": "native",
        "Code": "native",
    }

    def __init__(self, *, memory_size: int = 0, max_tokens: int = 4096, **settings: Any) -> None:
        super().__init__(**settings)
        at_least(0, memory_size=memory_size)
        at_least(1, max_tokens=max_tokens)
        self.settings = {"optimizer": self.optimizer, "memory_size": memory_size, "max_tokens": max_tokens}


class TraceOptOPRO(TraceOptOptoPrime):
    """OPRO as the Trace paper ran it and trace-opt 0.1.3.8 has it: parameters and feedback of all updates, no trace.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        memory_size: Has no effect: its prompt shows all past updates.
        max_tokens: Tokens of the answer.
        settings: `External`'s.
    """

    optimizer: ClassVar[str] = "OPRO"
