"""An authors' package as an optimizer: a program of ours in ``programs/`` runs it, unchanged, in their environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from . import install
from .base import External

PROGRAMS = Path(__file__).with_name("programs")


class Package(External):
    """A package that `opto-gym external install` brings.

    Attributes:
        program: The file in ``programs/`` that runs it.

    Raises:
        MissingExtra: If the environment is not installed.
    """

    uses_model: ClassVar[bool] = True
    program: ClassVar[str]

    def __init__(
        self, *, model: str | None = None, base_url: str | None = None, memory: float = 8.0, patience: float = 300.0
    ) -> None:
        super().__init__(model=model, base_url=base_url, memory=memory, patience=patience)
        self._python = install.python()

    @classmethod
    def files(cls, **settings: Any) -> Sequence[Path]:
        """The programs, and what is pinned."""
        return PROGRAMS / cls.program, PROGRAMS / "protocol.py", install.LOCK

    @classmethod
    def versions(cls) -> Mapping[str, str]:
        """The packages that are asked for by name."""
        return install.asked()

    def command(self) -> Sequence[str]:
        """The program in the packages' interpreter."""
        return [str(self._python), "-s", str(PROGRAMS / self.program)]


def one_of(*known: str | None, **settings: Any) -> None:
    """Checks settings that a programmer gives.

    Raises:
        ValueError: If one is none of the values that are known.
    """
    for name, value in settings.items():
        if value not in known:
            raise ValueError(f"expected {name} to be one of {known}, got {value!r}")
