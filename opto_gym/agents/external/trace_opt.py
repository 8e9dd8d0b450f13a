"""trace-opt, the Trace paper's own package: OptoPrime, and OPRO as the paper ran it.

Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024; https://github.com/microsoft/Trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...utils.checks import at_least
from .package import PackageAgent


class TraceOptOptoPrime(PackageAgent):
    """OptoPrime of trace-opt 0.1.3.8: one proposal an update, from the trace and the feedback.

    Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024, section 4. The oracle's trace is rebuilt in
    trace-opt's nodes, so that its optimizer reads the graph of the task. The time of its backward pass is quadratic in
    the size of the trace.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        memory_size: The number of past updates that the prompt shows.
        max_tokens: The tokens of an answer.
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
        at_least(0, memory_size=memory_size)
        super().__init__({"optimizer": self.optimizer, "memory_size": memory_size}, max_tokens=max_tokens, **settings)


class TraceOptOPRO(TraceOptOptoPrime):
    """OPRO of trace-opt 0.1.3.8, as the Trace paper ran it: the prompt has the parameters and feedback of all updates.

    Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024, section 5. It does not see the trace.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        memory_size: Has no effect, since its prompt shows all past updates.
        max_tokens: The tokens of an answer.
        settings: `External`'s.
    """

    optimizer: ClassVar[str] = "OPRO"
