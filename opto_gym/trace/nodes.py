"""The tracer's core: a node is a value and how it came to be. There is no process-wide state.

A node holds its operator, its inputs and its value; tracing an operation makes one more node. A node that depends on no
parameter keeps no inputs (as a tensor without ``requires_grad``), so that a long run on fixed values holds no history.
"""

from __future__ import annotations

import functools
import math
import operator as python
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from ..errors import TraceError
from . import bounds, pickling
from .combined_errors import execution_error
from .display import short
from .failures import ExecutionError, location, node_text
from .values import ATOMS, DEPTH, SnapshotBudget, resolver, snapshot, thaw


class Operator(msgspec.Struct, frozen=True, eq=False):
    """The operator of a node; all nodes that its calls make share one object.

    Attributes:
        name: The name that the names of its nodes begin with.
        kind: ``input``, ``parameter``, ``code``, ``operator``, ``call`` (of a code parameter) or ``error``.
        description: What an optimizer reads about it.
        arguments: The names of its arguments, where they are known.
        constraint: For parameters: what a value must satisfy, in words.
    """

    name: str
    kind: str = "operator"
    description: str = ""
    arguments: tuple[str, ...] = ()
    constraint: str = ""


class Node(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A traced value. `data` is the value itself; what is computed from `data` is not traced.

    Control flow (``bool``, ``len``, ``in``, iteration) reads the value and is not recorded. A node whose value is plain
    data is not tracked by the garbage collector, since it can't be part of a cycle; see `Tracked` for all others.

    A pickled node holds its whole trace. ``copy`` gives the node itself, which never changes.
    """

    _op: Operator
    _inputs: tuple[Any, ...]
    data: Any
    _depends: bool = False  # whether it depends on a parameter
    _snap: Any = None  # the value when the node was made, if the value is mutable

    def __bool__(self) -> bool:
        return _evaluate(bool, BOOL, self)  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return _evaluate(len, LEN, self)  # type: ignore[no-any-return]

    def __contains__(self, item: Any) -> bool:
        return _evaluate(lambda d: untraced(item) in d, IN, self)  # type: ignore[no-any-return]

    def __hash__(self) -> NoReturn:
        raise _Unhashable(
            f"nodes are unhashable, and {_leaving_message(self, 'as a key of a plain dictionary or in a set')}"
        )

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        _refuse_change(self)

    def __delitem__(self, key: Any) -> NoReturn:
        _refuse_change(self)

    def __index__(self) -> NoReturn:
        _refuse_leaving(self, "as an index, in range() or in a plain container's brackets")

    def __int__(self) -> NoReturn:
        _refuse_leaving(self, "by int()")

    def __float__(self) -> NoReturn:
        _refuse_leaving(self, "by float()")

    def __complex__(self) -> NoReturn:
        _refuse_leaving(self, "by complex()")

    def __format__(self, spec: str) -> NoReturn:
        _refuse_leaving(self, "in an f-string or format()")

    def __repr__(self) -> str:
        shown = self.data if type(self.data) in ATOMS else thaw(self._snap)
        return f"<{self._op.name}: {short(shown, 80)}>"

    def __str__(self) -> str:  # for debugging: str() of a node is not its value's text
        return repr(self)

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Node:
        return self

    def __reduce__(self) -> Any:
        return pickling.reduced(self, Node)

    def __trace_node__(self) -> Node:
        return self

    def __iter__(self) -> Iterator[Any]:
        value = self.data
        if isinstance(value, list | tuple | str):
            return (self[i] for i in range(len(value)))
        items = _evaluate(list, ITERATE, self)
        if isinstance(value, dict):  # keys are structure, not data
            return iter(items)
        return iter([make(ITEM, (self, i), x, self._depends) for i, x in enumerate(items)])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Python's protocols look here too (copy, numpy, pytest)
            raise AttributeError(f"nodes have no attribute {name!r}")
        value = _evaluate(lambda d: getattr(d, name), GETATTR, self, name)
        if callable(value):
            return functools.partial(_method, self, name)
        return make(GETATTR, (self, name), value, self._depends)

    if TYPE_CHECKING:

        def __getitem__(self, key: Any) -> Node: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return apply(
            CALL, with_keywords(lambda f, /, *a, **k: f(*a, **k), tuple(kwargs)), (self, *args, *kwargs.values())
        )


class Tracked(Node, frozen=True, eq=False, gc=True):
    """A node whose value isn't plain data: it might refer back to nodes, so the garbage collector tracks it."""


class _Unhashable(TraceError, TypeError):
    """A TypeError too, which Python expects of what can't be hashed."""


def _refuse_leaving(n: Node, how: str) -> NoReturn:
    raise TraceError(_leaving_message(n, how))


def _leaving_message(n: Node, how: str) -> str:
    return f"{n!r} would leave the trace {how}. Put the code into an @operator, or write .data to take the value out"


def _refuse_change(n: Node) -> NoReturn:
    raise TraceError(
        f"{n!r} can't be changed in place, which a trace can't show. Let an @operator return the new value"
    )


def _evaluate(fn: Callable[[Any], Any], op: Operator, n: Node, *more: Any) -> Any:
    try:
        return fn(n.data)
    except Exception as e:
        fail(e, op, (n, *more), n._depends)


def untraced(x: Any) -> Any:
    """The value of a node, or x itself."""
    resolve = resolver(type(x))
    return x if resolve is None else resolve(x).data


def make(op: Operator, inputs: tuple[Any, ...], value: Any, depends: bool) -> Node:
    """A new node, with a snapshot if the value could change later."""
    if type(value) in ATOMS:
        return Node(op, inputs if depends else (), value, depends)
    budget = SnapshotBudget()
    snap = snapshot(value, budget)
    if budget.opaque and holds_node(value):  # a result that is or holds a node: the data flow goes through it
        value = lift(value)
        return make(op, (*inputs, value), value.data, depends or value._depends)
    return (Tracked if budget.opaque else Node)(op, inputs if depends else (), value, depends, snap)


def fail(e: Exception, op: Operator, inputs: tuple[Any, ...], depends: bool) -> NoReturn:
    """Raises e as an `ExecutionError` that carries its error node; `OptoGymError` is raised as it is."""
    error = execution_error(e, map(untraced, inputs))
    if error is None or error is e:
        raise e
    error.exception_node = _error_node(error, op.name, inputs, depends)
    raise error from e


def error_node(exception: Exception, inputs: Iterable[Any], name: str) -> Node:
    """The node that stands for an operation which failed, as an operator that raises the exception would leave it.

    Args:
        exception: What was raised; an `ExecutionError` has its node already, which is returned.
        inputs: The operation's inputs: nodes, parameters or plain values.
        name: The operation's name, for the node's description.

    Returns:
        An output for `backward`, whose value is ``"(IndexError) message"``.

    Raises:
        OptoGymError: The exception itself, if it is one: no proposal caused it.
    """
    nodes = tuple(map(lift, inputs))
    error = execution_error(exception, map(untraced, nodes))
    if error is None:
        raise exception
    if error is exception:
        return error.exception_node
    return _error_node(error, name, nodes, _any_depends(nodes))


def _error_node(error: ExecutionError, name: str, inputs: tuple[Any, ...], depends: bool) -> Node:
    op = Operator(error.type, "error", f"{name} raised this{location(error)}.")
    return Node(op, inputs if depends else (), node_text(error), depends)


LIST, TUPLE, DICT, SLICE = Operator("list"), Operator("tuple"), Operator("dict"), Operator("slice")
ITEM, GETATTR, CALL = Operator("item"), Operator("getattr"), Operator("call")
ITERATE, LEN, IN, BOOL = map(Operator, ("iterate", "len", "in", "bool"))


def holds_node(x: Any) -> bool:
    """Whether x is a node or a list, tuple, dict or slice that holds one."""
    t = type(x)
    if t in ATOMS:
        return False
    if resolver(t) is not None:
        return True
    return t in _CONTAINERS and _holds_node_inside(x)


_CONTAINERS = frozenset({list, tuple, dict, slice})


def _holds_node_inside(x: Any) -> bool:
    """Looks level by level, at each container once: a value may be wide, and hold one container many times."""
    level, seen = [x], set[int]()
    for _ in range(DEPTH + 1):  # deep or cyclic: shown as cut, and not followed
        inside = list[Any]()
        for container in level:
            t = type(container)
            if t is slice:
                inside += (container.start, container.stop, container.step)
            elif id(container) not in seen:
                seen.add(id(container))
                inside += container.values() if t is dict else container
        kinds = set(map(type, inside)) - ATOMS
        if any(resolver(t) is not None for t in kinds):
            return True
        if not kinds & _CONTAINERS:
            return False
        level = [i for i in inside if type(i) in _CONTAINERS]
    return False


def lift(x: Any) -> Any:
    """Any argument as a node, an atom or a plain slice. A container of nodes is a node whose inputs are its items."""
    if type(x) in ATOMS or issubclass(type(x), Node):
        return x
    resolve = resolver(type(x))
    if resolve is not None:
        return resolve(x)
    t = type(x)
    if not holds_node(x):
        return x if t is slice else as_node(x)
    if t is list or t is tuple:
        items = tuple(map(lift, x))
        return make(LIST if t is list else TUPLE, items, t(map(untraced, items)), _any_depends(items))
    if t is dict:
        items = tuple(map(lift, x.values()))
        pairs = tuple(part for pair in zip(x, items, strict=True) for part in pair)
        return make(DICT, pairs, dict(zip(x, map(untraced, items), strict=True)), _any_depends(items))
    items = tuple(map(lift, (x.start, x.stop, x.step)))
    return make(SLICE, items, slice(*map(untraced, items)), _any_depends(items))


def _any_depends(inputs: tuple[Any, ...]) -> bool:
    return any(issubclass(type(i), Node) and i._depends for i in inputs)


@functools.lru_cache(4096)
def _input(name: str) -> Operator:
    return Operator(name, "input")


def as_node(value: Any, name: str | None = None) -> Any:
    """A fixed value as a node; a node as it is, and a container of nodes as a node of the container."""
    if issubclass(type(value), Node):  # isinstance() would ask an object for its class
        return value
    if holds_node(value):
        return lift(value)
    return make(_input(name or "input"), (), value, False)


def apply(op: Operator, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Calls fn(*args); the result is a node if any argument is one, and the plain value otherwise."""
    depends = traced = mutable = False
    values = []
    for a in args:
        t = type(a)
        if t is Node or t is Tracked:
            traced = True
            depends = depends or a._depends
            mutable = mutable or a._snap is not None
            values.append(a.data)
        elif t in ATOMS:
            values.append(a)
        else:  # parameters, containers, anything
            traced = any(map(holds_node, args))
            if traced:
                args = tuple(map(lift, args))
                values = [untraced(a) for a in args]
                depends, mutable = _any_depends(args), True
            break
    if not traced:
        return fn(*args)
    try:
        value = fn(*values)
    except Exception as e:
        fail(e, op, args, depends)
    if mutable:
        check_unchanged(op, args)
    if type(value) in ATOMS:
        return Node(op, args if depends else (), value, depends)
    return make(op, args, value, depends)


def check_unchanged(op: Operator, inputs: tuple[Any, ...]) -> None:
    """Raises a TraceError if a call has changed one of its inputs."""
    for i in inputs:
        if issubclass(type(i), Node) and i._snap is not None and snapshot(i.data) != i._snap:
            raise TraceError(
                f"{op.name} changed its input {i!r} in place, which a trace can't show. Let it work on a copy and "
                "return the new value"
            )


def with_keywords(fn: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """A function that takes positional arguments only, and passes the last ones to fn by these names."""
    if not names:
        return fn
    k = -len(names)
    return lambda *values: fn(*values[:k], **dict(zip(names, values[k:], strict=True)))


DICT_VIEWS: dict[str, Callable[[Node], list[Any]]] = {  # keys are structure, not data, as in iteration
    "keys": lambda d: list(d.data),
    "values": lambda d: [d[k] for k in d.data],
    "items": lambda d: [(k, d[k]) for k in d.data],
}


def _method(self: Node, name: str, /, *args: Any, **kwargs: Any) -> Any:
    if name in DICT_VIEWS and isinstance(self.data, dict) and not args:
        return DICT_VIEWS[name](self)

    def call(obj: Any, /, *values: Any, **by_name: Any) -> Any:
        if name in bounds.METHODS and isinstance(obj, str):
            return bounds.METHODS[name](obj, *values, **by_name)
        return getattr(obj, name)(*values, **by_name)

    names = tuple(kwargs)
    return apply(_method_operator(name, names), with_keywords(call, names), (self, *args, *kwargs.values()))


@functools.lru_cache(4096)
def _method_operator(name: str, names: tuple[str, ...]) -> Operator:
    return Operator("." + name, arguments=names)


def _binary(name: str, fn: Callable[[Any, Any], Any], reflected: bool = False) -> Callable[[Node, Any], Node]:
    op = Operator(name)

    def method(self: Node, other: Any) -> Node:
        t = type(other)
        if t is Node:
            b, depends = other.data, self._depends or other._depends
        elif t in ATOMS:
            b, depends = other, self._depends
        else:
            other = lift(other)
            b, depends = untraced(other), _any_depends((self, other))
        pair = (other, self) if reflected else (self, other)
        try:
            value = fn(b, self.data) if reflected else fn(self.data, b)
        except Exception as e:
            fail(e, op, pair, depends)
        if type(value) in ATOMS:
            return Node(op, pair if depends else (), value, depends)
        return make(op, pair, value, depends)

    return method


def _unary(name: str, fn: Callable[[Any], Any]) -> Callable[[Node], Node]:
    op = Operator(name)
    return lambda self: apply(op, fn, (self,))


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": python.add,
    "sub": python.sub,
    "mul": bounds.product,
    "truediv": python.truediv,
    "floordiv": python.floordiv,
    "mod": bounds.remainder,
    "pow": bounds.power,
    "matmul": python.matmul,
    "lshift": bounds.shift,
    "rshift": python.rshift,
    "and": python.and_,
    "or": python.or_,
    "xor": python.xor,
    "divmod": divmod,
}
ONE_WAY = {n: getattr(python, n) for n in ("lt", "le", "gt", "ge", "eq", "ne", "getitem")}
UNARY: dict[str, Callable[[Any], Any]] = {
    "neg": python.neg,
    "pos": python.pos,
    "abs": abs,
    "invert": python.invert,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
}
for _n, _f in BINARY.items():
    setattr(Node, f"__{_n}__", _binary(_n, _f))
    setattr(Node, f"__r{_n}__", _binary(_n, _f, reflected=True))
for _n, _f in ONE_WAY.items():
    setattr(Node, f"__{_n}__", _binary(_n, _f))
for _n, _g in UNARY.items():
    setattr(Node, f"__{_n}__", _unary(_n, _g))
ROUND = Operator("round")
setattr(Node, "__round__", lambda self, n=None: apply(ROUND, round, (self,) if n is None else (self, n)))  # noqa: B010
setattr(Node, "__array_ufunc__", None)  # noqa: B010  # numpy_scalar * node asks the node, not the array machinery
