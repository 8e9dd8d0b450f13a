"""DSPy's optimizers of prompts, which DSPy's own package runs.

Khattab et al., "DSPy: Compiling Declarative Language Model Calls into Self-Improving Pipelines", 2023;
https://github.com/stanfordnlp/dspy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from ...problems import Problem
from ...utils.checks import at_least, number_in
from .package import PROGRAMS, PackageAgent, one_of


class DSPy(PackageAgent):
    """An optimizer of dspy 3.4.1. Subclasses name it.

    Args:
        optimizer_settings: The optimizer's settings, by DSPy's names.
        train_size: The number of examples of train, drawn by the seed; all where there are fewer.
        val_size: The number of examples of val, drawn in the same way; where a task has no val split, the first ones of
            the examples of train.
        max_tokens: The tokens of an answer; None leaves it to the model.
        settings: `External`'s.

    Attributes:
        optimizer: The optimizer's name in DSPy.
    """

    program: ClassVar[str] = "with_dspy.py"
    optimizer: ClassVar[str]
    kinds: ClassVar[Mapping[str, str]] = {
        "Prompt": "native",
        **dict.fromkeys(("Number", "Choice", "Permutation", "Code"), "kept at its start value, beside a prompt"),
    }

    def __init__(
        self,
        optimizer_settings: Mapping[str, Any],
        *,
        train_size: int = 50,
        val_size: int = 50,
        max_tokens: int | None = None,
        **settings: Any,
    ) -> None:
        at_least(1, train_size=train_size, val_size=val_size)
        sizes = {"train_size": train_size, "val_size": val_size}
        package_settings = {"optimizer": self.optimizer, **sizes, **optimizer_settings}
        super().__init__(package_settings, max_tokens=max_tokens, **settings)

    @classmethod
    def files(cls, **settings: Any) -> Sequence[Path]:
        """As `PackageAgent.files`, with gepa's program, whose stopping rule GEPA uses."""
        return *super().files(**settings), PROGRAMS / "with_gepa.py"

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """As `External.unsupported_reason`; and the problem must have a prompt."""
        if not any(type(p.space).__name__ == "Prompt" for p in problem.parameters):
            return f"{cls.__name__} changes prompts, and there is none"
        return super().unsupported_reason(problem)


class COPRO(DSPy):
    """COPRO of dspy 3.4.1: in each round the model writes `breadth` instructions from earlier ones with their scores.

    The DSPy program is the task with its prompts, and a run of it is one oracle call on one example; the other
    parameters keep their start values. DSPy's scores are fractions of 1: a reward is scaled from the problem's worst
    and best score to 0 and 1, and COPRO rounds a mean to the hundredth of a percent. COPRO also writes an output prefix
    for each instruction; a prompt has no place for it, so it is dropped. It ends when an answer can't be read in two
    attempts.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        breadth: The number of instructions in a round, and of those that the model is shown.
        depth: The number of rounds.
        init_temperature: The model's temperature.
        settings: `DSPy`'s: ``train_size`` (each instruction is evaluated on all of these examples) and ``max_tokens``;
            and `External`'s.
    """

    optimizer: ClassVar[str] = "COPRO"

    def __init__(self, *, breadth: int = 10, depth: int = 3, init_temperature: float = 1.4, **settings: Any) -> None:
        at_least(2, breadth=breadth)
        at_least(1, depth=depth)
        number_in("[0, inf)", init_temperature=init_temperature)
        super().__init__({"breadth": breadth, "depth": depth, "init_temperature": init_temperature}, **settings)


class MIPROv2(DSPy):
    """MIPROv2 of dspy 3.4.1, zero-shot: instructions written from the program and its runs, chosen by Bayesian search.

    Opsahl-Ong et al., "Optimizing Instructions and Demonstrations for Multi-Stage Language Model Programs", 2024.
    Program, parameters and scores are as in `COPRO`. A prompt has no place for demonstrations, so there are none
    (``max_bootstrapped_demos`` and ``max_labeled_demos`` are 0); the prompts that ask for instructions still show runs
    that solved a case. The summary of the data set is off, since a case is only a number here. It ends when an answer
    can't be read in two attempts.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        auto: The amount of work: "light", "medium" or "heavy"; None sets it by the next two.
        num_candidates: The number of instructions for each prompt.
        num_trials: The number of steps of the search.
        init_temperature: The model's temperature.
        minibatch_size: The number of examples in a step, if val has more than 50 (without `auto`: more than this).
        minibatch_full_eval_steps: After so many such steps the best program is evaluated on all examples.
        settings: `DSPy`'s: ``train_size``, ``val_size``, ``max_tokens``; `External`'s.
    """

    optimizer: ClassVar[str] = "MIPROv2"

    def __init__(
        self,
        *,
        auto: Literal["light", "medium", "heavy"] | None = "light",
        num_candidates: int | None = None,
        num_trials: int | None = None,
        init_temperature: float = 1.0,
        minibatch_size: int = 35,
        minibatch_full_eval_steps: int = 5,
        **settings: Any,
    ) -> None:
        one_of("light", "medium", "heavy", None, auto=auto)
        steps = {"num_candidates": num_candidates, "num_trials": num_trials}
        if any((number is None) != (auto is not None) for number in steps.values()):
            raise ValueError(f"expected auto or both num_candidates and num_trials, got auto={auto!r}, {steps}")
        at_least(1, **{name: number for name, number in steps.items() if number is not None})
        at_least(1, minibatch_size=minibatch_size, minibatch_full_eval_steps=minibatch_full_eval_steps)
        number_in("[0, inf)", init_temperature=init_temperature)
        search = {"minibatch_size": minibatch_size, "minibatch_full_eval_steps": minibatch_full_eval_steps}
        super().__init__({"auto": auto, **steps, "init_temperature": init_temperature, **search}, **settings)


class SIMBA(DSPy):
    """SIMBA of dspy 3.4.1: the model compares a better and a worse run of a case, and adds rules to the prompts.

    Program, parameters and scores are as in `COPRO`. SIMBA varies the runs of a case by the temperature of its own
    model, which does not reach the task's model. Where the oracle is deterministic, runs therefore differ by their
    prompts alone, and with rewards of 0 and 1 SIMBA often finds nothing to compare and changes nothing. There are no
    demonstrations (``max_demos`` is 0), as in `MIPROv2`. An answer that can't be read costs a candidate.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        bsize: The number of examples in a step; all where train has fewer.
        num_candidates: The number of runs of an example, and of candidates in a step.
        max_steps: The number of steps.
        temperature_for_sampling: The temperature of the choice of a program for a run, by its score.
        temperature_for_candidates: The temperature of the choice of a program to change.
        settings: `DSPy`'s: ``train_size`` (the winners are evaluated on all of these examples) and ``max_tokens``; and
            `External`'s.
    """

    optimizer: ClassVar[str] = "SIMBA"

    def __init__(
        self,
        *,
        bsize: int = 32,
        num_candidates: int = 6,
        max_steps: int = 8,
        temperature_for_sampling: float = 0.2,
        temperature_for_candidates: float = 0.2,
        **settings: Any,
    ) -> None:
        sizes = {"bsize": bsize, "num_candidates": num_candidates, "max_steps": max_steps}
        at_least(1, **sizes)
        temperatures = {
            "temperature_for_sampling": temperature_for_sampling,
            "temperature_for_candidates": temperature_for_candidates,
        }
        number_in("(0, inf)", **temperatures)
        super().__init__({**sizes, **temperatures}, **settings)


class GEPA(DSPy):
    """GEPA of dspy 3.4.1: gepa's loop, with DSPy's way of reading traces and asking for a new instruction.

    Agrawal et al., "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning", 2025. Program, parameters
    and scores are as in `COPRO`; the model reads a run's trace and feedback. It ends when the budget is spent, when val
    is perfect, when an epoch of train had nothing to reflect on, or as `auto` says. The gepa package itself,
    `opto_gym.agents.external.gepa.GEPA`, also works on other kinds of parameters.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        auto: "light", "medium" or "heavy" limit its evaluations; None leaves the limit to the budget.
        reflection_minibatch_size: The number of examples in a reflection.
        candidate_selection_strategy: Which candidate is changed next.
        component_selector: Which of its prompts are changed: one after the other, or all at once.
        use_merge: Whether candidates are also merged.
        max_merge_invocations: The number of merges at most.
        settings: `DSPy`'s: ``train_size``, ``val_size``, ``max_tokens``; and `External`'s.
    """

    optimizer: ClassVar[str] = "GEPA"

    def __init__(
        self,
        *,
        auto: Literal["light", "medium", "heavy"] | None = None,
        reflection_minibatch_size: int = 3,
        candidate_selection_strategy: Literal["pareto", "current_best"] = "pareto",
        component_selector: Literal["round_robin", "all"] = "round_robin",
        use_merge: bool = True,
        max_merge_invocations: int = 5,
        **settings: Any,
    ) -> None:
        one_of("light", "medium", "heavy", None, auto=auto)
        one_of("pareto", "current_best", candidate_selection_strategy=candidate_selection_strategy)
        one_of("round_robin", "all", component_selector=component_selector)
        at_least(1, reflection_minibatch_size=reflection_minibatch_size)
        at_least(0, max_merge_invocations=max_merge_invocations)
        reflection = {
            "auto": auto,
            "reflection_minibatch_size": reflection_minibatch_size,
            "candidate_selection_strategy": candidate_selection_strategy,
            "component_selector": component_selector,
            "use_merge": use_merge,
            "max_merge_invocations": max_merge_invocations,
        }
        super().__init__(reflection, **settings)
