"""Runs gepa: an evaluation of its adapter is one oracle call, and its reflection model is the trial's model."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import openai
import protocol
from gepa import api
from gepa.core.adapter import EvaluationBatch
from gepa.optimize_anything import optimize_anything_reflection_prompt_template
from gepa.utils import ScoreThresholdStopper

# untyped, since its annotations require more than the function does, such as all methods of a callback
optimize: Any = api.optimize

Example = tuple[str, int]
"""A split and an index into it."""


class Adapter:
    """The adapter between gepa and the oracle. A candidate has a text for each parameter."""

    propose_new_texts = None  # takes gepa's own proposer

    def __init__(self, trial: protocol.Trial) -> None:
        self.trial = trial

    def evaluate(self, batch: list[Example], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        """One oracle call: the reward and the feedback of each example, and the trace of all of them together."""
        split, examples = batch[0][0], [k for _, k in batch]
        evaluation = self.trial.evaluate(candidate, examples, split, texts=True)
        if evaluation["success"] and len(set(examples)) == self.trial.problem["examples"][split]:
            self.trial.recommend(candidate, texts=True)  # it solves the task, after which the trial may be over
        texts = [feedback(evaluation, k) for k in range(len(batch))]
        trajectories = [
            {"trace": evaluation["trace"], "reward": reward, "feedback": text}
            for reward, text in zip(evaluation["rewards"], texts, strict=True)
        ]
        return EvaluationBatch(texts, evaluation["rewards"], trajectories if capture_traces else None)

    def make_reflective_dataset(
        self, candidate: dict[str, str], evaluated: Any, names: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """The data for the reflection model: the task and the trace once, then each example's feedback."""
        data = {}
        for name in names:
            p = self.trial.parameters[name]
            shown = {
                "Objective": self.trial.problem["objective"],
                "Parameter": f"{name}: {p['description']}\nConstraint: {p['constraint']}",
                "Trace": evaluated.trajectories[0]["trace"],
            }
            examples = [{"Reward": one["reward"], "Feedback": one["feedback"]} for one in evaluated.trajectories]
            data[name] = [shown | examples[0], *examples[1:]]
        return data


class Incumbent:
    """A callback of gepa that recommends its best candidate at once, since the budget may end at any moment."""

    def __init__(self, trial: protocol.Trial) -> None:
        self.trial = trial

    def on_valset_evaluated(self, event: Any) -> None:
        """Called after a candidate was evaluated on val."""
        if event["is_best_program"]:
            self.trial.recommend(event["candidate"], texts=True)


class Done:
    """gepa's stopping rule: val is perfect, or an epoch of train had nothing to reflect on.

    Args:
        perfect: The best possible reward.
        epoch: The number of iterations in an epoch.
        model: An object whose attribute ``asked`` is the number of its calls.
    """

    def __init__(self, perfect: float, epoch: int, model: Any) -> None:
        self.perfect, self.epoch, self.model = ScoreThresholdStopper(perfect), epoch, model
        self.asked, self.iterations_without_call = -1, 0

    def __call__(self, state: Any) -> bool:
        """Whether to stop; called before each iteration."""
        self.iterations_without_call = self.iterations_without_call + 1 if self.model.asked == self.asked else 0
        self.asked = self.model.asked
        return self.perfect(state) or self.iterations_without_call >= self.epoch


class Reflection:
    """The trial's model as a function from a prompt to a text, which gepa calls."""

    def __init__(self, trial: protocol.Trial, max_tokens: int | None) -> None:
        self.trial, self.asked = trial, 0
        self.client: Any = openai.OpenAI()
        self.limit = {} if max_tokens is None else {"max_tokens": max_tokens}

    def __call__(self, prompt: str) -> str | None:
        """The answer's text; at None, and after an exception, gepa skips the iteration."""
        self.asked += 1
        messages = [{"role": "user", "content": prompt}]
        try:
            answer = self.client.chat.completions.create(model=self.trial.model, messages=messages, **self.limit)
        except openai.APIError as e:
            if e.code == "budget_exhausted":
                sys.exit()
            self.trial.invalid(f"{type(e).__name__}: {e}")
            raise
        text: str | None = answer.choices[0].message.content
        if text is None:
            self.trial.invalid("the answer has no content")
        return text


def feedback(evaluation: dict[str, Any], k: int) -> str:
    """The feedback on one example of an evaluation's batch."""
    parts = [p["content"] for p in evaluation["parts"] if p["example"] in (k, None) and p["media"].startswith("text/")]
    return " ".join(parts) or f"Score: {evaluation['rewards'][k]}"


def main(trial: protocol.Trial) -> None:
    """Optimizes until the budget is spent or the stopping rule holds."""
    options, size, rng = dict(trial.settings), trial.problem["examples"], random.Random(trial.seed)

    def sampled(split: str, limit: int) -> list[Example]:
        return [(split, k) for k in rng.sample(range(size[split]), min(size[split], limit))]

    train, val_size = sampled("train", options.pop("train_size")), options.pop("val_size")
    val = sampled("val", val_size) if "val" in size else train[:val_size]
    worst, best = trial.problem["scores"]
    perfect = best if best > worst else -best  # as a reward
    minibatch = min(options.pop("reflection_minibatch_size"), len(train))  # else it would have an example twice
    model = Reflection(trial, options.pop("max_tokens"))
    not_prompts = [name for name in trial.parameters if trial.kind(name) != "Prompt"]
    # in a task with one example each evaluation is on all of it: without a recommendation the best one counts
    incumbent = Incumbent(trial) if size["train"] > 1 else None
    result = optimize(
        trial.texts(),
        train,
        val,
        Adapter(trial),
        reflection_lm=model,
        # gepa's default template is about instructions for an assistant
        reflection_prompt_template=dict.fromkeys(not_prompts, optimize_anything_reflection_prompt_template),
        reflection_minibatch_size=minibatch,
        perfect_score=perfect,
        stop_callbacks=Done(perfect, math.ceil(len(train) / minibatch), model),
        callbacks=[incumbent] if incumbent else None,
        seed=trial.seed,
        **options,
    )
    if incumbent:
        trial.recommend(result.best_candidate, texts=True)


if __name__ == "__main__":
    protocol.run(main)
