"""The options of ``opto-gym run`` and ``compare`` that say which models are asked, and how."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .arguments import amount, endpoint_settings, whole_number

_WHOSE = {"": "the models", "optimizer-": "the agents' model alone", "task-": "the model inside environments alone"}

MOVABLE = (
    *(f"{role}{name}" for name in ("base_url", "api_key_env") for role in ("", "optimizer_", "task_")),
    *("timeout", "attempts", "concurrency", "price"),
)
"""The options that no result depends on, so that a run can be resumed with other values."""


def add_model_options(p: argparse.ArgumentParser) -> None:
    """Adds the options to a command."""
    model = p.add_argument_group("language models")
    model.add_argument(
        "--model",
        metavar="NAME",
        help='the model of agents and environments; "local" is the embedded one, module:function one of your own',
    )
    model.add_argument("--optimizer-model", metavar="NAME", help="the agents' model, in place of --model")
    model.add_argument("--task-model", metavar="NAME", help="the model inside environments, in place of --model")
    for role, whose in _WHOSE.items():
        default = "" if role else " (default: OPENAI_BASE_URL)"
        model.add_argument(
            f"--{role}base-url", metavar="URL", help=f"an OpenAI-compatible endpoint, for {whose}{default}"
        )
    for role, whose in _WHOSE.items():
        default = "" if role else " (default: OPENAI_API_KEY)"
        model.add_argument(
            f"--{role}api-key-env",
            metavar="VARIABLE",
            help=f"the environment variable that holds the key of {whose}{default}",
        )
    for role, whose in _WHOSE.items():
        model.add_argument(
            f"--{role}extra-body",
            type=json_object,
            metavar="JSON",
            help=f'fields that are added to every request, for {whose}, such as {{"reasoning_effort": "low"}}',
        )
    for role, whose in _WHOSE.items():
        model.add_argument(
            f"--{role}endpoint-label",
            metavar="NAME",
            help=f"part of a trial's id, where equal names mean other weights on other servers, for {whose}",
        )
    for name, settings in _CALLS.items():
        model.add_argument(name, **settings)


def positive(text: str) -> float:
    """A converter for `argparse` that accepts finite numbers greater than 0."""
    value = amount(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"expected a number greater than 0, got {text!r}")
    return value


def json_object(text: str) -> dict[str, Any]:
    """A converter for `argparse` of a JSON object."""
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise argparse.ArgumentTypeError(
            f'expected a JSON object, such as \'{{"reasoning_effort": "low"}}\', got {text!r}'
        )
    return data


def model_price(text: str) -> tuple[str, tuple[float, ...]]:
    """A converter for `argparse` of a model with its price: ``MODEL=IN,OUT`` or ``MODEL=IN,OUT,CACHED``."""
    model, _, numbers = text.rpartition("=")
    try:
        price = tuple(amount(number) for number in numbers.split(","))
    except argparse.ArgumentTypeError:
        price = ()
    if not model.strip() or len(price) not in (2, 3):
        expected = "expected MODEL=IN,OUT or MODEL=IN,OUT,CACHED in USD per million tokens, such as my-model=0.15,0.6"
        raise argparse.ArgumentTypeError(f"{expected}; got {text!r}")
    return model.strip(), price


def moved(options: argparse.Namespace) -> dict[str, Any]:
    """Those of `endpoint_settings` that are given and that a resumed run takes."""
    movable = {*MOVABLE, "prices"}
    return {k: v for k, v in endpoint_settings(options).items() if k in movable and v is not None}


_CALLS: dict[str, dict[str, Any]] = {
    "--price": {
        "type": model_price,
        "action": "append",
        "default": [],
        "metavar": "MODEL=IN,OUT[,CACHED]",
        "help": "USD per million tokens of a model, in place of the price list; repeatable",
    },
    "--timeout": {
        "type": positive,
        "metavar": "SECONDS",
        "help": "how long an attempt of a call may take (default: 600, and never more than is left of --seconds)",
    },
    "--attempts": {
        "type": whole_number(1, "attempt"),
        "metavar": "N",
        "help": "how often a call is tried (default: 6; after a time-out once more at most)",
    },
    "--concurrency": {
        "type": whole_number(1, "request"),
        "metavar": "N",
        "help": "requests to an endpoint at a time (default: begins with 20, and adapts to the endpoint)",
    },
}
"""The options that say how calls are made and what they cost."""
