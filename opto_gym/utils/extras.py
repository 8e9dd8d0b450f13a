"""Packages that only some environments and agents need: each belongs to an extra of opto_gym."""

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
"""The modules that each extra brings."""


def require(*modules: str) -> None:
    """Checks that modules are installed, without importing them, which may take seconds.

    Args:
        modules: Of `EXTRAS`.

    Raises:
        MissingExtra: If one is not; the message is the line that installs it.
    """
    for module in modules:
        try:
            found = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:  # a finder that keeps a module out says so like this
            found = False
        if not found:
            raise MissingExtra(f"{module} is not installed: {_install(module)}")


def need(module: str) -> Any:
    """Imports a module that an extra brings.

    Args:
        module: One of `EXTRAS`, or a module inside one.

    Raises:
        MissingExtra: If it is not installed; the message is the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        raise MissingExtra(f"{module} is not installed (no module {e.name!r}): {_install(module)}") from e


def _install(module: str) -> str:
    (extra,) = (extra for extra, modules in EXTRAS.items() if module.split(".")[0] in modules)
    return f"pip install 'opto-gym[{extra}]'"
