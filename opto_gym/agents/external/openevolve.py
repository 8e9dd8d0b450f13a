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
from .package import PackageAgent


class OpenEvolve(PackageAgent):
    """OpenEvolve 0.4.0: populations of programs on islands, where a model writes each child as a change of its parent.

    Sharma, "OpenEvolve", 2025, after Novikov et al., "AlphaEvolve", 2025. The program is one Python file with all
    parameters: code as functions, other values as ``NAME = literal``. The parameters are read from the file, and only
    the oracle runs them; other statements in the file (imports, helper functions) are part of every code parameter.
    Where the only parameter is a text, it is the whole file, and is rewritten instead of changed by diffs. The fitness
    is the reward. The feedback and the trace are shown as the parent's artifacts, and the objective and the constraints
    as the system message.

    As in OpenEvolve, the budget counts iterations: an iteration whose answer can't be used (without a diff, with one
    that fits nowhere, or a file that lacks a parameter) counts as invalid and is lost, without an oracle call. There
    are as many iterations as oracle calls, or 10,000 where these are unlimited, and one worker. It draws by the trial's
    seed, but sorts by names that are random in each run, so runs do not repeat.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        num_islands: The number of populations.
        diff_based_evolution: Ask for SEARCH/REPLACE blocks instead of the whole file.
        temperature: The temperature of all calls.
        max_tokens: The tokens of an answer.
        send_seed: Send the same seed with each request, which is the package's default. An endpoint that uses it gives
            equal answers to equal prompts, and the first prompts of all islands are equal: where their answer can't be
            used, the program never changes.
        timeout: The seconds after which a call is repeated, up to four times.
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
        at_least(1, num_islands=num_islands, timeout=timeout)
        number_in("[0, inf)", temperature=temperature)
        package_settings = {
            "num_islands": num_islands,
            "diff_based_evolution": diff_based_evolution,
            "temperature": temperature,
            "send_seed": send_seed,
            "timeout": timeout,
        }
        super().__init__(package_settings, max_tokens=max_tokens, **settings)

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """As `External.unsupported_reason`; and names in a file must be distinct and not Python's keywords."""
        names = Counter(p.space.function if isinstance(p.space, Code) else p.name for p in problem.parameters)
        bad = [name for name, n in names.items() if n > 1 or keyword.iskeyword(name)]
        if bad:
            return f"{cls.__name__} keeps all parameters in one file, which can't hold {', '.join(bad)}"
        return super().unsupported_reason(problem)
