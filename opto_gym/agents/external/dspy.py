"""DSPy's optimizers of prompts, in DSPy's own package.

Khattab et al., "DSPy: Compiling Declarative Language Model Calls into Self-Improving Pipelines", 2023;
https://github.com/stanfordnlp/dspy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from ...problems import Problem
from ...utils.checks import at_least, number_in
from .package import PROGRAMS, Package, one_of


class DSPy(Package):
    """An optimizer of dspy 3.4.1. Subclasses say which.

    Args:
        optimizer: Its settings, by DSPy's names.
        train_size: Examples of train, drawn by the seed; all where there are fewer.
        val_size: Examples of val, drawn likewise; where a task has no val, the first ones of train.
        max_tokens: Tokens of an answer; None leaves it to the model.
        settings: `External`'s.
    """

    program: ClassVar[str] = "with_dspy.py"
    optimizer: ClassVar[str]
    kinds: ClassVar[Mapping[str, str]] = {
        "Prompt": "native",
        **dict.fromkeys(("Number", "Choice", "Permutation", "Code"), "kept at its start value, beside a prompt"),
    }

    def __init__(
        self,
        optimizer: Mapping[str, Any],
        *,
        train_size: int = 50,
        val_size: int = 50,
        max_tokens: int | None = None,
        **settings: Any,
    ) -> None:
        at_least(1, train_size=train_size, val_size=val_size)
        if max_tokens is not None:
            at_least(1, max_tokens=max_tokens)
        super().__init__(**settings)
        sizes = {"train_size": train_size, "val_size": val_size, "max_tokens": max_tokens}
        self.settings = {"optimizer": self.optimizer, **sizes, **optimizer}

    @classmethod
    def files(cls, **settings: Any) -> Sequence[Path]:
        """As `Package.files`; GEPA stops as gepa's program does."""
        return *super().files(**settings), PROGRAMS / "with_gepa.py"

    @classmethod
    def unsupported_reason(cls, problem: Problem) -> str | None:
        """As `External.unsupported_reason`; and a problem needs a prompt."""
        if not any(type(p.space).__name__ == "Prompt" for p in problem.parameters):
            return f"{cls.__name__} changes prompts, and there is none"
        return super().unsupported_reason(problem)


class COPRO(DSPy):
    """COPRO as dspy 3.4.1 has it: each round the model writes `breadth` instructions from a list with their scores.

    DSPy's program is here the task with its prompts, and one run of it one oracle call on one example; the other
    parameters stay at their start values. DSPy's scores are fractions of 1: a reward counts as its place between the
    problem's worst and best score, and COPRO rounds a mean to the hundredth of a percent. The output prefix that it
    writes beside an instruction has no place in a prompt of ours, and is dropped. An answer that can't be read, twice
    asked for, ends it.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        breadth: Instructions a round, and how many the model is shown.
        depth: Rounds.
        init_temperature: The model's.
        settings: `DSPy`'s: ``train_size``, on all of which each instruction is tried, ``max_tokens``; `External`'s.
    """

    optimizer: ClassVar[str] = "COPRO"

    def __init__(self, *, breadth: int = 10, depth: int = 3, init_temperature: float = 1.4, **settings: Any) -> None:
        at_least(2, breadth=breadth)
        at_least(1, depth=depth)
        number_in("[0, inf)", init_temperature=init_temperature)
        super().__init__({"breadth": breadth, "depth": depth, "init_temperature": init_temperature}, **settings)


class MIPROv2(DSPy):
    """MIPROv2 as dspy 3.4.1 has it, zero-shot: instructions grounded in the program, chosen by Bayesian search.

    Opsahl-Ong et al., "Optimizing Instructions and Demonstrations for Multi-Stage Language Model Programs", 2024.
    Program, parameters and scores are as in `COPRO`. A demonstration has no place in a prompt of ours, so there are
    none (``max_bootstrapped_demos`` and ``max_labeled_demos`` are 0); runs that solve a case are still shown where
    instructions are written. Its summary of the data is off: a case is a number here. An answer that can't be read,
    twice asked for, ends it.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        auto: How much is done: "light", "medium" or "heavy"; None, and the next two say it.
        num_candidates: Instructions a prompt.
        num_trials: Steps of the search.
        init_temperature: The model's.
        minibatch_size: Examples of a step, if val has more than 50 (without `auto`: more than this).
        minibatch_full_eval_steps: After how many such steps the best is tried on all.
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
    """SIMBA as dspy 3.4.1 has it: the model compares a better and a worse run of a case, and adds rules to the prompts.

    Program, parameters and scores are as in `COPRO`. SIMBA samples a case's runs with its own model's temperature,
    which the task's model does not see: where the oracle's answer is always the same, runs differ by their prompts
    alone, so that with rewards of 0 and 1 it has nothing to compare and changes nothing. There are no demonstrations
    (``max_demos`` is 0), as in `MIPROv2`. An answer that can't be read loses a candidate.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        bsize: Examples of a step; as many as train has where there are fewer.
        num_candidates: Runs of an example, and candidates of a step.
        max_steps: Steps.
        temperature_for_sampling: Of the choice of a program for a run, by its score.
        temperature_for_candidates: Of the choice of a program to change.
        settings: `DSPy`'s: ``train_size``, on all of which the winners are tried, ``max_tokens``; `External`'s.
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
    """GEPA as dspy 3.4.1 offers it: gepa's loop, with DSPy's way of reading traces and asking for a new instruction.

    Program, parameters and scores are as in `COPRO`; the model reads a run's trace and feedback. It ends when the
    budget does, when val is perfect or an epoch of train leaves nothing to reflect on, or as `auto` says. The package
    by itself, `opto_gym.agents.external.gepa.GEPA`, takes other kinds of parameters, too.

    Needs ``pip install 'opto-gym[external]'`` and ``opto-gym external install``.

    Args:
        auto: "light", "medium" or "heavy" limit its evaluations; None leaves it to the budget.
        reflection_minibatch_size: Examples of a reflection.
        candidate_selection_strategy: Which candidate is changed next.
        component_selector: Which of its prompts: one after the other, or all at once.
        use_merge: Whether candidates are crossed, too.
        max_merge_invocations: How often at most.
        settings: `DSPy`'s: ``train_size``, ``val_size``, ``max_tokens``; `External`'s.
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
