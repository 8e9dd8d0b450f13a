"""``opto-gym doctor``: what is installed, and what this machine offers."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from typing import Any

from .. import __version__
from ..agents.external import install
from ..errors import SettingsError
from ..leaderboard.machine import machine
from ..llm import local
from ..llm.settings import from_environment, public_address
from ..sandbox import advice, shared


def show_machine(options: argparse.Namespace) -> int:
    """Prints versions, the state of the embedded model, the endpoint, and the sandbox; keys are never printed.

    Returns:
        0 if the embedded model can run, else 1.
    """
    model, external, force = local.available(), install.state(), shared().in_force()
    ready = model["server"] and model["intact"]
    key = "set" if from_environment("OPENAI_API_KEY") else "not set"
    writable = "" if os.access(".", os.W_OK) else ", but this folder can't be written"
    rows = {
        "opto-gym": __version__,
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": ", ".join(f"{name} {version}" for name, version in machine().versions.items()),
        "embedded model": "ready" if ready else _how_to_get(model),
        "  its file": model["file"],
        "endpoint": _endpoint(),
        "key": f"OPENAI_API_KEY is {key}",
        "model": from_environment("OPTO_GYM_MODEL") or "OPTO_GYM_MODEL is not set: local",
        "external packages": external if external == "ready" else f"{external}: {install.COMMAND}",
        **advice.rows(force),
        "disk here": f"{shutil.disk_usage('.').free / 1e9:.1f} GB free{writable}",
    }
    for name, text in rows.items():
        print(f"{name:17} {text}")
    return 0 if ready else 1


def _endpoint() -> str:
    url = from_environment("OPENAI_BASE_URL")
    try:
        return public_address(url) if url else "OPENAI_BASE_URL is not set"
    except SettingsError as e:
        return str(e)


def _how_to_get(model: dict[str, Any]) -> str:
    if not model["server"]:
        return "its server is missing: pip install 'opto-gym[local]'"
    return f"{'damaged' if model['present'] else 'missing'}: opto-gym models pull smollm2"
