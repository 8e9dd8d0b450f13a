"""What becomes of exceptions in operators."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest

from opto_gym.errors import BudgetSpent, EndpointError
from opto_gym.trace import ExecutionError, TraceError, backward, error_node, node, operator, parameter


class Coded(Exception):
    """Its __init__ wants something else than it passes on."""

    def __init__(self, code, *, where):
        super().__init__(f"code {code}")
        self.code, self.where = code, where


class Slotted(ValueError):
    __slots__ = ("level",)

    def __init__(self, level):
        super().__init__()
        self.level = level


class Two(KeyError, OSError):
    pass


class NoSubclass(Exception):
    def __init_subclass__(cls, **kwargs):
        raise TypeError("final")


def _raise_oserror():
    Path("/no/such/file").read_text()


RAISED = {
    "index": (lambda: [][1], "list index out of range"),
    "key": (lambda: {}["k"], "'k'"),
    "coded": (lambda: (_ for _ in ()).throw(Coded(7, where="here")), "code 7"),
    "slotted": (lambda: (_ for _ in ()).throw(Slotted(3)), ""),
    "os": (_raise_oserror, "[Errno 2] No such file or directory: '/no/such/file'"),
    "unicode": (lambda: b"\xff".decode(), "can't decode byte 0xff"),
    "json": (lambda: json.loads("{"), "Expecting property name"),
    "stop": (lambda: next(iter([])), ""),
    "memory": (lambda: [0] * 10**15, ""),
    "syntax": (lambda: compile("x = (", "f", "exec"), "was never closed"),
    "attribute": (lambda: (3).nothing, "no attribute 'nothing'"),
    "group": (lambda: (_ for _ in ()).throw(ExceptionGroup("many", [ValueError(1)])), "many (1 sub-exception)"),
    "recursion": (lambda: (f := lambda: f())(), "maximum recursion depth"),
    "address": (lambda: int(object()), "object"),
    "two": (lambda: (_ for _ in ()).throw(Two(1, "z")), "z"),
}


@pytest.mark.parametrize("name", RAISED)
def test_exceptions_keep_their_type_text_and_fields(name):
    raises, message = RAISED[name]
    try:
        raises()
    except Exception as e:
        plain = e
    p = parameter(1, "p")
    with pytest.raises(type(plain)) as caught:
        operator(lambda x: raises(), name="f")(p)
    e = caught.value
    assert isinstance(e, ExecutionError)
    assert type(e).__name__ == e.type == type(plain).__name__
    assert e.__cause__ is not None
    if name not in ("json", "syntax", "address"):
        assert str(e) == str(plain)
    for field in ("code", "where", "level", "filename", "errno", "start", "pos", "value", "name"):
        if hasattr(plain, field):
            assert getattr(e, field) == getattr(plain, field)
    assert message in e.message
    assert " at 0x" not in e.message
    graph = backward(e.exception_node)
    assert graph.error == graph.nodes[graph.output].value == f"({e.type}) {e.message}"
    assert graph.kind(graph.output) == "error"
    assert [graph.names[k] for k in graph.parameters] == ["p"]


def test_a_class_that_allows_no_subclass_is_named_all_the_same():
    with pytest.raises(ExecutionError) as e:
        operator(lambda x: (_ for _ in ()).throw(NoSubclass("odd")))(node(1))
    assert (e.value.type, e.value.message) == ("NoSubclass", "odd")


def test_control_flow_and_attribute_errors_are_errors_of_the_run_too():
    x = parameter(5, "x")
    for f in (len, list, lambda n: 3 in n, lambda n: n.nothing, lambda n: n["k"], lambda n: n / 0):
        with pytest.raises(ExecutionError) as e:
            f(x)
        assert [backward(e.value.exception_node).names[0]] == ["x"]


@pytest.mark.parametrize(
    "passing", [EndpointError("dead"), TraceError("misuse"), BudgetSpent("tokens"), KeyboardInterrupt()]
)
def test_what_no_proposal_did_passes_through(passing):
    @operator
    def asks(x):
        raise passing

    with pytest.raises(type(passing)) as e:
        asks(parameter(1, "p"))
    assert e.value is passing
    assert not isinstance(e.value, ExecutionError)


def test_an_error_inside_an_operator_inside_an_operator_is_told_once():
    @operator
    def inner(x):
        raise ValueError("deep")

    outer = operator(lambda x: inner(x), name="outer")
    with pytest.raises(ValueError, match=r"^deep$") as e:
        outer(parameter(1, "p"))
    assert e.value.exception_node.data == "(ValueError) deep"


class TakesNothing(ValueError):
    """Its __init__ takes other arguments than it passes on."""

    def __init__(self, *, level=1):
        super().__init__("one", level)
        self.level = level


PLAIN = {
    "no input": lambda p: (),
    "a parameter": lambda p: (p,),
    "a text, a parameter and a container": lambda p: ("text", p, [p, 2], {"k": node(3)}),
    "fixed values": lambda p: (node(1), "text"),
}


@pytest.mark.parametrize("inputs", PLAIN)
@pytest.mark.parametrize("name", ["index", "coded", "syntax", "os", "address", "group"])
def test_an_error_node_is_what_an_operator_that_raises_would_leave(name, inputs):
    p, raises = parameter(1, "p"), RAISED[name][0]
    given = PLAIN[inputs](p)
    with pytest.raises(ExecutionError) as e:
        operator(lambda *values: raises(), name="f")(*given, node(0))
    try:
        raises()
    except Exception as plain:
        made = error_node(plain, (*given, node(0)), "f")
    assert backward(made, [p]) == backward(e.value.exception_node, [p])


def test_an_error_that_has_its_node_keeps_it_and_what_no_proposal_did_is_raised():
    with pytest.raises(IndexError) as e:
        parameter([1], "p")[2]
    assert error_node(e.value, (), "f") is e.value.exception_node
    with pytest.raises(EndpointError, match="dead"):
        error_node(EndpointError("dead"), (), "f")


@pytest.mark.parametrize("how", ["copy", "deepcopy", 2, 3, 4, 5])
@pytest.mark.parametrize("name", sorted(set(RAISED) - {"group"}))
def test_an_execution_error_copies_and_pickles_with_its_node(name, how):
    p, raises = parameter(1, "p"), RAISED[name][0]
    with pytest.raises(ExecutionError) as caught:
        operator(lambda x: raises(), name="f")(p)
    e = caught.value
    for gone in ("obj", "doc"):  # an attribute error's object, which need not pickle
        vars(e).pop(gone, None)
    again = getattr(copy, how)(e) if isinstance(how, str) else pickle.loads(pickle.dumps(e, how, fix_imports=False))
    assert type(again) is type(e)
    assert (again.args, again.type, again.message, again.line) == (e.args, e.type, e.message, e.line)
    assert backward(again.exception_node) == backward(e.exception_node)


def test_classes_whose_init_takes_other_arguments_pickle_too():
    with pytest.raises(TakesNothing) as e:
        operator(lambda x: (_ for _ in ()).throw(TakesNothing(level=4)))(parameter(1, "p"))
    again = pickle.loads(pickle.dumps(e.value))
    assert (again.level, again.args, type(again)) == (4, ("one", 4), type(e.value))
