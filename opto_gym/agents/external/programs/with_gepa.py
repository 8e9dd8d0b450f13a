"""gepa on our oracle: its adapter's evaluation is one oracle call, its reflection model the trial's."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import protocol
from gepa.api import optimize
from gepa.core.adapter import EvaluationBatch
from gepa.lm import LM
from gepa.optimize_anything import optimize_anything_reflection_prompt_template
from gepa.utils import ScoreThresholdStopper

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


def feedback(said: dict[str, Any], k: int) -> str:
    """What an evaluation says of one example of its batch."""
    parts = [p["content"] for p in said["parts"] if p["example"] in (k, None) and p["media"].startswith("text/")]
    return " ".join(parts) or f"Score: {said['rewards'][k]}"


def main(trial: protocol.Trial) -> None:
    """Optimizes until the budget is spent, or val is perfect."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else litellm's import asks the net for a list of prices
    options = dict(trial.settings)
    lm = LM(f"openai/{trial.model}", max_tokens=options.pop("max_tokens"))

    def reflect(prompt: Any) -> Any:
        try:
            answer = lm(prompt)
        except Exception as e:
            if "budget_exhausted" in str(e):
                sys.exit()  # gepa would skip the iteration, as it does after any exception, and go on
            trial.invalid(f"{type(e).__name__}: {e}")
            raise
        if answer is None:
            trial.invalid("the answer has no content")
        return answer

    size, rng = trial.problem["examples"], random.Random(trial.seed)
    train = [("train", k) for k in rng.sample(range(size["train"]), min(size["train"], options.pop("train_size")))]
    val_size = options.pop("val_size")
    val = [("val", k) for k in rng.sample(range(size["val"]), min(size["val"], val_size))] if "val" in size else train
    worst, best = trial.problem["scores"]
    perfect = best if best > worst else -best  # as a reward
    minibatch = min(options.pop("reflection_minibatch_size"), len(train))  # else an example would come in it twice
    others = [name for name in trial.parameters if trial.kind(name) != "Prompt"]
    # of a task of one case each evaluation tells all: the best seen counts, without anybody's word
    incumbent: Any = Incumbent(trial) if size["train"] > 1 else None
    adapter: Any = Adapter(trial)
    result: Any = optimize(
        trial.texts(),
        train,
        val[:val_size],
        adapter,
        reflection_lm=reflect,
        # the default one speaks of instructions for an assistant
        reflection_prompt_template=dict.fromkeys(others, optimize_anything_reflection_prompt_template),
        reflection_minibatch_size=minibatch,
        perfect_score=perfect,
        stop_callbacks=ScoreThresholdStopper(perfect),
        callbacks=[incumbent] if incumbent else None,
        seed=trial.seed,
        **options,
    )
    if incumbent:
        trial.recommend(result.best_candidate, texts=True)


if __name__ == "__main__":
    protocol.run(main)
