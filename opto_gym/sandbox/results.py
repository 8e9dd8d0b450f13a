"""The data that the sandbox takes and returns: limits, results and errors."""

from __future__ import annotations

import dataclasses
import re
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate may use.

    Times are processor times, so that a busy machine does not change scores; `wall` bounds the wall times.

    Attributes:
        seconds: Processor time of one call, including the loading of its source.
        memory: Bytes of address space (RLIMIT_AS); Python with NumPy needs about 300 MB of it.
        output: Bytes of one answer.
        cpu: Seconds of processor time of a process.
        host_calls: Calls of host functions by a process.
        example: Processor time of all calls of a process together, in seconds.
        wall: How many times `seconds` and `example` a call and all calls may take in wall time. This ends code that
            sleeps or waits. Where up to four processes share a processor, it stops nothing else.
    """

    seconds: float = 2.0
    memory: int = 1 << 30
    output: int = 1 << 20
    cpu: int = 600
    host_calls: int = 1000
    example: float = 60.0
    wall: float = 4.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"Limits: expected {field.name} > 0, got {value!r}")

    def times(self) -> dict[str, float]:
        """The limits on time, in seconds, by name, for a trial's record."""
        return {
            "call_processor": self.seconds,
            "call_wall": self.seconds * self.wall,
            "example_processor": self.example,
            "example_wall": self.example * self.wall,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class CandidateError:
    """An error in a candidate's code.

    Attributes:
        type: The name of the exception, or ``TimeLimit``, ``MemoryError``, ``OutputLimit``, ``ProcessDied``.
        message: The text, without memory addresses, measured times and paths of this machine.
        line: The line of the candidate's source, counted from 1, or None.
        text: The text of that line, or "".
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
    """The result of one call.

    Attributes:
        value: What the function returned, or None.
        error: What went wrong, or None.
        seconds: The wall time, without that of host functions.
    """

    value: Any
    error: CandidateError | None
    seconds: float


# Memory addresses, and paths of libraries: "cannot import name 'x' from 'math' (/usr/lib/.../math.so)".
_ADDRESSES_AND_PATHS = re.compile(
    r" at 0x[0-9a-fA-F]+|0x[0-9a-fA-F]{8,}| \(/[^()\n]*\.(?:py|so)\)| from '/[^'\n]*\.(?:py|so)'"
)
_LINE_BREAKS = re.compile(r"\r\n|\r|\n")  # those of Python sources; str.splitlines knows more


def candidate_error(message: dict[str, Any], source: str) -> CandidateError:
    """Reads the error in a message from the candidate's process, which is not trusted.

    Args:
        message: The message.
        source: The source of the function that was called.
    """
    kind, text, line = message.get("error"), message.get("message"), message.get("line")
    kind = kind[:80] if isinstance(kind, str) and kind.isidentifier() else "Exception"
    text = _ADDRESSES_AND_PATHS.sub("", text)[:2000] if isinstance(text, str) else ""
    lines = _LINE_BREAKS.split(source)
    if not (type(line) is int and 1 <= line <= len(lines)):
        return CandidateError(kind, text)
    return CandidateError(kind, text, line, lines[line - 1].strip()[:200])
