"""Runs DSPy's optimizers: the program has a predictor for each prompt, and the oracle runs it on an example."""

from __future__ import annotations

import math
import os
import random
import sys
from collections.abc import Callable
from statistics import fmean
from typing import Any

import dspy
import protocol
from dspy.teleprompt.mipro_optimizer_v2 import AUTO_RUN_SETTINGS
from dspy.utils.callback import BaseCallback
from dspy.utils.exceptions import AdapterParseError
from with_gepa import Done

Ask = Callable[[dict[str, str], str], dict[str, Any]]
"""Evaluates prompts, by parameter, on a case."""

# MIPROv2 shows the source of these two classes to the model, so they stay as they are: recorded trials must replay.


class Prompt(dspy.Predict):  # type: ignore[misc]
    """A prompt of the task: the instructions are its text. Only the task uses it, so no model is asked here."""

    def forward(self, *, task: str, case: str, run: str) -> Any:
        """What the program's run gave, noted as this predictor's in DSPy's trace."""
        prediction = dspy.Prediction(run=run)
        if dspy.settings.trace is not None:
            dspy.settings.trace.append((self, {"task": task, "case": case}, prediction))
        return prediction


class Program(dspy.Module):  # type: ignore[misc]
    """The task with its prompts: runs on one case, and is told a reward and feedback."""

    def __init__(self, prompts: dict[str, Prompt], ask: Ask) -> None:
        super().__init__()
        self.ask = ask
        for name, prompt in prompts.items():
            setattr(self, f"prompt_{name}", prompt)

    def forward(self, task: str, case: str) -> Any:
        """One oracle call."""
        said = self.ask(self.texts(), case)
        for prompt in self.predictors():
            prompt(task=task, case=case, run=said["trace"])
        return dspy.Prediction(reward=said["reward"], feedback=said["text"], success=said["success"])

    def texts(self) -> dict[str, str]:
        """The prompts as they are now, by parameter."""
        return {name.removeprefix("prompt_"): p.signature.instructions for name, p in self.named_predictors()}


class Oracle:
    """The trial's oracle as a function of the prompts, with rewards on DSPy's scale from 0 to 1.

    Attributes:
        program: The program with the start values.
        split: The split whose rewards decide which candidate is recommended.
        min_examples: The number of its examples that a candidate must have been evaluated on for that.
    """

    def __init__(self, trial: protocol.Trial, split: str, min_examples: int) -> None:
        self.trial, self.split, self.min_examples = trial, split, min_examples
        worst, best = trial.problem["scores"]
        self._worst, self._best_reward = (worst, best) if best > worst else (-worst, -best)
        self._values = {name: p["start"] for name, p in trial.parameters.items()}
        self._rewards: dict[tuple[str, ...], dict[str, float]] = {}
        names = [name for name in trial.parameters if trial.kind(name) == "Prompt"]
        self.program = Program({name: Prompt(self._signature(name)) for name in names}, self.ask_function())
        self._start = self._best = self.program.texts()
        trial.recommend(self._values)

    def _signature(self, name: str) -> Any:
        p = self.trial.parameters[name]
        fields = {
            "task": (str, dspy.InputField(desc=self.trial.problem["objective"])),
            "case": (str, dspy.InputField(desc="which example of the task")),
            "run": (str, dspy.OutputField(desc=f"how the task ran with its prompts; this one: {p['description']}")),
        }
        return dspy.Signature(fields, p["start"])

    def ask_function(self) -> Ask:
        """The function that calls the oracle. It is not a method, so that copies of a program share it."""

        def ask(texts: dict[str, str], case: str) -> dict[str, Any]:
            split, _, k = case.partition("/")
            try:
                evaluation = self.trial.evaluate(self._all_parameters(texts), [int(k)], split)
            except protocol.Spent:
                sys.exit()  # DSPy would take an Exception for a failure of the example, and continue
            except RuntimeError as e:
                sys.exit(str(e))
            evaluation["reward"] = (evaluation["reward"] - self._worst) / (self._best_reward - self._worst)
            if split == self.split:
                self._record_reward(tuple(texts.values()), case, evaluation["reward"])
            return evaluation

        return ask

    def _all_parameters(self, texts: dict[str, str]) -> dict[str, Any]:
        """All parameters: prompts that DSPy did not change as they started, since it changes their white space."""
        changed = {name: text for name, text in texts.items() if text != self._start[name]}
        return self._values | changed

    def _record_reward(self, texts: tuple[str, ...], case: str, reward: float) -> None:
        """Stores a reward and recommends the best prompts so far, since the budget may end at any moment."""
        self._rewards.setdefault(texts, {})[case] = reward
        means = [(fmean(seen.values()), t) for t, seen in self._rewards.items() if len(seen) >= self.min_examples]
        if means:
            self.recommend(dict(zip(self._start, max(means, key=lambda one: one[0])[1], strict=True)))

    def recommend(self, texts: dict[str, str]) -> None:
        """Recommends prompts, unless they are those recommended last."""
        if texts != self._best:
            self._best = texts
            self.trial.recommend(self._all_parameters(texts))


class Watch(BaseCallback):  # type: ignore[misc]
    """A callback that counts the model's calls, and reports answers that DSPy can't read."""

    def __init__(self, trial: protocol.Trial) -> None:
        self.trial, self.asked = trial, 0

    def on_lm_start(self, call_id: str, instance: Any, inputs: Any) -> None:
        """Counts the call."""
        self.asked += 1

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """Exits when the budget is spent, since DSPy may take that for a failure of one call, and continue."""
        if "budget_exhausted" in str(exception):
            sys.exit()

    def on_adapter_parse_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """Reports an answer that can't be read; DSPy then asks once more for JSON."""
        if exception is not None:
            self.trial.invalid(str(exception))


def metric(example: Any, prediction: Any, trace: Any = None) -> float:
    """The reward; with a trace, which MIPROv2 gives when it looks for good runs, whether the case is solved."""
    return prediction.reward if trace is None else prediction.success  # type: ignore[no-any-return]


def metric_with_feedback(example: Any, prediction: Any, trace: Any = None, name: Any = None, part: Any = None) -> Any:
    """The reward and the feedback, for GEPA."""
    return dspy.Prediction(score=prediction.reward, feedback=prediction.feedback)


def compile_program(
    name: str, options: dict[str, Any], seed: int, program: Any, train: list[Any], val: list[Any], watch: Watch
) -> Any:
    """The program that an optimizer returns.

    Args:
        name: The optimizer's name in DSPy.
        options: The optimizer's settings.
        seed: The seed of its random choices.
        program: The program with the start values.
        train: The examples of train.
        val: The examples of val.
        watch: The callback that counts the model's calls.
    """
    if name == "COPRO":
        return dspy.COPRO(metric=metric, **options).compile(program, trainset=train)
    if name == "MIPROv2":
        trials, size, steps = (options.pop(x) for x in ("num_trials", "minibatch_size", "minibatch_full_eval_steps"))
        optimizer = dspy.MIPROv2(metric, max_bootstrapped_demos=0, max_labeled_demos=0, seed=seed, **options)
        return optimizer.compile(
            program,
            trainset=train,
            valset=val,
            num_trials=trials,
            minibatch=len(val) > size,
            minibatch_size=size,
            minibatch_full_eval_steps=steps,
            data_aware_proposer=False,
        )
    if name == "SIMBA":
        return dspy.SIMBA(metric=metric, max_demos=0, **options).compile(program, trainset=train, seed=seed)
    minibatch = min(options.pop("reflection_minibatch_size"), len(train))  # else it would have an example twice
    unlimited = {} if options["auto"] else {"max_metric_calls": sys.maxsize}
    optimizer = dspy.GEPA(
        metric_with_feedback,
        reflection_lm=dspy.settings.lm,
        reflection_minibatch_size=minibatch,
        seed=seed,
        gepa_kwargs={"stop_callbacks": Done(1.0, math.ceil(len(train) / minibatch), watch)},
        **unlimited,
        **options,
    )
    return optimizer.compile(program, trainset=train, valset=val)


def main(trial: protocol.Trial) -> None:
    """Runs the optimizer until it ends or the budget is spent."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else litellm's import downloads a list of prices
    random.seed(trial.seed)
    options = dict(trial.settings)
    name, max_tokens = options.pop("optimizer"), options.pop("max_tokens")
    lm = dspy.LM(f"openai/{trial.model}", api_base=trial.url, api_key=trial.token, max_tokens=max_tokens, cache=False)
    watch = Watch(trial)
    dspy.configure(lm=lm, callbacks=[watch], num_threads=1)
    size, rng = trial.problem["examples"], random.Random(trial.seed)

    def sampled(split: str, limit: int) -> list[Any]:
        cases = [f"{split}/{k}" for k in rng.sample(range(size[split]), min(size[split], limit))]
        task = trial.problem["objective"]
        return [dspy.Example(task=task, case=case).with_inputs("task", "case") for case in cases]

    train, val_size = sampled("train", options.pop("train_size")), options.pop("val_size")
    val = sampled("val", val_size) if "val" in size else train[:val_size]
    if name == "SIMBA":
        options["bsize"] = min(options["bsize"], len(train))
        oracle = Oracle(trial, "train", options["bsize"])
    elif name == "COPRO":
        oracle = Oracle(trial, "train", len(train))
    else:
        most = AUTO_RUN_SETTINGS[options["auto"]]["val_size"] if name == "MIPROv2" and options["auto"] else len(val)
        oracle = Oracle(trial, "val" if "val" in size else "train", min(len(val), most))
    try:
        best = compile_program(name, options, trial.seed, oracle.program, train, val, watch)
    except AdapterParseError:
        return  # COPRO and MIPROv2 end at an answer that can't be read; the best prompts so far are recommended
    oracle.recommend(best.texts())


if __name__ == "__main__":
    protocol.run(main)
