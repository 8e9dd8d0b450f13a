"""gepa, the GEPA paper's own package.

Agrawal et al., "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning", 2025;
https://github.com/gepa-ai/gepa.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ...utils.checks import at_least
from .package import PackageAgent, one_of


class GEPA(PackageAgent):
    """GEPA of gepa 0.1.4: a pool of candidates, each the best on some example, which are changed by reflection.

    Agrawal et al., "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning", 2025. An evaluation of
    gepa, of a minibatch or of all of val, is one oracle call. The reflection model reads the objective, the parameter's
    description and constraint, the trace of the minibatch, and each example's reward and feedback; the prompt is gepa's
    default for prompts, and that of its ``optimize_anything`` for other kinds. Where a task has no val split, examples
    of train take its place. Parameters are passed as texts; where gepa finds no code fence in an answer, it takes the
    whole answer. It ends when the budget is spent, when val is perfect, or when an epoch of train had nothing to
    reflect on.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        train_size: The number of examples of train for minibatches, drawn by the seed; all where there are fewer.
        val_size: The number of examples that each candidate of the pool is evaluated on, drawn in the same way.
        reflection_minibatch_size: The number of examples in a reflection.
        candidate_selection_strategy: Which candidate is changed next.
        module_selector: Which of its parameters are changed: one after the other, or all at once.
        acceptance_criterion: Which changed candidates are evaluated on val.
        use_merge: Whether candidates are also merged.
        max_merge_invocations: The number of merges at most.
        max_tokens: The tokens of an answer; None leaves it to the model.
        settings: `External`'s.
    """

    program: ClassVar[str] = "with_gepa.py"
    kinds: ClassVar[Mapping[str, str]] = {
        "Number": "as a text that is read back",
        "Choice": "as a text that is read back",
        "Permutation": "as a text that is read back",
        "Prompt": "native",
        "Code": "native",
    }

    def __init__(
        self,
        *,
        train_size: int = 50,
        val_size: int = 50,
        reflection_minibatch_size: int = 3,
        candidate_selection_strategy: Literal["pareto", "current_best", "epsilon_greedy", "top_k_pareto"] = "pareto",
        module_selector: Literal["round_robin", "all"] = "round_robin",
        acceptance_criterion: Literal["strict_improvement", "improvement_or_equal"] = "strict_improvement",
        use_merge: bool = False,
        max_merge_invocations: int = 5,
        max_tokens: int | None = None,
        **settings: Any,
    ) -> None:
        one_of(
            *("pareto", "current_best", "epsilon_greedy", "top_k_pareto"),
            candidate_selection_strategy=candidate_selection_strategy,
        )
        one_of("round_robin", "all", module_selector=module_selector)
        one_of("strict_improvement", "improvement_or_equal", acceptance_criterion=acceptance_criterion)
        at_least(1, train_size=train_size, val_size=val_size, reflection_minibatch_size=reflection_minibatch_size)
        at_least(0, max_merge_invocations=max_merge_invocations)
        package_settings = {
            "train_size": train_size,
            "val_size": val_size,
            "reflection_minibatch_size": reflection_minibatch_size,
            "candidate_selection_strategy": candidate_selection_strategy,
            "module_selector": module_selector,
            "acceptance_criterion": acceptance_criterion,
            "use_merge": use_merge,
            "max_merge_invocations": max_merge_invocations,
        }
        super().__init__(package_settings, max_tokens=max_tokens, **settings)
