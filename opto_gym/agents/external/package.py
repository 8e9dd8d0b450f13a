"""An authors' package as an optimizer: a program in ``programs/`` runs it, unchanged, in its own Python environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...utils.checks import at_least
from ...utils.moved import moved_names
from . import install
from .base import External

PROGRAMS = Path(__file__).with_name("programs")


class PackageAgent(External):
    """An optimizer in a package that `opto-gym external install` installs.

    Args:
        package_settings: What the program is given beside `max_tokens`, by the package's own names.
        max_tokens: The tokens of an answer of the model; None leaves it to the model.
        settings: `External`'s: ``model``, ``base_url``, ``memory``, ``patience``.

    Attributes:
        program: The file in ``programs/`` that runs the package.

    Raises:
        MissingExtra: If the environment of the packages is not installed.
    """

    uses_model: ClassVar[bool] = True
    program: ClassVar[str]

    def __init__(
        self,
        package_settings: Mapping[str, Any] | None = None,
        *,
        max_tokens: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if max_tokens is not None:
            at_least(1, max_tokens=max_tokens)
        self.settings = {**(package_settings or {}), "max_tokens": max_tokens}
        self._python = install.python()

    @classmethod
    def files(cls, **settings: Any) -> Sequence[Path]:
        """The program, the protocol that it speaks, and the packages' versions: they decide the proposals."""
        return PROGRAMS / cls.program, PROGRAMS / "protocol.py", install.LOCK

    @classmethod
    def versions(cls) -> Mapping[str, str]:
        """The versions of the authors' packages, without those of their dependencies."""
        return install.requested_versions()

    def command(self) -> Sequence[str]:
        """The command that runs the program with the interpreter of the packages' environment."""
        return [str(self._python), "-s", str(PROGRAMS / self.program)]


def one_of(*known: str | None, **settings: Any) -> None:
    """Checks that settings have known values.

    Args:
        known: The known values.
        settings: The settings by name.

    Raises:
        ValueError: If a setting has another value.
    """
    for name, value in settings.items():
        if value not in known:
            raise ValueError(f"expected {name} to be one of {known}, got {value!r}")


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(__name__, {"Package": "agents.external.package:PackageAgent"})
