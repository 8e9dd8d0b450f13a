"""Texts of the command line as Python values, with errors that name the option."""

from __future__ import annotations

import argparse
import ast
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..utils.checks import AMOUNTS, COUNTS, budget_limits, seed_list
from ..utils.suggestions import did_you_mean

if TYPE_CHECKING:
    from ..leaderboard.config import RunConfig

Named = tuple[str, dict[str, Any]]
"""The name of an environment, an agent or a wrapper, with its keyword arguments."""


class UsageError(ValueError):
    """The command line can't be understood, or names something that does not exist."""


# ------------------------------------------------------------------ values of options
def whole_number(least: int, unit: str = "") -> Callable[[str], int]:
    """A converter for `argparse` that accepts whole numbers from a least one on.

    Args:
        least: The least.
        unit: What is counted, for the error: ``"job"`` gives "at least 1 job".
    """

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            expected = f"expected a whole number, at least {least} {unit}".rstrip()
            raise argparse.ArgumentTypeError(f"{expected}, got {text!r}")
        return value

    return convert


def test_seed(text: str) -> int | str:
    """A converter for `argparse` that accepts a whole number of at least 0, or ``random``."""
    if text == "random":
        return text
    try:
        return whole_number(0)(text)
    except argparse.ArgumentTypeError as e:
        raise argparse.ArgumentTypeError(f"{e}; or random") from None


def trial_call(text: str) -> tuple[str, int]:
    """A converter for `argparse` of the folder of a trial and the number of an oracle call: ``TRIAL:CALL``."""
    path, colon, call = text.rpartition(":")
    if not colon or not path or not call.isdecimal():
        raise argparse.ArgumentTypeError(f"expected TRIAL:CALL, such as RUN/trials/NAME:3, got {text!r}")
    return path, int(call)


def amount(text: str) -> float:
    """A converter for `argparse` that accepts finite numbers of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number, at least 0, got {text!r}")
    return value


BUDGETS: dict[str, Callable[[str], float]] = {
    **{name.replace("_", "-"): whole_number(least) for name, least in COUNTS.items()},
    **dict.fromkeys(AMOUNTS, amount),
}
"""The options that limit a trial's budget, with their converters."""


def comma_list(text: str) -> tuple[str, ...]:
    """The entries of a text like ``a,b``."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_seeds(text: str) -> int | list[int]:
    """The value of ``--seeds``: ``5`` is a number of seeds, ``0,3,7`` are the seeds themselves."""
    try:
        seeds = [int(seed) for seed in comma_list(text)] if "," in text else int(text)
    except ValueError:
        raise UsageError(f"--seeds expected a number, such as 5, or a list, such as 0,3,7; got {text!r}") from None
    try:
        seed_list(seeds)
    except ValueError as e:
        raise UsageError(f"--seeds {e}") from None
    return seeds


def parse_cap(text: str) -> dict[str, float]:
    """The value of ``--cap``: limits of the whole run, such as ``usd=5,tokens=1000000``."""
    try:
        return budget_limits(parse_pairs(text))
    except ValueError as e:
        raise UsageError(f"--cap: {e}") from None


def parse_value(text: str) -> Any:
    """A setting's text as a Python value: a literal, ``none``, or the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def parse_pairs(text: str) -> dict[str, Any]:
    """``a=1,b=two`` as a dictionary. A comma inside brackets or quotes belongs to the value."""
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
    pairs: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in parts)):
        key, eq, value = part.partition("=")
        name = key.strip().replace("-", "_")
        if not eq:
            raise UsageError(f"expected KEY=VALUE, got {part!r}")
        if name in pairs:
            raise UsageError(f"expected each key once, got {name!r} twice in {text!r}")
        pairs[name] = parse_value(value.strip())
    return pairs


def parse_named(text: str) -> Named:
    """``Name`` or ``module:Class``, each with ``:key=value,...``. Values may contain colons."""
    found = re.fullmatch(r"([^:=]+(?::[^:=]+)?)(?::([^:=]+=.*))?", text, re.DOTALL)
    return (found[1], parse_pairs(found[2] or "")) if found else (text, {})


# ------------------------------------------------------------------ names of environments, agents and wrappers
def parse_env(text: str, option: str = "--env") -> Named:
    """An environment with its arguments; its class is loaded, so that a mistake in the name is found at once.

    Args:
        text: ``ENV`` or ``ENV:key=value,...``.
        option: What to name in errors.
    """
    from .. import registration

    return _parse_loadable(text, option, registration.env_class)


def parse_agent(text: str, option: str = "--agent") -> Named:
    """An agent with its settings; its class is loaded, so that a mistake in the name is found at once.

    Args:
        text: ``AGENT`` or ``AGENT:key=value,...``.
        option: What to name in errors.
    """
    from .. import registration

    return _parse_loadable(text, option, registration.agent_class)


def _parse_loadable(text: str, option: str, load: Callable[[str], Any]) -> Named:
    from gymnasium.error import Error

    from ..errors import MissingExtra

    try:
        name, arguments = parse_named(text)
        load(name)
    except MissingExtra as e:  # not a mistake in the command
        raise MissingExtra(f"{option} {text}: {e}") from e
    except (ValueError, TypeError, KeyError, ImportError, Error) as e:
        raise UsageError(f"{option}: {e}") from e
    return name, arguments


def parse_wrappers(texts: Iterable[str]) -> list[Named]:
    """The wrappers of ``--wrapper``, with their arguments."""
    from .. import wrappers

    named = [parse_named(text) for text in texts]
    for name, _ in named:
        _check_choices("--wrapper", [name], wrappers.__all__)
    return named


def _check_choices(option: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            listed = ", ".join(known)
            raise UsageError(f"{option}: expected one of {listed}, got {name!r}{did_you_mean(name, known)}")


# ------------------------------------------------------------------ running trials
FIXED_BY_FOLDER = (
    *("env", "agent", "suite", "seeds", "out", "dry_run", "mask", "feedback", "wrapper", "test_scores", "test_seed"),
    *("model", "optimizer_model", "task_model", "config", "print_config"),
    *(f"{role}{name}" for name in ("extra_body", "endpoint_label") for role in ("", "optimizer_", "task_")),
)
"""The options that a run's folder determines, so that ``--resume`` does not accept them."""


def trial_limits(options: argparse.Namespace) -> dict[str, Any]:
    """The budget of a trial, by name."""
    limits = {name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name in BUDGETS}
    return {k: v for k, v in limits.items() if v is not None}


def endpoint_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of `RunConfig` that say how the models are asked, as the options give them; None if not given."""
    from ..leaderboard.config import ENDPOINT_FIELDS

    return {
        name: dict(options.price) or None if name == "prices" else getattr(options, name) for name in ENDPOINT_FIELDS
    }


def plan_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `plan`, except for environments, agents and seeds."""
    from ..problems import KINDS
    from ..trace import PARTS

    mask, feedback = comma_list(options.mask or ""), comma_list(options.feedback or "")
    _check_choices("--mask", mask, PARTS)
    _check_choices("--feedback", feedback, KINDS)
    return {
        "limits": trial_limits(options),
        "cap": parse_cap(options.cap),
        "model": options.model,
        "optimizer_model": options.optimizer_model,
        "task_model": options.task_model,
        **{name: value for name, value in endpoint_settings(options).items() if value is not None},
        "mask": mask,
        "feedback": None if options.feedback is None else feedback,
        "wrappers": parse_wrappers(options.wrapper),
        "test_seed": options.test_seed,
    }


def run_config(options: argparse.Namespace) -> RunConfig:
    """What ``opto-gym run`` is asked for: the file of ``--config``, if there is one, with the options in its place."""
    from ..leaderboard.config import ENDPOINT_FIELDS, RunConfig, stored

    if options.suite and (options.env or options.agent):
        raise ValueError("--suite names its environments and agents itself: give no --env and no --agent beside it")
    base = RunConfig.from_file(options.config, trust=options.trust) if options.config else RunConfig()
    settings = plan_settings(options)
    asked: dict[str, Any] = {
        "envs": tuple(stored(parse_env(text)) for text in options.env),
        "agents": tuple(stored(parse_agent(text)) for text in options.agent),
        "wrappers": tuple(map(stored, settings["wrappers"])),
        "mask": settings["mask"],
        "feedback": settings["feedback"],
        "budget": {**base.budget, **settings["limits"]},
        "cap": {**base.cap, **settings["cap"]},
        "seeds": parse_seeds(options.seeds) if options.seeds else None,
        **{name: settings.get(name) for name in ENDPOINT_FIELDS},
        "prices": {**base.prices, **settings.get("prices", {})},
    }
    if isinstance(asked["seeds"], list):
        asked["seeds"] = tuple(asked["seeds"])
    for name in ("suite", "model", "optimizer_model", "task_model", "test_scores", "test_seed", "out", "jobs"):
        asked[name] = getattr(options, name)
    given = {name: value for name, value in asked.items() if value not in (None, (), {})}
    return msgspec.structs.replace(base, **given)
