"""Runs openevolve on a file that holds the parameters; its evaluator, `evaluate`, reads the file and calls the oracle.

openevolve imports this module a second time, as the evaluator in its worker process. The file that it evolves is never
run, only parsed by `ast`.
"""

from __future__ import annotations

import ast
import asyncio
import functools
import json
import logging
import multiprocessing
import os
import re
import signal
from pathlib import Path
from typing import Any

import protocol
from openevolve import OpenEvolve
from openevolve.config import Config, DatabaseConfig, EvaluatorConfig, LLMConfig, LLMModelConfig, PromptConfig
from openevolve.evaluation_result import EvaluationResult

NEVER = 10**9
START, END = "# EVOLVE-BLOCK-START", "# EVOLVE-BLOCK-END"
the_trial = functools.cache(protocol.Trial)


def main(trial: protocol.Trial) -> None:
    """Evolves the file until the iterations or the budget are spent."""
    text, settings = text_alone(trial), trial.settings
    path = Path("program.txt" if text else "program.py").absolute()
    path.write_text(program(trial), encoding="utf-8")
    left = trial.start["left"]["oracle_calls"]
    llm = LLMConfig(
        api_base=trial.url,
        api_key=trial.token,
        temperature=settings["temperature"],
        max_tokens=settings["max_tokens"],
        timeout=settings["timeout"],
        models=[LLMModelConfig(name=trial.model)],
    )
    config = Config(
        checkpoint_interval=NEVER,
        log_level="WARNING",
        random_seed=trial.seed if settings["send_seed"] else None,
        language="text" if text else "python",
        diff_based_evolution=settings["diff_based_evolution"] and not text,
        llm=llm,
        prompt=PromptConfig(system_message=task(trial)),
        database=DatabaseConfig(num_islands=settings["num_islands"], random_seed=trial.seed),
        evaluator=EvaluatorConfig(timeout=NEVER, cascade_evaluation=False),  # the oracle has its own limits
    )
    if left is not None:
        config.max_iterations = int(left)
    logging.getLogger("openevolve.process_parallel").addHandler(LostIterations(trial))
    asyncio.run(OpenEvolve(str(path), __file__, config).run())


def evaluate(path: str) -> EvaluationResult:
    """The evaluator: evaluates the parameters in a file. The first file has the start values, which are evaluated."""
    trial, controller = the_trial(), multiprocessing.parent_process()
    if controller is None or controller.pid is None:
        return result_of(trial.start)
    try:
        evaluation = trial.evaluate(read(trial, Path(path).read_text(encoding="utf-8")))
    except ValueError as e:
        trial.invalid(str(e))
        return EvaluationResult({"combined_score": worst_reward(trial)}, {"error": str(e)})
    except protocol.Spent:
        end(controller.pid)
        raise
    if evaluation["over"]:
        end(controller.pid)
    return result_of(evaluation)


def result_of(evaluation: dict[str, Any]) -> EvaluationResult:
    """An evaluation as openevolve's result: the reward as the fitness, feedback and trace as artifacts."""
    artifacts = {"feedback": evaluation["text"], "trace": evaluation["trace"]}
    return EvaluationResult({"combined_score": evaluation["reward"]}, artifacts)


def end(pid: int) -> None:
    """Ends the evolution by the signal at which openevolve shuts down."""
    os.kill(pid, signal.SIGTERM)


class LostIterations(logging.Handler):
    """Reports the answers that openevolve could not use, which it only logs."""

    def __init__(self, trial: protocol.Trial) -> None:
        super().__init__()
        self.trial = trial

    def emit(self, record: logging.LogRecord) -> None:
        """Reports an iteration's error, or ends the evolution if the budget is spent."""
        match = re.match(r"Iteration \d+ error: (.*?)(?: \| tokens: .*)?$", record.getMessage(), re.DOTALL)
        if match and "budget_exhausted" in match[1]:
            end(os.getpid())
        elif match:
            self.trial.invalid(match[1])


def text_alone(trial: protocol.Trial) -> bool:
    """Whether the only parameter is a text."""
    return [trial.kind(name) for name in trial.parameters] == ["Prompt"]


def task(trial: protocol.Trial) -> str:
    """The task in words, which is the system message."""
    if text_alone(trial):
        (p,) = trial.parameters.values()
        return f"You improve a text. {trial.problem['objective']}\nThe text: {p['description']} ({p['constraint']})."
    lines = [f"- {name} ({p['constraint']}): {p['description']}".rstrip(": ") for name, p in trial.parameters.items()]
    return (
        f"You improve a Python program. {trial.problem['objective']}\n"
        "The program defines these, and must go on to do so, functions by def, other values by name = literal:\n"
        + "\n".join(lines)
    )


def program(trial: protocol.Trial) -> str:
    """The text of the file with the start values."""
    if text_alone(trial):
        return trial.texts().popitem()[1]
    parts = [
        p["start"].strip("\n") if trial.kind(name) == "Code" else f"{name} = {p['start']!r}"
        for name, p in trial.parameters.items()
    ]
    return "\n\n".join([START, *parts, END]) + "\n"


def read(trial: protocol.Trial, text: str) -> dict[str, Any]:
    """The parameters in a file, by name.

    Raises:
        ValueError: If the file does not parse, lacks a parameter, or has a value that is not a literal.
    """
    if text_alone(trial):
        return dict.fromkeys(trial.parameters, text)
    try:
        statements = ast.parse(text).body
    except (SyntaxError, RecursionError, MemoryError) as e:
        raise ValueError(f"the program can't be read: {e}") from None
    lines = text.split("\n")
    named = {name_in_file(trial, name): name for name in trial.parameters}
    own: dict[str, ast.stmt] = {}
    shared: list[str] = []
    for statement in statements:
        name = named.get(defined_name(statement))
        if name is not None:
            own[name] = statement  # the last definition counts, as in Python
        else:
            shared.append(source(lines, statement))
    missing = [name for key, name in named.items() if name not in own]
    if missing:
        raise ValueError(f"the program does not define {', '.join(missing)}")
    return {
        name: "\n\n".join([*shared, source(lines, own[name])]) + "\n"
        if trial.kind(name) == "Code"
        else literal(name, own[name])
        for name in trial.parameters
    }


def name_in_file(trial: protocol.Trial, name: str) -> str:
    """A parameter's name in the file, which for code is the name of its function."""
    signature: str = trial.parameters[name]["space"].get("signature", name)
    return signature.split("(")[0].strip()


def defined_name(statement: ast.stmt) -> str:
    """The name that a statement defines, or an empty text."""
    match statement:
        case ast.FunctionDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return ""


def source(lines: list[str], statement: ast.stmt) -> str:
    """The lines of a statement and of its decorators."""
    decorators = getattr(statement, "decorator_list", [])
    first = min(part.lineno for part in (statement, *decorators))
    return "\n".join(lines[first - 1 : statement.end_lineno])


def literal(name: str, statement: ast.stmt) -> Any:
    """The value that a statement assigns.

    Raises:
        ValueError: If it is not a literal, or one that JSON does not have.
    """
    try:
        value = ast.literal_eval(getattr(statement, "value", None) or "")
        json.dumps(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as e:
        raise ValueError(f"the value of {name} is no literal: {e}") from None
    return value


def worst_reward(trial: protocol.Trial) -> float:
    """The reward of the problem's worst score."""
    worst, best = trial.problem["scores"]
    return float(worst if best > worst else -worst)


if __name__ == "__main__":
    protocol.run(main)
