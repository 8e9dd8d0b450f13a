"""The base class of the records, see `schema`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base class of the records. For one release, ``record["name"]`` works too, with the keys of version 1."""

    _old_keys: ClassVar[Mapping[str, str]] = {}

    def __getitem__(self, key: str) -> Any:
        message = f"records have attributes instead of keys: read .{self._name(key)}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        try:
            return getattr(self, self._name(key))
        except AttributeError:
            raise KeyError(key) from None

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key of version 1; `default` if there is no such field, or if it was not recorded."""
        value = getattr(self, self._name(key), None)
        return default if value is None else value

    def keys(self) -> Iterator[str]:
        """The names of the fields, so that ``dict(record)`` and ``{**record}`` work."""
        return iter(self.__struct_fields__)

    def _name(self, key: str) -> str:
        return self._old_keys.get(key, key)
