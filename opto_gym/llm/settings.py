"""Checks of what a user gives to reach a model: keys, addresses and names of models.

Such texts come from files, from web pages and from chats, with line ends, blanks and typographic quotes that nobody
sees. White space around a text is removed. What else would fail deep inside the HTTP library is refused here, with the
name of the setting and the character that is wrong. Values of keys are never shown.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from ..errors import SettingsError

OPENAI_URL = "https://api.openai.com/v1"
"""The endpoint where none is given."""

_PUBLIC_QUERY = ("api-version",)  # parameters of a URL's query that hold no secret: Azure's version of the API
_PATH_OF_CALLS = "/chat/completions"  # the HTTP library appends it; providers show URLs with it
_SCHEME = re.compile(r"^(https?:?/+|[a-z]*://)", re.IGNORECASE)  # with typing errors
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"  # a byte order mark, and characters without a width
_QUOTES = "\"'`\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u2032\u2033"


class Address(NamedTuple):
    """The address of an endpoint, in the parts that the HTTP library takes.

    Attributes:
        url: Scheme, host, port and path, without a slash at the end.
        login: (user name, password) of the URL, or None.
        query: The parameters of the URL's query, which go with every request.
    """

    url: str
    login: tuple[str, str] | None
    query: dict[str, str]

    @property
    def public(self) -> str:
        """The address as it is recorded and shown: without the login, and without parameters that may be secret."""
        shown = {name: value for name, value in self.query.items() if name in _PUBLIC_QUERY}
        return f"{self.url}?{urlencode(shown)}" if shown else self.url

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not be shown: the login, as HTTP sends it, its password, and unknown parameters."""
        hidden = [value for name, value in self.query.items() if name not in _PUBLIC_QUERY]
        login = [":".join(self.login), self.login[1] or self.login[0]] if self.login else []
        return (*login, *hidden)


def from_environment(name: str) -> str | None:
    """The value of an environment variable without white space around it; None if it is empty or not set."""
    return trimmed(os.environ.get(name))


def trimmed(text: str | None) -> str | None:
    """A text without white space and invisible characters around it; None if nothing is left."""
    return (text or "").strip().strip(_INVISIBLE).strip() or None


def read_key(text: str | None, source: str) -> str | None:
    """A key as it is sent in a header; None if it is empty.

    Args:
        text: What the user gave.
        source: Where it is from, for the error.

    Raises:
        SettingsError: If it holds anything else than visible ASCII characters, or a quote.
    """
    key = trimmed(text)
    if key is None:
        return None
    if key.lower().startswith("bearer "):
        raise SettingsError(f"the key in {source} begins with 'Bearer', which is added by itself: leave it out")
    for place, character in enumerate(key, 1):
        if character in _QUOTES or not "!" <= character <= "~":
            raise SettingsError(
                f"the key in {source} has {_name(character)} as character {place} of {len(key)}, which no key has: "
                "copy the key again, alone and without quotes"
            )
    return key


def read_model(text: str | None, source: str) -> str | None:
    """The name of a model; None if it is empty.

    Args:
        text: What the user gave.
        source: Where it is from, for the error.

    Raises:
        SettingsError: If it holds a quote, a line end or another character that is not shown.
    """
    name = trimmed(text)
    for place, character in enumerate(name or "", 1):
        if character in _QUOTES or unicodedata.category(character)[0] == "C" or character in "\u2028\u2029":
            raise SettingsError(
                f"the model's name {name!r} ({source}) has {_name(character)} as character {place}: write the name as "
                "the endpoint lists it, without quotes"
            )
    return name


def read_address(text: str | None, source: str) -> Address | None:
    """The parts of a base URL; None if it is empty. ``/chat/completions`` at its end is removed.

    Args:
        text: What the user gave.
        source: Where it is from, for the error.

    Raises:
        SettingsError: If it is not a complete URL of http or https.
    """
    url = trimmed(text)
    if url is None:
        return None
    for character in url:
        if character in _QUOTES or character.isspace() or unicodedata.category(character)[0] == "C":
            raise _address_error(url, source, f"it has {_name(character)} in it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as e:
        raise _address_error(url, source, str(e)) from None
    if parts.scheme.lower() not in ("http", "https") or not url.lower().startswith(f"{parts.scheme}://".lower()):
        raise _address_error(url, source, "it does not begin with http:// or https://", _with_scheme(url))
    if not parts.hostname or parts.hostname in ("http", "https"):
        raise _address_error(url, source, "it has two schemes" if parts.hostname else "it names no host")
    if parts.fragment:
        raise _address_error(url, source, f"its part after # ({parts.fragment!r}) is never sent")
    login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix(_PATH_OF_CALLS).rstrip("/")
    base = urlunsplit((parts.scheme.lower(), f"{host}:{port}" if port else host, path, "", ""))
    return Address(base, login, dict(parse_qsl(parts.query, keep_blank_values=True)))


def public_address(text: str) -> str:
    """A base URL as it is recorded and shown, without login and secrets.

    Raises:
        SettingsError: If it is not a complete URL of http or https.
    """
    address = read_address(text, "the base URL")
    return address.public if address else ""


def has_secrets(text: str) -> bool:
    """Whether a base URL holds more than `public_address` shows."""
    address = read_address(text, "the base URL")
    return address is not None and bool(address.login or set(address.query) - set(_PUBLIC_QUERY))


def _address_error(url: str, source: str, problem: str, meant: str = "") -> SettingsError:
    shown = url.rpartition("@")[2].partition("?")[0][:200]  # what stands before an @ or after a ? may be a secret
    hint = f", such as {meant}" if meant else ""
    return SettingsError(
        f"the base URL {shown!r} ({source}) can't be used: {problem}. Expected http(s)://HOST/v1{hint}"
    )


def _with_scheme(url: str) -> str:
    """What a URL without a scheme probably means."""
    rest = _SCHEME.sub("", url.rpartition("@")[2].partition("?")[0])
    host = rest.partition("/")[0].partition(":")[0]
    near = host in ("localhost", "") or host.replace(".", "").isdecimal()
    return f"{'http' if near else 'https'}://{rest}"


def _name(character: str) -> str:
    """A character in words."""
    if character == "\n":
        return "a line end"
    name = unicodedata.name(character, "an invisible character").lower().replace(" ", "-")
    return f"the character {name} (U+{ord(character):04X})"
