"""What an endpoint says in the body of an error, whatever the body's shape."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..utils import bounded_json

LONGEST_MESSAGE = 400
"""The most characters of a message that are shown; a longer one loses its middle, so that both ends are told."""

LONGEST_PAGE = 200
"""The most characters of an HTML page that are shown: its begin."""

_MESSAGES = (
    "message",
    "msg",
    "error",
    "errors",
    "detail",
    "details",
    "error_description",
    "description",
    "reason",
    "title",
)
_CODES = ("code", "type", "status", "error_type", "error_code", "errorCode", "native_finish_reason")
_FIELDS = ("param", "field", "loc")
_INNER = (
    "error",
    "errors",
    "message",
    "detail",
    "details",
    "innererror",
    "inner_error",
    "metadata",
    "raw",
    "fieldViolations",
)
_GENERIC = ("Provider returned error", "Bad Request", "error", "Error")
_DEEPEST = 8  # levels of nesting that are read


@dataclasses.dataclass(frozen=True, slots=True)
class ErrorBody:
    """What the body of an error says.

    Attributes:
        text: The whole message on one line; "" if the body is empty. It may hold keys, see `Endpoint.scrub`.
        codes: The codes and types that the body names, as text, such as ``invalid_request_error`` and ``400``.
        fields: The fields of the request that it names as the cause, such as ``temperature`` and ``messages.0.role``.
        is_page: Whether it is an HTML page.
    """

    text: str
    codes: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    is_page: bool = False

    def shown(self, scrub: Callable[[str], str]) -> str:
        """The message as it is shown: without keys, and cut short.

        Args:
            scrub: Removes keys from a text.
        """
        text = scrub(self.text) or "an empty body"
        if self.is_page:
            return text if len(text) <= LONGEST_PAGE else f"{text[:LONGEST_PAGE]} .."
        half = LONGEST_MESSAGE // 2 - 2
        return text if len(text) <= LONGEST_MESSAGE else f"{text[:half]} .. {text[-half:]}"

    @property
    def kind(self) -> str:
        """The first code that is a word; "" if there is none."""
        return next((code for code in self.codes if not code.isdigit() and code not in ("error", "None")), "")

    @property
    def status(self) -> int | None:
        """The HTTP status that the body names, for a body that came with another one; None if it names none."""
        return next((int(code) for code in self.codes if re.fullmatch("[345]\\d\\d", code)), None)


def read_error_body(body: bytes | str) -> ErrorBody:
    """Reads the body of an error: JSON of any shape, an HTML page, or plain text.

    Args:
        body: The body.
    """
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    data = _json(text)
    if data is None:
        page = is_html(text)
        return ErrorBody(page_text(text) if page else _plain(text), is_page=page)
    return read_error_data(data)


def read_error_data(data: Any) -> ErrorBody:
    """Reads the error in JSON data, such as ``{"error": {"message": ...}}``, ``{"detail": [...]}`` or a text.

    Args:
        data: The data.
    """
    messages: list[str] = []
    codes: list[str] = []
    fields: list[str] = []
    _read(data, messages, codes, fields, _DEEPEST)
    distinct = list(dict.fromkeys(filter(None, map(_plain, messages))))
    told = [m for m in distinct if m not in _GENERIC] or distinct
    told = [m for k, m in enumerate(told) if not any(m in other for other in told[:k])]
    message = "; ".join(told) or (json.dumps(data, ensure_ascii=False) if data not in ({}, [], None, "") else "")
    return ErrorBody(_plain(message), tuple(dict.fromkeys(codes)), tuple(dict.fromkeys(fields)))


def is_html(text: str) -> bool:
    """Whether a text is an HTML page."""
    return re.match(r"\s*(?:<!doctype html|<html|<head|<body|<title)", text, re.IGNORECASE) is not None


def page_text(page: str) -> str:
    """The title and the text of an HTML page."""
    title = re.search(r"<title[^>]*>(.*?)</title>", page, re.IGNORECASE | re.DOTALL)
    rest = re.sub(r"<(title|script|style|svg)\b.*?(</\1\s*>|$)", " ", page, flags=re.IGNORECASE | re.DOTALL)
    rest = _plain(html.unescape(re.sub(r"<[^>]*>", " ", rest)))
    head = _plain(html.unescape(title[1])) if title else ""
    return f"an HTML page, {': '.join(filter(None, [repr(head) if head else '', rest])) or 'without text'}"


def _json(text: str) -> Any:
    """The JSON data in a text; None if it is not JSON, or nested too deeply."""
    try:
        return bounded_json.loads(text)
    except ValueError:
        return None


def _plain(text: str) -> str:
    return " ".join(text.split())


def _read(data: Any, messages: list[str], codes: list[str], fields: list[str], depth: int) -> None:
    """Adds what the data says to the lists: the outer statements first."""
    if isinstance(data, str):
        inner = _json(data) if data.lstrip()[:1] in ("{", "[") else None
        if isinstance(inner, dict | list) and depth:
            _read(inner, messages, codes, fields, depth - 1)
        else:
            messages.append(page_text(data) if is_html(data) else data)
    elif isinstance(data, list) and depth:
        for part in data[:10]:
            _read(part, messages, codes, fields, depth - 1)
    elif isinstance(data, Mapping) and depth:
        _read_mapping(data, messages, codes, fields, depth - 1)


def _read_mapping(
    data: Mapping[str, Any], messages: list[str], codes: list[str], fields: list[str], depth: int
) -> None:
    codes += [str(data[name]) for name in _CODES if isinstance(data.get(name), str | int)]
    named = [path for name in _FIELDS if (path := _path(data.get(name)))]
    fields += named
    statement = data.get("msg")
    if named and isinstance(statement, str):  # an item of pydantic's details
        messages.append(f"{named[0]}: {statement}")
    for name in dict.fromkeys((*_MESSAGES, *_INNER)):
        value = data.get(name)
        is_message = isinstance(value, str) and name in (*_MESSAGES, "raw") and not (name == "msg" and named)
        if is_message or isinstance(value, dict | list):
            _read(value, messages, codes, fields, depth)


def _path(loc: Any) -> str:
    """A field's path as text: ``messages.0.role`` of ``["body", "messages", 0, "role"]`` and ``messages[0].role``."""
    parts: Iterator[Any] = iter(())
    if isinstance(loc, str):
        parts = iter(re.split(r"[.\[\]]+", loc))
    elif isinstance(loc, list):
        parts = iter(loc)
    return ".".join(str(part) for part in parts if part not in ("body", "", None))
