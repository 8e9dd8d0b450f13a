"""openevolve, an open evolutionary coding agent: MAP-Elites with islands over one program.

Sharma, "OpenEvolve: an open-source evolutionary coding agent", 2025; https://github.com/algorithmicsuperintelligence/openevolve;
after Novikov et al., "AlphaEvolve: A coding agent for scientific and algorithmic discovery", 2025.
"""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

from ...problems import Problem
from ...spaces import Code
from ...utils.checks import at_least, number_in
from .package import Package


class OpenEvolve(Package):
    """OpenEvolve 0.4.0: a population of programs on islands, each child a change of a parent that a model writes.

    The program is one Python file that holds all parameters: code as its functions, anything else as
    ``NAME = literal``. It is read back, and run by the oracle alone; what else stands in the file (imports, helpers)
    goes with every code parameter. One text alone is the whole file, which is then rewritten rather than changed by
    diffs. The fitness is our reward; feedback and trace are shown as the parent's artifacts, the objective and the
    constraints as the system message.

    As in OpenEvolve, the budget counts iterations: an iteration whose answer can't be used (no diff, one that fits
    nowhere, a file without one of the parameters) counts as invalid and is lost, with no oracle call. There are as many
    iterations as oracle calls, 10,000 where these are unlimited. There is one worker. It draws by the trial's seed, but
    sorts by names that are drawn anew in each run, so runs do not repeat.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        num_islands: Populations beside each other.
        diff_based_evolution: Ask for SEARCH/REPLACE blocks rather than for the whole file.
        temperature: Of all calls.
        max_tokens: Tokens of an answer.
        send_seed: Send one and the same seed with each request, as it does by default. An endpoint that heeds it
            answers equal prompts alike, and the first are equal, one for each island: where their answer can't be used,
            nothing changes any more.
        timeout: Seconds of a call, after which it is made again, up to four times.
        settings: `External`'s.
    """

    program: ClassVar[str] = "with_openevolve.py"
    deterministic: ClassVar[bool] = False
    kinds: ClassVar[Mapping[str, str]] = {
        "Number": "as a literal in the file",
        "Choice": "as a literal in the file",
        "Permutation": "as a literal in the file",
        "Prompt": "as the whole file, or a literal in it beside others",
        "Code": "native",
    }

    def __init__(
        self,
        *,
        num_islands: int = 5,
        diff_based_evolution: bool = True,
        temperature: float = 0.7,
        max_tokens: int = 4096,
        send_seed: bool = True,
        timeout: int = 60,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        at_least(1, num_islands=num_islands, max_tokens=max_tokens, timeout=timeout)
        number_in("[0, inf)", temperature=temperature)
        self.settings = {
            "num_islands": num_islands,
            "diff_based_evolution": diff_based_evolution,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "send_seed": send_seed,
            "timeout": timeout,
        }

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """Also where one file can't hold the parameters: two of a name, or one with a word of Python's."""
        names = Counter(p.space.function if isinstance(p.space, Code) else p.name for p in problem.parameters)
        bad = [name for name, n in names.items() if n > 1 or keyword.iskeyword(name)]
        if bad:
            return f"{cls.__name__} keeps all parameters in one file, which can't hold {', '.join(bad)}"
        return super().unsupported_reason(problem)
