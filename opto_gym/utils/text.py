"""Text that a file or a terminal can hold, whatever the locale."""

from __future__ import annotations

import codecs
import sys
import unicodedata
from pathlib import Path

_HANDLER = "opto_gym.printable"


def printable(text: str) -> str:
    """A text that can be encoded in UTF-8.

    Lone surrogates come from two places: Python puts them for the bytes of a file name or an argument that the locale
    can't decode, which become characters again; and a JSON string may contain them, which become escapes.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        try:
            return text.encode("utf-8", "surrogateescape").decode("utf-8")
        except UnicodeError:
            return text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text


def visible(text: str) -> str:
    """A text in which characters that are not shown are escapes, so that they can't steer a terminal.

    Line ends and tabs stay.
    """
    return "".join(c if _is_visible(c) or c in "\n\t" else _as_escape(c) for c in text)


def one_line(text: str, most: int = 500) -> str:
    """A text on one line, with escapes as in `visible`, and cut in its middle where it is longer than `most`."""
    line = "".join(c if _is_visible(c) else _as_escape(c) for c in text.strip())
    half = most // 2
    return line if len(line) <= most else f"{line[:half]} ... {line[-half:]}"


def _is_visible(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"  # a space of any width


def _as_escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def write_text(path: Path, text: str) -> None:
    """Writes a file in UTF-8; see `printable` for what UTF-8 can't hold."""
    path.write_text(printable(text), encoding="utf-8")


def never_fail_to_print() -> None:
    """Makes standard output and error print an escape for a character that their encoding lacks, not raise."""
    codecs.register_error(_HANDLER, _escape)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):  # a notebook's stream has none
            reconfigure(errors=_HANDLER)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Prints the bytes of a file name as they are, as Python does in the C locale, and the rest as escapes."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.backslashreplace_errors(error)
