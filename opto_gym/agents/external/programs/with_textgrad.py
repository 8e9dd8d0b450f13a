"""textgrad's optimizer on our oracle: forward is one oracle call, then its backward pass and a step."""

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
    """Steps until the budget is spent."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import asks the net for a list of prices
    import openai
    import textgrad
    from textgrad.autograd.string_based_ops import StringBasedFunction

    engine = engine_of(trial, openai.OpenAI(), textgrad.EngineLM)
    variables = {
        name: textgrad.Variable(text, role_description=role(trial, name)) for name, text in trial.texts().items()
    }
    optimizers = [
        textgrad.TextualGradientDescent([variable], engine=engine, constraints=[trial.parameters[name]["constraint"]])
        for name, variable in variables.items()
    ]
    rng, size, sizes = random.Random(trial.seed), trial.settings["batch_size"], trial.problem["examples"]
    validates = trial.settings["validate"] and "val" in sizes
    said, kept = trial.start, values(variables)
    best = trial.evaluate(kept, split="val", texts=True)["reward"] if validates else None
    while not said["over"]:
        output = StringBasedFunction(gives(said), trial.problem["objective"])(variables)
        # the package makes it a set, whose order would be that of memory addresses
        output.predecessors = list(variables.values())
        try:
            output.backward(engine)
            for optimizer in optimizers:
                try:
                    optimizer.step()
                except IndexError as e:  # no tag in the answer
                    trial.invalid(str(e))
        except openai.APIStatusError as e:
            if e.status_code != 502 and e.code != "context_length_exceeded":
                raise
            trial.invalid(str(e))  # an answer that was no JSON, or a prompt that was too long
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
        said = trial.evaluate(values(variables), size and rng.sample(range(n), min(size, n)), texts=True)


def gives(said: dict[str, Any]) -> Callable[..., str]:
    """The evaluation as a function of the parameters that gives text: how the run went, and the feedback."""
    text = f"{said['trace']}\n\n{said['text'] or 'Score: {score}'.format_map(said)}"
    return lambda **_: text


def role(trial: protocol.Trial, name: str) -> str:
    """What a parameter is, for the prompts."""
    said = trial.parameters[name]["description"]
    return f"{name} ({ROLES[trial.kind(name)]})" + (f": {said}" if said else "")


def values(variables: dict[str, Any]) -> dict[str, str]:
    """The variables' texts."""
    return {name: variable.get_value() for name, variable in variables.items()}


def engine_of(trial: protocol.Trial, client: Any, base: Any) -> Any:
    """A textgrad engine that sends what the package's ``ChatOpenAI`` does, without that one's cache on disk."""

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
