"""Values as plain data: what a trace shows of a value is what the value was, without loss and without addresses.

JSON's own types stand for themselves (a list is a tuple here, since nothing in a trace may change later); what JSON has
no word for is a dictionary with one key that starts with ``$``:

========================  ==================================================
``{"$float": "nan"}``     NaN and the infinities; likewise ``$int`` in hexadecimal where no float is as large
``{"$tuple": [...]}``     tuples; likewise ``$set`` and ``$frozenset``
``{"$dict": [[k, v]]}``   dictionaries whose keys are not plain text, and the beginnings of large ones
``{"$bytes": "00ff"}``    bytes, in hexadecimal
``{"$complex": [1, 2]}``  complex numbers; likewise ``$slice`` with start, stop and step
``{"$str": "..."}``       text that UTF-8 can't hold, in hexadecimal
``{"$ndarray": [...]}``   arrays and NumPy scalars (by class name): dtype, shape, items
``{"$cut": "..."}``       what was not kept, described with its size
========================  ==================================================

Subclasses of Python's own types (a Counter, a named tuple, an IntEnum) are shown as what they derive from. Of any other
object only the class is shown: let operators return plain data where an optimizer should read it. No method of such an
object is called, so that a value can't end a run, whatever its class defines.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import TraceError
from ..utils.text import printable

_NUMBERS = tuple(np.dtype(code).type for code in "?bhilqBHILQefdFD")
ATOMS = frozenset({int, float, str, bool, type(None), complex, bytes, *_NUMBERS})
"""The immutable scalars: they need no snapshot, and stand as they are among the inputs of a node."""

ITEMS = 2_000
"""Items of containers that one snapshot keeps."""

TEXT = 128_000
"""Characters of text in containers that one snapshot keeps."""

ARRAY = 1_000
"""Items of an array that a snapshot keeps whole; of a larger one only the shape is shown."""

DEPTH = 50
LARGEST = 1.7976931348623157e308
LONGEST_NAME, LARGEST_ARRAY = 200, 1 << 26  # characters of a class's name; bytes of an array of texts
_EXACT, _NUMBER, _STR = {bool, type(None)}, {int, float}, {str}


class Cut(str):
    """What stands for a part that a trace did not keep; its text says what is missing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class SnapshotBudget:
    """How much of a value a snapshot may still keep.

    Attributes:
        items: Items of containers that are left.
        text: Characters of text that are left.
        opaque: Whether something was met that isn't plain data, such as a node.
    """

    __slots__ = ("items", "opaque", "text")

    def __init__(self, items: int = ITEMS, text: int = TEXT) -> None:
        self.items = items
        self.text = text
        self.opaque = False


def snapshot(value: Any, budget: SnapshotBudget | None = None) -> Any:
    """The value now, as immutable JSON-able data (see the module's table)."""
    return _text(value) if type(value) is str else _plain(value, budget or SnapshotBudget(), 0)


def _plain(v: Any, budget: SnapshotBudget, depth: int) -> Any:
    t = type(v)
    if t is bool or v is None:
        return v
    if t is int or t is float:
        if -LARGEST <= v <= LARGEST:
            return v
        return {"$float": repr(v)} if t is float else _large_int(v, budget)
    if t is str:
        budget.text -= len(v)
        return _text(v) if budget.text >= 0 else {"$cut": describe(v)}
    if depth > DEPTH:
        budget.opaque = True  # deep or cyclic
        return {"$cut": describe(v)}
    if t is list:
        return _items(v, budget, depth)
    if t is tuple:
        return {"$tuple": _items(v, budget, depth)}
    if t is dict:
        return _dict(v, budget, depth)
    if t is set or t is frozenset:
        if len(v) > budget.items:  # no part of it, since sets have no order of their own
            budget.opaque = True
            return {"$cut": describe(v)}
        return {"$" + t.__name__: tuple(sorted(_items(list(v), budget, depth), key=repr))}
    if t is bytes:
        budget.text -= 2 * len(v)
        return {"$bytes": v.hex()} if len(v) <= 1000 and budget.text >= 0 else {"$cut": describe(v)}
    if t is complex:
        return {"$complex": (_plain(v.real, budget, depth), _plain(v.imag, budget, depth))}
    if t is slice:
        return {"$slice": tuple(_plain(x, budget, depth + 1) for x in (v.start, v.stop, v.step))}
    return _other(v, t, budget, depth)


def _large_int(v: int, budget: SnapshotBudget) -> Any:
    """An int that no float is as large as; its digits count as text."""
    budget.text -= v.bit_length() // 4
    return {"$int": hex(v)} if budget.text >= 0 else {"$cut": f"<int of {v.bit_length()} bits>"}


def _dict(v: dict[Any, Any], budget: SnapshotBudget, depth: int) -> Any:
    """A dictionary; of one that is larger than the budget the beginning."""
    n, left = len(v), budget.items
    budget.items = max(0, left - n)
    if _has_plain_keys(v, min(n, left)) and (length := sum(map(len, itertools.islice(v, left)))) <= budget.text:
        budget.text -= length
        if n <= left:
            return {k: _plain(x, budget, depth + 1) for k, x in v.items()}
        first = itertools.islice(v.items(), left)
        pairs = [(k, _plain(x, budget, depth + 1)) for k, x in first]
    else:
        pairs = []
        for k, x in v.items():
            if budget.items < 2:
                break
            budget.items -= 2
            pairs.append((_plain(k, budget, depth + 2), _plain(x, budget, depth + 2)))
    if len(pairs) == n:
        return {"$dict": tuple(pairs)}
    budget.opaque = True  # what is cut may hold anything, see `_items`
    return {"$dict": (*pairs, {"$cut": f"{n - len(pairs)} more items"})}


def _has_plain_keys(v: dict[Any, Any], most: int) -> bool:
    """Whether the first keys of a dictionary are texts that may be keys in JSON, and are none of this module's."""
    return all(type(k) is str and k[:1] != "$" and k.isascii() for k in itertools.islice(v, most))


def _other(v: Any, t: type, budget: SnapshotBudget, depth: int) -> Any:
    """NumPy's values, subclasses of Python's types, and what is no plain data at all."""
    if issubclass(t, np.ndarray | np.generic) and getattr(np, t.__name__, None) is t:
        return _array(v, t, budget)
    budget.opaque = True
    resolve = resolver(t)
    if resolve is not None:
        return _plain(resolve(v).data, budget, depth + 1)
    for base in _BASES:
        if issubclass(t, base):  # isinstance() would ask the object for its class
            return _plain(_BASES[base](v), budget, depth + 1)
    return {"$cut": describe(v)}


def _array(v: Any, t: type, budget: SnapshotBudget) -> Any:
    """An array or scalar of NumPy: whole, or its shape."""
    is_text = v.dtype.kind == "U"
    if v.dtype.str[1:] not in _ARRAYS and not is_text:
        budget.opaque = True
        return {"$cut": describe(v)}
    in_lists = sum(itertools.accumulate(v.shape, int.__mul__))  # items of all lists that stand for it
    fits = v.size <= min(ARRAY, budget.items) and in_lists <= 4 * ARRAY and v.ndim < DEPTH
    if not fits or (is_text and v.nbytes // 4 > budget.text):
        return {"$cut": describe(v)}
    own = SnapshotBudget(5 * ARRAY)  # an array is never cut inside, where no description can stand
    items = _plain(v.tolist(), own, 0)
    budget.items = max(0, budget.items - v.size - in_lists)
    budget.text -= TEXT - own.text
    return {"$" + t.__name__: (str(v.dtype), tuple(v.shape), items)}


def resolver(t: type) -> Callable[[Any], Any] | None:
    """How the node is found that an object of a class stands for; None for classes of other objects."""
    try:
        found: Callable[[Any], Any] | None = getattr(t, "__trace_node__", None)
    except Exception:  # a metaclass may raise anything
        return None
    return found


# What a snapshot can hold of arrays, by type and bytes an item, and Python's own types with the way from a subclass
_ARRAYS = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"})
_BASES: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    tuple: lambda v: tuple(tuple.__iter__(v)),
    list: lambda v: list(list.__iter__(v)),
    dict: lambda v: dict(zip(dict.keys(v), dict.values(v), strict=True)),
    set: lambda v: set(set.__iter__(v)),
    frozenset: lambda v: frozenset(frozenset.__iter__(v)),
}


def _items(v: Any, budget: SnapshotBudget, depth: int) -> tuple[Any, ...]:
    n = len(v)
    budget.items -= n
    depth += 1
    if budget.items < 0:
        keep = max(0, n + budget.items)
        budget.items = 0
        # What is cut is not inspected and may hold anything, so that the garbage collector has to see it.
        budget.opaque = True
        return (*[_plain(x, budget, depth) for x in v[:keep]], {"$cut": f"{n - keep} more items"})
    kinds = set(map(type, v))  # one kind of scalar, as most containers hold, is taken over whole
    if kinds <= _EXACT or (kinds <= _NUMBER and _finite(v)) or (kinds == _STR and _fits(v, budget)):
        return tuple(v)
    return tuple([_plain(x, budget, depth) for x in v])


def _finite(v: Any) -> bool:
    try:
        return all(map(math.isfinite, v))
    except OverflowError:  # an int that no float is as large as
        return False


def _fits(v: Any, budget: SnapshotBudget) -> bool:
    """Whether texts are kept as they are; if so, their length is taken from the budget."""
    size = sum(map(len, v))
    if size > budget.text or not all(map(str.isascii, v)):
        return False
    budget.text -= size
    return True


def _text(v: str) -> Any:
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
    try:
        name = t.__qualname__ if t.__module__ == "builtins" else f"{t.__module__}.{t.__qualname__}"
        name = printable(cut(name, LONGEST_NAME))
        if hasattr(t, "dtype") and hasattr(t, "shape"):  # the class, since the object may answer to any name
            return f"<{name} of shape {tuple(v.shape)} and {v.dtype}>"
    except Exception:  # of a property or a metaclass
        return "<object>"
    for base in (list, dict, tuple, set, frozenset, str, bytes):
        if issubclass(t, base):
            return f"<{name} of {base.__len__(v)} items>"
    return f"<{name}>"


def thaw(j: Any) -> Any:
    """The inverse of `snapshot`, as far as the value was kept. Lists come back as lists.

    Raises:
        TraceError: If the data is damaged.
    """
    try:
        return _thaw(j)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, MemoryError) as e:
        raise TraceError(f"expected a value as values.snapshot writes it, got {str(j)[:80]}: {e}") from e


def _thaw(j: Any) -> Any:
    if type(j) is list or type(j) is tuple:
        return [_thaw(x) for x in j]
    if type(j) is not dict:
        return j
    if len(j) != 1 or (key := next(iter(j)))[:1] != "$":
        return {k: _thaw(x) for k, x in j.items()}
    x = j[key]
    match key:
        case "$float":
            return float(x)
        case "$int":
            return int(x, 16)
        case "$tuple":
            return tuple(map(_thaw, x))
        case "$dict":
            return _thawed_dict(x)
        case "$set":
            return set(_keys(map(_thaw, x)))
        case "$frozenset":
            return frozenset(_keys(map(_thaw, x)))
        case "$bytes":
            return bytes.fromhex(x)
        case "$complex":
            return complex(*map(_thaw, x))
        case "$slice":
            return slice(*map(_thaw, x))
        case "$str":
            return bytes.fromhex(x).decode("utf-8", "surrogatepass")
        case "$cut":
            return Cut(x)
    return _thawed_array(x) if key == "$ndarray" else _thawed_array(x)[()]


def _thawed_dict(x: Any) -> dict[Any, Any]:
    """A dictionary from its pairs. What was cut is an item whose key says how much, with the value ``...``."""
    pairs = [[_thaw(y) for y in p] for p in x if type(p) is not dict and len(p) == 2]
    found: dict[Any, Any] = dict(zip(_keys(k for k, _ in pairs), (value for _, value in pairs), strict=True))
    notes = [p["$cut"] for p in x if type(p) is dict]
    if lost := len(x) - len(pairs) - len(notes):  # earlier versions cut the pairs themselves, to one item
        notes.append(f"{lost} more items")
    return found | {Cut(note): Cut("...") for note in notes}


def _thawed_array(x: Any) -> Any:
    dtype, shape, items = np.dtype(x[0]), tuple(x[1]), _thaw(x[2])
    is_text = dtype.kind == "U" and dtype.itemsize * math.prod(shape) < LARGEST_ARRAY
    if dtype.str[1:] not in _ARRAYS and not is_text:
        raise ValueError(f"no snapshot holds an array of {x[0]!r}")
    return np.array(items, dtype).reshape(shape)


def _keys(thawed: Iterable[Any]) -> list[Any]:
    """Thawed values as members of a set or as keys. Objects of one class, which look alike, are numbered."""
    keys, count = [], dict[str, int]()
    for x in thawed:
        key = _key(x)
        if type(key) is Cut:
            count[key] = count.get(key, 0) + 1
            key = key if count[key] == 1 else Cut(f"{key} no. {count[key]}")
        keys.append(key)
    return keys


def _key(x: Any) -> Any:
    """A thawed value as a member of a set or a dictionary's key."""
    if isinstance(x, list | tuple):
        return tuple(map(_key, x))
    if type(x) is set:
        return frozenset(x)
    try:
        hash(x)
    except TypeError:  # of a subclass that can be hashed, unlike its base
        return Cut(describe(x))
    return x


def cut(s: str, limit: int) -> str:
    """A text, or its two ends with the number of characters left out between them.

    Args:
        s: The text.
        limit: The characters of the result.
    """
    if len(s) <= limit:
        return s
    keep = limit - len(_left_out(len(s)))
    if keep <= 0:
        return _left_out(len(s))[: max(0, limit)]
    note = _left_out(len(s) - keep)
    return s[: keep - keep // 3] + note + s[len(s) - keep // 3 :]


def _left_out(characters: int) -> str:
    return f" ..({characters} more characters).. "
