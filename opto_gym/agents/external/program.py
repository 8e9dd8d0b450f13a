"""Programs in any language as optimizers, which speak the protocol of docs/protocol.md."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ...errors import OptoGymError
from .base import External


class Program(External):
    """A program that calls the oracle, and no model.

    Its environment variables ``OPTO_GYM_URL`` and ``OPTO_GYM_TOKEN`` give it access, see docs/protocol.md. It runs in
    an empty folder; the paths of files in the command are relative to the folder in which opto_gym was started.

    Needs ``pip install 'opto-gym[external]'``.

    Args:
        command: The command line, such as ``"node climb.mjs"``.
        deterministic: Whether it makes the same requests when it gets the same answers; then an interrupted trial
            resumes from its record.
        settings: `External`'s: ``memory``, ``patience``.

    Raises:
        OptoGymError: If the machine does not have the command.
        ValueError: If `deterministic` is not a bool.
    """

    kinds: ClassVar[Mapping[str, str]] = dict.fromkeys(("Number", "Choice", "Permutation", "Prompt", "Code"), "native")

    def __init__(self, *, command: str, deterministic: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        if not isinstance(deterministic, bool):
            raise ValueError(f"{type(self).__name__} expected deterministic to be True or False, got {deterministic!r}")
        self._words = [str(Path(word).absolute()) if Path(word).is_file() else word for word in shlex.split(command)]
        if not self._words or shutil.which(self._words[0]) is None:
            raise OptoGymError(f"{type(self).__name__} expected a command that this machine has, got {command!r}")

    @classmethod
    def files(cls, **settings: Any) -> Sequence[Path]:
        """The files that the command names."""
        return [Path(word) for word in shlex.split(settings["command"]) if Path(word).is_file()]

    @classmethod
    def resumable(cls, **settings: Any) -> bool:
        """Whether an interrupted trial resumes from its record: the setting ``deterministic``."""
        return bool(settings.get("deterministic", cls.deterministic))

    def command(self) -> Sequence[str]:
        """The command's words."""
        return self._words


class ModelProgram(Program):
    """A program that also asks a model: ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` are set for it.

    Needs ``pip install 'opto-gym[external]'``.

    Args:
        command: As for `Program`.
        deterministic: As for `Program`.
        settings: `External`'s: ``model``, ``base_url``, ``memory``, ``patience``.
    """

    uses_model: ClassVar[bool] = True
