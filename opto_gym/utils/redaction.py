"""Keys, passwords and tokens of this process, and their removal from what is recorded and printed.

What knows a secret registers it by `keep_secret`: a client its key, its login and its proxy's, the command line what
the environment holds. An endpoint, a program or an error may tell a secret back, and not only in clear: each is looked
for as it is, as JSON, HTML and percent-encoding write it, in hexadecimal, and in Base64 at any place of a longer text.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import os
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from . import bounded_json

GONE = "***"
"""What stands in place of a secret."""

_PLACEHOLDERS = (
    *("none", "null", "empty", "dummy", "test", "local", "ollama", "unused", "token", "no-key", "api-key", "apikey"),
    *("lm-studio", "not-needed", "sk-no-key-required", "anything", "placeholder", "changeme"),
)
"""Keys for endpoints that need none. They are words of normal texts too."""
_SHORTEST = 4  # characters; what is shorter is in every text by chance
_IN_URLS = re.compile(
    r"(?<=://)[^/@\s]+(?=@)|(?<=[?&])((?:[\w-]*[-_])?(?:key|token|secret|password)=)[^&#\s'\"]+", re.I
)
_KEYS = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$")


class _Secrets:
    """The registered secrets.

    Attributes:
        everywhere: The forms that are removed from data too, the longest first.
        in_messages: Those that are removed from messages, among them short ones, which data may hold by chance.
        as_bytes: `everywhere` in UTF-8.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self.everywhere: tuple[str, ...] = ()
        self.in_messages: tuple[str, ...] = ()
        self.as_bytes: tuple[bytes, ...] = ()

    def add(self, secret: str) -> None:
        with self._lock:
            if secret in self._known:
                return
            self._known.add(secret)
            if _is_distinctive(secret):
                self.everywhere = _longest_first(*self.everywhere, *_forms(secret))
                self.as_bytes = tuple(form.encode() for form in self.everywhere)
            self.in_messages = _longest_first(*self.in_messages, *self.everywhere, secret)


_secrets = _Secrets()


def keep_secret(*texts: str | None) -> None:
    """Registers keys, passwords or tokens, for as long as the process lives.

    Args:
        texts: None, texts of less than four characters and names that stand for "no key" are left out.
    """
    for text in texts:
        if text and len(text) >= _SHORTEST and text.lower() not in _PLACEHOLDERS and text not in _secrets._known:
            _secrets.add(text.encode("utf-8", "backslashreplace").decode())


def keep_environment_secret() -> None:
    """Registers the values of the environment variables whose names end as those of keys do, such as ``X_API_KEY``."""
    for name, value in os.environ.items():
        if _KEYS.search(name.upper()) and _is_distinctive(value):
            keep_secret(value)


def without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variables for a program that needs no key of ours, such as pip."""
    return {name: value for name, value in environment.items() if not is_key_name(name)}


def is_key_name(name: str) -> bool:
    """Whether an environment variable of this name may hold a key for an endpoint, or its address with a login."""
    return name.upper().startswith("OPENAI_") or _KEYS.search(name.upper()) is not None


def redact(text: str) -> str:
    """A message without secrets: those that are registered, and what is one in a URL.

    Args:
        text: For people. In data, short secrets are words, see `redact_data`.
    """
    return _IN_URLS.sub(lambda found: (found[1] or "") + GONE, _replaced(text, _secrets.in_messages))


def has_secret(text: str) -> bool:
    """Whether a text that is to be recorded holds a secret, or a URL with a login or a key."""
    return _IN_URLS.search(text) is not None or redact_data(text) != text


def mentions_secret(content: bytes) -> bool:
    """Whether the content of a file or a response holds a secret that data does not hold by chance."""
    return any(form in content for form in _secrets.as_bytes)


def redact_data(data: Any) -> Any:
    """JSON data without secrets; what holds none is the same data."""
    if isinstance(data, str):
        return _replaced(data, _secrets.everywhere)
    if isinstance(data, Mapping):
        return {redact_data(name): redact_data(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [redact_data(part) for part in data]
    return data


def redact_body(body: bytes) -> bytes:
    """The body of a request or a response without secrets; a body without one is returned as it is.

    Args:
        body: JSON, which may write each character as an escape, or text.
    """
    if not _secrets.as_bytes or not (mentions_secret(body) or b"\\" in body):
        return body
    try:
        data = bounded_json.loads(body)
        clean = redact_data(data)
        return body if clean == data else json.dumps(clean).encode()
    except ValueError:  # text, or JSON of too many levels or values
        return _replaced(body.decode("utf-8", "surrogateescape"), _secrets.everywhere).encode(
            "utf-8", "surrogateescape"
        )


def _replaced(text: str, forms: tuple[str, ...]) -> str:
    for form in forms:
        if form in text:
            text = text.replace(form, GONE)
    return text


def _longest_first(*forms: str) -> tuple[str, ...]:
    return tuple(sorted(set(forms), key=lambda form: (-len(form), form)))


@functools.cache
def _is_distinctive(secret: str) -> bool:
    """Whether a text is hardly in other texts by chance: long, or not short and no plain word."""
    return len(secret) >= 12 or (len(secret) >= 7 and not re.fullmatch("[a-z_-]+|[A-Z_-]+|[A-Z][a-z]+|[0-9]+", secret))


def _forms(secret: str) -> set[str]:
    """How a secret is written elsewhere."""
    data, quoted = secret.encode(), quote(secret, safe="")
    everything = "".join(f"%{byte:02X}" for byte in data)
    forms = {secret, json.dumps(secret)[1:-1], html.escape(secret), data.hex(), data.hex().upper()}
    forms |= {re.sub("%..", lambda code: code[0].lower(), text) for text in (quoted, everything)}
    return forms | {quoted, everything, *_base64_forms(data)}


def _base64_forms(data: bytes) -> set[str]:
    """The texts that Base64 has for some bytes, alone and inside of others, without what depends on the others."""
    alone = base64.b64encode(data).decode()
    forms = {alone, alone.rstrip("=")}
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        end = (before + len(data)) * 8 // 6  # characters that are full of bits of ours
        forms.add(encoded[-(-before * 8 // 6) : end])
    return forms | {form.translate(str.maketrans("+/", "-_")) for form in forms}
