"""Text that a file or a terminal can hold, whatever the locale."""

from __future__ import annotations

import codecs
import re
import sys
from pathlib import Path

from . import safe_files
from .redaction import redact_data

_HANDLER = "opto_gym.printable"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


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


def visible(text: object) -> str:
    r"""A text for a terminal, with escapes such as ``\x1b`` in place of control characters.

    Records, endpoints and file names may hold characters that move the cursor, set the title or reverse the text. Line
    breaks and tabs stay.
    """
    given = str(text).replace("\r\n", "\n")
    seen = printable(given)
    escaped = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), seen)
    was_decoded = len(seen) < len(given)  # the bytes of a file name, which are printed as they are
    return given if was_decoded and escaped == seen else escaped


def one_line(text: object, most: int = 500) -> str:
    """A text on one line, with escapes as in `visible`, for a message, a cell of a table or a figure.

    Args:
        text: The text.
        most: The largest number of characters. What is cut out of the middle is shown as an ellipsis.
    """
    line = visible(str(text).strip()).replace("\n", "\\n").replace("\t", " ")
    end = (most - 1) // 2
    return line if len(line) <= most else f"{line[: most - 1 - end]}…{line[len(line) - end :]}"


def write_text(path: Path, text: str) -> None:
    """Writes a file in UTF-8, without keys, in place of an older file or link.

    See `printable` for what UTF-8 can't hold.

    Raises:
        OSError: If it can't be written.
    """
    safe_files.write_file(path, printable(redact_data(text)).encode("utf-8"), durable=False)


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
