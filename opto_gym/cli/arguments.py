"""Arguments of the command line as Python values."""

from __future__ import annotations

import argparse
import ast
import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from ..leaderboard.config import RunConfig

BUDGETS = {"oracle-calls": int, "evaluations": int, "llm-calls": int, "tokens": int, "usd": float, "seconds": float}


# ------------------------------------------------------------------ values of options
def comma_list(text: str) -> tuple[str, ...]:
    """The entries of a text like ``a,b``."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_seeds(text: str) -> int | list[int]:
    """``5`` as a number of seeds, ``0,3,7`` as the seeds themselves."""
    try:
        return [int(s) for s in comma_list(text)] if "," in text else int(text)
    except ValueError:
        raise ValueError(f"--seeds expected how many, such as 5, or which, such as 0,3,7; got {text!r}") from None


def parse_value(text: str) -> Any:
    """A setting's text as a Python value: a literal, ``none``, or the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def parse_pairs(text: str) -> dict[str, Any]:
    """``a=1,b=two`` as a dictionary; commas inside brackets or a value in quotes do not part."""
    parts, depth, quote = [""], 0, ""
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"" and (depth or parts[-1].endswith("=")):
            quote = c
        else:
            depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += c
    pairs = {}
    for part in filter(None, (p.strip() for p in parts)):
        key, eq, value = part.partition("=")
        if not eq:
            raise ValueError(f"expected KEY=VALUE, got {part!r}")
        pairs[key.strip().replace("-", "_")] = parse_value(value.strip())
    return pairs


def parse_named(text: str) -> tuple[str, dict[str, Any]]:
    """``Name`` or ``module:Class``, each with ``:key=value,...``; values may hold colons."""
    found = re.fullmatch(r"([^:=]+(?::[^:=]+)?)(?::([^:=]+=.*))?", text, re.DOTALL)
    return (found[1], parse_pairs(found[2] or "")) if found else (text, {})


# ------------------------------------------------------------------ running trials
FIXED_BY_FOLDER = (
    *("env", "agent", "suite", "seeds", "out", "dry_run", "mask", "feedback", "wrapper", "test_scores"),
    *("model", "optimizer_model", "task_model", "base_url", "config", "print_config"),
)
"""What a run's folder settles."""


def trial_limits(options: argparse.Namespace) -> dict[str, Any]:
    """The budget of a trial, by name."""
    limits = {name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name in BUDGETS}
    return {k: v for k, v in limits.items() if v is not None}


def plan_settings(options: argparse.Namespace) -> dict[str, Any]:
    """What `plan` takes beside environments, agents and seeds."""
    return {
        "limits": trial_limits(options),
        "cap": parse_pairs(options.cap),
        "model": options.model,
        "optimizer_model": options.optimizer_model,
        "task_model": options.task_model,
        "base_url": options.base_url,
        "mask": comma_list(options.mask or ""),
        "feedback": None if options.feedback is None else comma_list(options.feedback),
        "wrappers": [parse_named(w) for w in options.wrapper],
    }


def run_config(options: argparse.Namespace) -> RunConfig:
    """What ``opto-gym run`` is asked for: the file of ``--config``, if there is one, with the options in its place."""
    from ..leaderboard.config import RunConfig, stored

    if options.suite and (options.env or options.agent):
        raise ValueError("--suite names its environments and agents itself: give no --env and no --agent beside it")
    base = RunConfig.from_file(options.config) if options.config else RunConfig()
    settings = plan_settings(options)
    asked: dict[str, Any] = {
        "envs": tuple(map(stored, map(parse_named, options.env))),
        "agents": tuple(map(stored, map(parse_named, options.agent))),
        "wrappers": tuple(map(stored, settings["wrappers"])),
        "mask": settings["mask"],
        "feedback": settings["feedback"],
        "budget": {**base.budget, **settings["limits"]},
        "cap": {**base.cap, **settings["cap"]},
        "seeds": parse_seeds(options.seeds) if options.seeds else None,
    }
    if isinstance(asked["seeds"], list):
        asked["seeds"] = tuple(asked["seeds"])
    for name in ("suite", "model", "optimizer_model", "task_model", "base_url", "test_scores", "out", "jobs"):
        asked[name] = getattr(options, name)
    given = {name: value for name, value in asked.items() if value not in (None, (), {})}
    return msgspec.structs.replace(base, **given)
