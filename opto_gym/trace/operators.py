"""Traced functions: `operator` (alias `bundle`), and `model` for classes that hold parameters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, overload

from ..errors import TraceError
from .nodes import Node, Operator, apply, fail, finish, holds_node, lift, positional
from .parameters import CodeParameter, Parameter, code_of


@overload
def operator(fn: Callable[..., Any], /) -> Callable[..., Any]: ...
@overload
def operator(
    fn: None = None, /, *, name: str | None = None, description: str | None = None, trainable: bool = False
) -> Callable[[Callable[..., Any]], Any]: ...
def operator(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    trainable: bool = False,
) -> Any:
    """A traced function: called with a node it gives a node; called without any it is a plain function.

    It may be ``async def``, a method (``self`` is not part of the trace), and give several values (a tuple, which
    unpacks into nodes). It must not change its arguments in place.

    Args:
        fn: The function; its docstring is what an optimizer reads.
        name: What pseudo-code calls it; the function's name by default.
        description: Replaces the docstring.
        trainable: Make the function's source a parameter, which optimizers change.
    """
    if fn is None:
        return functools.partial(_decorate, name=name, description=description, trainable=trainable)
    return _decorate(fn, name, description, trainable)


bundle = operator


def _decorate(fn: Callable[..., Any], name: str | None, description: str | None, trainable: bool) -> Any:
    if not callable(fn):
        raise TraceError(f"operator() decorates a function, got {type(fn).__name__}")
    arguments = _arguments(fn)
    method = arguments[:1] == ("self",)
    label = name or fn.__name__
    text = description if description is not None else inspect.getdoc(fn) or ""
    if trainable:
        if inspect.iscoroutinefunction(fn):
            raise TraceError(f"{label} is async; a trainable function must be a plain one")
        return _TrainableMethod(fn, label, text) if method else code_of(fn, label, text)
    op = Operator(label, "operator", text, arguments[1:] if method else arguments)
    traced = _traced_async(op, fn) if inspect.iscoroutinefunction(fn) else _traced(op, fn)
    return _Method(traced, fn, op) if method else traced


def _arguments(fn: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(fn).parameters)
    except ValueError:  # some built-ins have no signature
        return ()


def _traced(op: Operator, fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        return apply(op, fn, args, kwargs)

    return call


def _traced_async(op: Operator, fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    async def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            args = positional(fn, args, kwargs)
        if not any(map(holds_node, args)):
            return await fn(*args)
        inputs = tuple(map(lift, args))
        live = any(isinstance(i, Node) and i._live for i in inputs)
        try:
            value = await fn(*[i.data if isinstance(i, Node) else i for i in inputs])
        except Exception as e:
            fail(e, op, inputs, live)
        return finish(op, inputs, value, live, mutable=True)

    return call


class _Method:
    """A traced method: bound to its object, it records every argument but ``self``."""

    def __init__(self, unbound: Callable[..., Any], fn: Callable[..., Any], op: Operator) -> None:
        functools.update_wrapper(self, fn)  # type: ignore[arg-type]
        self._unbound, self._fn, self._op = unbound, fn, op

    def __get__(self, obj: Any, owner: type | None = None) -> Callable[..., Any]:
        if obj is None:
            return self._unbound
        bound = self._fn.__get__(obj)
        return (_traced_async if inspect.iscoroutinefunction(self._fn) else _traced)(self._op, bound)


class _TrainableMethod:
    """A method whose source is a parameter, one for each object."""

    def __init__(self, fn: Callable[..., Any], name: str, description: str) -> None:
        functools.update_wrapper(self, fn)  # type: ignore[arg-type]
        self._fn, self._name, self._description = fn, name, description

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        if obj is None:
            return self
        parameter = code_of(self._fn, self._name, self._description, self_argument=obj)
        vars(obj)[self._attribute] = parameter  # found there from now on: one parameter an object
        return parameter


def model(cls: type) -> type:
    """Decorates a class whose trainable methods and `Parameter` attributes are parameters: it gains ``.parameters()``.

    Raises:
        TraceError: If the class has a ``parameters`` of its own.
    """
    if "parameters" in vars(cls):
        raise TraceError(f"{cls.__name__} defines `parameters` itself, which @model would replace: rename it")
    setattr(cls, "parameters", parameters_of)  # noqa: B010
    return cls


def parameters_of(self: Any) -> list[Parameter]:
    """The parameters of this object and of the models in its attributes, in order of definition."""
    found: dict[int, Parameter] = {}
    for owner in reversed(type(self).__mro__):
        for name, attribute in vars(owner).items():
            if isinstance(attribute, _TrainableMethod):
                parameter = getattr(self, name)
                found[id(parameter)] = parameter
            elif isinstance(attribute, Parameter):
                found[id(attribute)] = attribute
    for attribute in vars(self).values():
        _collect(attribute, found)
    return list(found.values())


def _collect(x: Any, found: dict[int, Parameter]) -> None:
    if isinstance(x, Parameter | CodeParameter):
        found[id(x)] = x
    elif isinstance(x, list | tuple):
        for item in x:
            _collect(item, found)
    elif isinstance(x, dict):
        for item in x.values():
            _collect(item, found)
    elif getattr(type(x), "parameters", None) is parameters_of:
        for item in parameters_of(x):
            found[id(item)] = item
