"""Optional packages that only some environments and agents need. Each belongs to an extra of opto_gym."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ..errors import MissingExtra

EXTRAS: dict[str, tuple[str, ...]] = {
    "local": ("xllamacpp",),
    "traffic": ("uxsim",),
    "metaworld": ("metaworld", "imageio"),
    "search": ("skopt", "pyswarms", "optuna", "cmaes"),
    "data": ("huggingface_hub",),
    "tokens": ("tiktoken", "tiktoken_ext"),
    "external": ("starlette", "uvicorn", "psutil", "black"),
}
"""The modules that each extra installs."""


def require(*modules: str) -> None:
    """Checks that modules are installed, without importing them, which may take seconds.

    Args:
        modules: Names of top-level modules, usually from `EXTRAS`.

    Raises:
        MissingExtra: If one is not installed; the message says how to install it.
    """
    for module in modules:
        try:
            found = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:  # raised by import hooks that block a module
            found = False
        if not found:
            raise missing_extra(module)


def need(module: str) -> Any:
    """Imports a module of an optional package.

    Args:
        module: A module of `EXTRAS`, or a module inside one.

    Raises:
        MissingExtra: If it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        raise missing_extra(module, f" (no module {e.name!r})") from e


def missing_extra(module: str, detail: str = "") -> MissingExtra:
    """The error for a module that is not installed.

    Args:
        module: Its name.
        detail: What to add after "is not installed".
    """
    extra = next((extra for extra, modules in EXTRAS.items() if module.split(".")[0] in modules), None)
    remedy = f"pip install 'opto-gym[{extra}]'" if extra else "install the package that provides it"
    return MissingExtra(f"{module} is not installed{detail}: {remedy}")
