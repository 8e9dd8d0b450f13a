"""What the sandbox takes and gives: plain data."""

from __future__ import annotations

import dataclasses
import re
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate may use.

    Attributes:
        seconds: Wall time of one call, loading the source included.
        memory: Bytes of address space (RLIMIT_AS); Python with NumPy needs about 300 MB of it.
        output: Bytes of one answer.
        cpu: Seconds of processor time of a whole program.
        host_calls: Calls of the parent's functions by one program.
        example: Wall time of all calls of one program together.
    """

    seconds: float = 2.0
    memory: int = 1 << 30
    output: int = 1 << 20
    cpu: int = 600
    host_calls: int = 1000
    example: float = 60.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"Limits: expected {field.name} > 0, got {value!r}")


@dataclasses.dataclass(frozen=True, slots=True)
class CandidateError:
    """What went wrong in a candidate's code.

    Attributes:
        type: The exception's name, or ``TimeLimit``, ``MemoryError``, ``OutputLimit``, ``ProcessDied``.
        message: Its text: never an address, a measured time, or a path of the harness.
        line: The line of the candidate's source, from 1, or None.
        text: That line itself, or "".
    """

    type: str
    message: str
    line: int | None = None
    text: str = ""

    def __str__(self) -> str:
        where = f" (line {self.line}{f': {self.text}' if self.text else ''})" if self.line else ""
        return f"{self.type}: {self.message}{where}"


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one call: a value or an error, and the wall time in seconds."""

    value: Any
    error: CandidateError | None
    seconds: float


# Addresses, and where this machine keeps its libraries: "cannot import name 'x' from 'math' (/usr/lib/.../math.so)".
_HERE = re.compile(r" at 0x[0-9a-fA-F]+|0x[0-9a-fA-F]{8,}| \(/[^()\n]*\.(?:py|so)\)| from '/[^'\n]*\.(?:py|so)'")
_LINES = re.compile(r"\r\n|\r|\n")  # as Python counts them; str.splitlines knows more


def candidate_error(message: dict[str, Any], source: str) -> CandidateError:
    """The error of a message from the candidate's process, which is not to be trusted."""
    kind, text, line = message.get("error"), message.get("message"), message.get("line")
    kind = kind[:80] if isinstance(kind, str) and kind.isidentifier() else "Exception"
    text = _HERE.sub("", text)[:2000] if isinstance(text, str) else ""
    lines = _LINES.split(source)
    if not (type(line) is int and 1 <= line <= len(lines)):
        return CandidateError(kind, text)
    return CandidateError(kind, text, line, lines[line - 1].strip()[:200])
