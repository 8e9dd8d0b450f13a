"""Runs textgrad's optimizer: a step is an oracle call as the forward pass, the backward pass, and an update."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import protocol

ROLES = {
    "Number": "a number, written as text",
    "Choice": "an option, written as text",
    "Permutation": "a permutation, written as a list",
    "Prompt": "a text",
    "Code": "Python code",
}


def main(trial: protocol.Trial) -> None:
    """Makes steps until no further evaluation is possible."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import downloads a list of prices
    import openai
    import textgrad

    engine = engine_of(trial, openai.OpenAI(), textgrad.EngineLM)
    variables = {
        name: textgrad.Variable(text, role_description=role(trial, name)) for name, text in trial.texts().items()
    }
    optimizers = [
        textgrad.TextualGradientDescent([variable], engine=engine, constraints=[trial.parameters[name]["constraint"]])
        for name, variable in variables.items()
    ]
    rng, batch_size, sizes = random.Random(trial.seed), trial.settings["batch_size"], trial.problem["examples"]
    validates = trial.settings["validate"] and "val" in sizes
    evaluation, kept = trial.start, values(variables)
    best = trial.evaluate(kept, split="val", texts=True)["reward"] if validates else None
    while not evaluation["over"]:
        try:
            step(trial, evaluation, variables, optimizers, engine)
        except openai.APIStatusError as e:
            if e.status_code != 502 and e.code != "context_length_exceeded":
                raise
            trial.invalid(str(e))  # an answer that was not JSON, or a prompt that was too long
        for optimizer in optimizers:
            optimizer.zero_grad()
        if validates:
            reward = trial.evaluate(values(variables), split="val", texts=True)["reward"]
            if reward < best:
                for name, variable in variables.items():
                    variable.set_value(kept[name])
            else:
                kept, best = values(variables), reward
        n = sizes["train"]
        examples = rng.sample(range(n), min(batch_size, n)) if batch_size else None
        evaluation = trial.evaluate(values(variables), examples, texts=True)


def step(
    trial: protocol.Trial, evaluation: dict[str, Any], variables: dict[str, Any], optimizers: list[Any], engine: Any
) -> None:
    """One step of textgrad: the backward pass from an evaluation, and the update of each variable."""
    from textgrad.autograd.string_based_ops import StringBasedFunction

    output = StringBasedFunction(function_of(evaluation), trial.problem["objective"])(variables)
    # the package makes a set of it, whose order would be that of memory addresses
    output.predecessors = list(variables.values())
    output.backward(engine)
    for optimizer in optimizers:
        try:
            optimizer.step()
        except IndexError as e:  # the answer has no tag
            trial.invalid(str(e))


def function_of(evaluation: dict[str, Any]) -> Callable[..., str]:
    """An evaluation as a function of the parameters, whose value is the trace and the feedback as text."""
    text = f"{evaluation['trace']}\n\n{evaluation['text'] or 'Score: {score}'.format_map(evaluation)}"
    return lambda **_: text


def role(trial: protocol.Trial, name: str) -> str:
    """What a parameter is, for the prompts."""
    description = trial.parameters[name]["description"]
    return f"{name} ({ROLES[trial.kind(name)]})" + (f": {description}" if description else "")


def values(variables: dict[str, Any]) -> dict[str, str]:
    """The variables' values, which are texts, by name."""
    return {name: variable.get_value() for name, variable in variables.items()}


def engine_of(trial: protocol.Trial, client: Any, base: Any) -> Any:
    """A textgrad engine that sends the same requests as the package's ``ChatOpenAI``, but has no cache on disk."""

    class Engine(base):  # type: ignore[misc]
        model_string = trial.model

        def generate(self, prompt: str, system_prompt: str | None = None) -> str:
            answer = client.chat.completions.create(
                model=self.model_string,
                messages=[
                    {"role": "system", "content": system_prompt or self.system_prompt},
                    {"role": "user", "content": prompt},
                ],
                frequency_penalty=0,
                presence_penalty=0,
                stop=None,
                temperature=trial.settings["temperature"],
                max_tokens=trial.settings["max_tokens"],
                top_p=0.99,
            )
            return answer.choices[0].message.content or ""

        def __call__(self, prompt: str, **keywords: Any) -> str:
            return self.generate(prompt, **keywords)

    return Engine()


if __name__ == "__main__":
    protocol.run(main)
