"""Packages that only some environments and agents need: each belongs to an extra of opto_gym."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import MissingExtra


def need(module: str, extra: str) -> Any:
    """Imports a module that an extra brings.

    Args:
        module: Its name, such as ``"uxsim"``.
        extra: The extra's, such as ``"traffic"``.

    Raises:
        MissingExtra: If it is not installed; the message is the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        raise MissingExtra(f"{module} is not installed (no module {e.name!r}): pip install 'opto-gym[{extra}]'") from e
