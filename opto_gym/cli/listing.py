"""``opto-gym envs``, ``agents``, ``doctor``."""

from __future__ import annotations

import argparse
import os
from typing import Any


# ------------------------------------------------------------------ looking
def show_names(options: argparse.Namespace) -> int:
    """``opto-gym envs`` and ``agents``."""
    import inspect

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from .. import registration
    from ..errors import DataNotFound, MissingExtra
    from ..utils.extras import require

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # nothing is cut off in a file
    is_env = options.command == "envs"
    if is_env and options.gallery:
        return write_gallery(options)

    load = registration.env_class if is_env else registration.agent_class
    if options.name:
        print(inspect.getdoc(load(options.name)) or "no documentation")
        if not is_env and (kinds := load(options.name).supported_kinds()):
            print("\nParameters:", *(f"    {kind}: {how}" for kind, how in kinds.items()), sep="\n")
        return 0
    table = Table(
        "environment" if is_env else "agent", *(["parameters", "kind"] if is_env else ["model"]), "", box=None
    )
    for name in registration.registered_envs() if is_env else registration.registered_agents():
        try:
            cls = load(name)
            first = (inspect.getdoc(cls) or "").split("\n")[0]
            if is_env:
                if hasattr(cls, "about"):  # else a function that makes an environment
                    first = cls.about(**registration.spec(name).kwargs)
                inner: Any = registration.make(name).unwrapped
                kinds = ", ".join(dict.fromkeys(type(p.space).__name__.lower() for p in inner.parameters))
                table.add_row(name, kinds, "instance" if inner.instance else "distribution", first)
            else:
                require(*cls.needs)
                table.add_row(name, "yes" if cls.uses_model else "", first)
        except (DataNotFound, MissingExtra) as e:
            lacks = "its data is missing" if isinstance(e, DataNotFound) else escape(str(e))
            table.add_row(name, *[""] * (len(table.columns) - 2), f"{first} (not usable here: {lacks})")
        except Exception as e:  # a plug-in that is broken hides nothing else
            table.add_row(name, f"[red]broken: {e}[/red]")
    console.print(table)
    return 0


def write_gallery(options: argparse.Namespace) -> int:
    """``opto-gym envs --gallery``."""
    from pathlib import Path

    from . import gallery

    if options.name:
        raise ValueError("--gallery shows all families: expected no name beside it")
    print(gallery.write(Path(options.gallery), list(gallery.cards())))
    return 0


def show_machine(options: argparse.Namespace) -> int:
    """``opto-gym doctor``."""
    import platform
    import shutil

    from .. import __version__
    from ..agents.external import install
    from ..leaderboard.machine import machine
    from ..llm import local
    from ..llm.endpoint import without_credentials
    from ..sandbox import advice, shared

    model, external, force = local.available(), install.state(), shared().in_force()
    url = os.environ.get("OPENAI_BASE_URL")
    key = "set" if os.environ.get("OPENAI_API_KEY") else "not set"
    rows = {
        "opto-gym": __version__,
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": ", ".join(f"{name} {version}" for name, version in machine().versions.items()),
        "embedded model": "ready" if model["server"] and model["intact"] else _mend_model(model),
        "  its file": model["file"],
        "endpoint": without_credentials(url) if url else "OPENAI_BASE_URL is not set",
        "key": f"OPENAI_API_KEY is {key}",
        "model": os.environ.get("OPTO_GYM_MODEL") or "OPTO_GYM_MODEL is not set: local",
        "external packages": external if external == "ready" else f"{external}: {install.COMMAND}",
        **advice.rows(force),
        "disk here": f"{shutil.disk_usage('.').free / 1e9:.1f} GB free"
        + ("" if os.access(".", os.W_OK) else ", but this folder can't be written"),
    }
    for name, said in rows.items():
        print(f"{name:17} {said}")
    return 0 if model["server"] and model["intact"] else 1


def _mend_model(model: dict[str, Any]) -> str:
    if not model["server"]:
        return "its server is missing: pip install 'opto-gym[local]'"
    return f"{'damaged' if model['present'] else 'missing'}: opto-gym models pull smollm2"
