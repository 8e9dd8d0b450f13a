"""One call of a function with a given body, and the processes behind a sandbox."""

from __future__ import annotations

from pathlib import Path

LIMIT = 0.5  # seconds a call


def run(box, body, *args):
    return box.call("def f(*x):\n    " + body.replace("\n", "\n    "), "f", list(args))


def zygote_of(box) -> int:
    """The process that a sandbox forks its programs from; 0 before the first.

    A private member: whoever uses a sandbox has no business with its processes, and a program can't tell them.
    """
    return box._zygote.pid if box._zygote else 0


def process_of(program) -> int:
    """The process of a program that was called; private as the zygote is."""
    return program._pid


def below(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    try:
        found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return found + [further for child in found for further in below(child)]
