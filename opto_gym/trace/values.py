"""Values as plain data: what a trace shows of a value is what the value was, without loss and without addresses.

JSON's own types stand for themselves (a list is a tuple here, since nothing in a trace may change later); what JSON has
no word for is a dictionary with one key that starts with ``$``:

========================  ==================================================
``{"$float": "nan"}``     NaN and the infinities
``{"$tuple": [...]}``     tuples; likewise ``$set`` and ``$frozenset``
``{"$dict": [[k, v]]}``   dictionaries whose keys are not plain text
``{"$bytes": "00ff"}``    bytes, in hexadecimal
``{"$str": "..."}``       text that UTF-8 can't hold, in hexadecimal
``{"$ndarray": [...]}``   arrays and NumPy scalars (by class name): dtype, shape, items
``{"$cut": "..."}``       what was not kept, described with its size
========================  ==================================================
"""

from __future__ import annotations

import math
from typing import Any

ATOMS = frozenset({int, float, str, bool, type(None)})
"""The immutable scalars: they need no snapshot."""

ITEMS = 2_000
"""Items of a container, and about 64 characters of text each, that one snapshot keeps."""

DEPTH = 50
LARGEST = 1.7976931348623157e308
_EXACT = frozenset({int, bool, type(None)})  # JSON writes these as they are
_TEXT, _FLOAT = {str}, {float}


class Cut(str):
    """What stands for a part that a trace did not keep; its text says what is missing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Room:
    """How much of a value may still be kept, and what was met: something that is not plain data, a live node."""

    __slots__ = ("items", "nodes", "opaque")

    def __init__(self, items: int = ITEMS) -> None:
        self.items = items
        self.opaque = False
        self.nodes = False


def snapshot(value: Any, room: Room | None = None) -> Any:
    """The value now, as immutable JSON-able data (see the module's table)."""
    return _plain(value, room or Room(), 0)


def _plain(v: Any, room: Room, depth: int) -> Any:
    t = type(v)
    if t is int or t is bool or v is None:
        return v
    if t is float:
        return v if -LARGEST <= v <= LARGEST else {"$float": repr(v)}
    if t is str:
        return _text(v, room)
    if depth > DEPTH:
        room.opaque = True  # deep or cyclic
        return {"$cut": describe(v)}
    if t is list:
        return _items(v, room, depth)
    if t is tuple:
        return {"$tuple": _items(v, room, depth)}
    if t is dict:
        if all(type(k) is str and k[:1] != "$" and k.isascii() for k in v) and len(v) <= room.items:
            room.items -= len(v)
            return {k: _plain(x, room, depth + 1) for k, x in v.items()}
        return {"$dict": _items([[k, x] for k, x in v.items()], room, depth)}
    if t is set or t is frozenset:
        return {"$" + t.__name__: tuple(sorted(_items(list(v), room, depth), key=repr))}
    if t is bytes:
        if len(v) > 1000:
            return {"$cut": describe(v)}
        return {"$bytes": v.hex()}
    if t.__module__ == "numpy" and hasattr(v, "tolist"):
        if v.dtype.hasobject or v.dtype.names or v.dtype.kind not in "biufc" or v.size > min(1000, room.items):
            room.opaque = room.opaque or bool(v.dtype.hasobject)
            return {"$cut": describe(v)}
        room.items -= v.size
        items = v.tolist() if v.dtype.kind != "c" else v.view(v.real.dtype).tolist()
        return {"$" + t.__name__: (str(v.dtype), tuple(v.shape), _plain(items, Room(10_000), depth + 1))}
    room.opaque = True
    node = getattr(t, "__trace_node__", None)
    if node is None:
        return {"$cut": describe(v)}
    room.nodes = True
    return _plain(node(v).data, room, depth + 1)


def _items(v: Any, room: Room, depth: int) -> tuple[Any, ...]:
    n = len(v)
    room.items -= n
    depth += 1
    if room.items < 0:
        keep = max(0, n + room.items)
        room.items = 0
        # What is cut is not looked into; it may hold anything, so the collector has to see it.
        room.opaque = True
        return (*[_plain(x, room, depth) for x in v[:keep]], {"$cut": f"{n - keep} more items"})
    kinds = set(map(type, v))  # one kind of scalar, as most containers hold, is taken over whole
    if kinds <= _EXACT or (kinds == _TEXT and _short_ascii(v)) or (kinds == _FLOAT and all(map(math.isfinite, v))):
        return tuple(v)
    return tuple([x if type(x) in _EXACT else _plain(x, room, depth) for x in v])


def _short_ascii(v: Any) -> bool:
    joined = "".join(v)
    return len(joined) < 10_000 and joined.isascii()


def _text(v: str, room: Room) -> Any:
    if v.isascii():
        return v
    try:
        v.encode()
    except UnicodeEncodeError:
        return {"$str": v.encode("utf-8", "surrogatepass").hex()}
    return v


def describe(v: Any) -> str:
    """A value's type and size in words, never its address."""
    t = type(v)
    name = t.__qualname__ if t.__module__ == "builtins" else f"{t.__module__}.{t.__qualname__}"
    if hasattr(v, "dtype") and hasattr(v, "shape"):
        return f"<{name} of shape {tuple(v.shape)} and {v.dtype}>"
    if isinstance(v, list | dict | tuple | set | frozenset | str | bytes):
        return f"<{name} of {len(v)} items>"
    return f"<{name}>"


def thaw(j: Any) -> Any:
    """The inverse of `snapshot`, as far as the value was kept. Lists come back as lists."""
    if type(j) is list or type(j) is tuple:
        return [thaw(x) for x in j]
    if type(j) is not dict:
        return j
    if len(j) != 1 or (key := next(iter(j)))[:1] != "$":
        return {k: thaw(x) for k, x in j.items()}
    x = j[key]
    match key:
        case "$float":
            return float(x)
        case "$tuple":
            return tuple(map(thaw, x))
        case "$dict":
            pairs = [thaw(p) for p in x]
            return {_key(p[0]): p[1] for p in pairs if not isinstance(p, Cut)}
        case "$set":
            return {_key(thaw(y)) for y in x}
        case "$frozenset":
            return frozenset(_key(thaw(y)) for y in x)
        case "$bytes":
            return bytes.fromhex(x)
        case "$str":
            return bytes.fromhex(x).decode("utf-8", "surrogatepass")
        case "$cut":
            return Cut(x)
    return _array(key, x)


def _array(key: str, x: Any) -> Any:
    import numpy as np

    dtype, shape, items = x
    if dtype.startswith("complex"):
        flat = np.array(thaw(items), "float64" if dtype == "complex128" else "float32")
        value = flat.view(dtype).reshape(tuple(shape))
    else:
        value = np.array(thaw(items), dtype).reshape(tuple(shape))
    return value if key == "$ndarray" else value[()]


def _key(x: Any) -> Any:
    """A thawed value as a member of a set or a dictionary's key."""
    return tuple(map(_key, x)) if isinstance(x, list) else x
