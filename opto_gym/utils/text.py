"""Text that a file or a terminal can hold, whatever the locale."""

from __future__ import annotations

import codecs
import re
import sys
from pathlib import Path

from .redaction import redact_data

_HANDLER = "opto_gym.printable"
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


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
    """A text of somebody else for a terminal: control characters, and those that turn its direction, as escapes.

    A terminal takes them as commands: to erase what was said, to set its title, to write to the clipboard. Line ends
    and tabs stay.
    """
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def write_text(path: Path, text: str) -> None:
    """Writes a file in UTF-8, without keys; see `printable` for what UTF-8 can't hold."""
    path.write_text(printable(redact_data(text)), encoding="utf-8")


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
