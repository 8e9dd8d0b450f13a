"""gepa on our oracle: its adapter's evaluation is one oracle call, its reflection model the trial's."""

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

optimize: Any = api.optimize  # its types ask for all methods of a callback, for instance, it itself for none

Example = tuple[str, int]
"""A split and an index into it."""


class Adapter:
    """gepa's way to a system: a candidate holds a text for each parameter."""

    propose_new_texts = None  # gepa's own proposer

    def __init__(self, trial: protocol.Trial) -> None:
        self.trial = trial

    def evaluate(self, batch: list[Example], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        """One oracle call: rewards one by one, the trace of all of them together."""
        split, examples = batch[0][0], [k for _, k in batch]
        said = self.trial.evaluate(candidate, examples, split, texts=True)
        if said["success"] and len(set(examples)) == self.trial.problem["examples"][split]:
            self.trial.recommend(candidate, texts=True)  # it solves the task, which may be over now
        words = [feedback(said, k) for k in range(len(batch))]
        told = [
            {"trace": said["trace"], "reward": reward, "feedback": text}
            for reward, text in zip(said["rewards"], words, strict=True)
        ]
        return EvaluationBatch(words, said["rewards"], told if capture_traces else None)

    def make_reflective_dataset(
        self, candidate: dict[str, str], evaluated: Any, names: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """What the reflection model is shown: the task and the trace once, then each example's feedback."""
        data = {}
        for name in names:
            p = self.trial.parameters[name]
            shown = {
                "Objective": self.trial.problem["objective"],
                "Parameter": f"{name}: {p['description']}\nConstraint: {p['constraint']}",
                "Trace": evaluated.trajectories[0]["trace"],
            }
            examples = [{"Reward": told["reward"], "Feedback": told["feedback"]} for told in evaluated.trajectories]
            data[name] = [shown | examples[0], *examples[1:]]
        return data


class Incumbent:
    """A callback of gepa's: what it holds for the best is recommended at once, since the budget may end any moment."""

    def __init__(self, trial: protocol.Trial) -> None:
        self.trial = trial

    def on_valset_evaluated(self, event: Any) -> None:
        """After a candidate of the pool was tried on val."""
        if event["is_best_program"]:
            self.trial.recommend(event["candidate"], texts=True)


class Done:
    """When gepa is to stop: val is perfect, or an epoch of train went by that left nothing to reflect on.

    Args:
        perfect: The reward that can't be bettered.
        epoch: Iterations of an epoch.
        model: Has an attribute ``asked``, how often it was.
    """

    def __init__(self, perfect: float, epoch: int, model: Any) -> None:
        self.perfect, self.epoch, self.model = ScoreThresholdStopper(perfect), epoch, model
        self.asked, self.quiet = -1, 0

    def __call__(self, state: Any) -> bool:
        """Asked before each iteration."""
        self.quiet = self.quiet + 1 if self.model.asked == self.asked else 0
        self.asked = self.model.asked
        return self.perfect(state) or self.quiet >= self.epoch


class Reflection:
    """The model as gepa calls it: a text for a prompt."""

    def __init__(self, trial: protocol.Trial, max_tokens: int | None) -> None:
        self.trial, self.asked = trial, 0
        self.client: Any = openai.OpenAI()
        self.limit = {} if max_tokens is None else {"max_tokens": max_tokens}

    def __call__(self, prompt: str) -> str | None:
        """The answer's text; without one gepa skips the iteration, as after an exception."""
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


def feedback(said: dict[str, Any], k: int) -> str:
    """What an evaluation says of one example of its batch."""
    parts = [p["content"] for p in said["parts"] if p["example"] in (k, None) and p["media"].startswith("text/")]
    return " ".join(parts) or f"Score: {said['rewards'][k]}"


def main(trial: protocol.Trial) -> None:
    """Optimizes until the budget is spent, or there is nothing more to do."""
    options, size, rng = dict(trial.settings), trial.problem["examples"], random.Random(trial.seed)

    def drawn(split: str, most: int) -> list[Example]:
        return [(split, k) for k in rng.sample(range(size[split]), min(size[split], most))]

    train, val_size = drawn("train", options.pop("train_size")), options.pop("val_size")
    val = drawn("val", val_size) if "val" in size else train[:val_size]
    worst, best = trial.problem["scores"]
    perfect = best if best > worst else -best  # as a reward
    minibatch = min(options.pop("reflection_minibatch_size"), len(train))  # else an example would come in it twice
    model = Reflection(trial, options.pop("max_tokens"))
    others = [name for name in trial.parameters if trial.kind(name) != "Prompt"]
    # of a task of one case each evaluation tells all: the best seen counts, without anybody's word
    incumbent = Incumbent(trial) if size["train"] > 1 else None
    result = optimize(
        trial.texts(),
        train,
        val,
        Adapter(trial),
        reflection_lm=model,
        # the default one speaks of instructions for an assistant
        reflection_prompt_template=dict.fromkeys(others, optimize_anything_reflection_prompt_template),
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
