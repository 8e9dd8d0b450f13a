"""Traced programs copy and pickle: a copy is independent of the original and goes on as it would."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto_gym.trace import CodeParameter, Parameter, TraceError, backward, batch, node, operator, parameter
from tests.support import savable
from tests.support.savable import Inner, Plain, Program, lower, shift, twice

HOW = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {p}": lambda x, p=p: pickle.loads(pickle.dumps(x, p)) for p in range(2, 6)},
    "pickle in Python": lambda x: pickle._loads(pickle._dumps(x)),
}
DEEP = {name: how for name, how in HOW.items() if name != "copy"}
each_way = pytest.mark.parametrize("how", HOW.values(), ids=HOW)
each_deep_way = pytest.mark.parametrize("how", DEEP.values(), ids=DEEP)

VALUES = [1, 2.5, "text", None, [1, {"a": (2,)}], {"k": {1, 2}}, (1, [2]), b"x", np.arange(3), np.float64(2)]


def equal(a, b):
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


@each_way
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_parameters(how, value):
    p = parameter(value, "p", description="what it is", constraint="what it must be")
    q = how(p)
    assert type(q) is Parameter
    assert equal(q.data, p.data)
    assert (q.name, q.description, q.constraint) == (p.name, p.description, p.constraint)
    assert backward(q) == backward(p)
    q.data = 7
    assert equal(p.data, value)
    p.data = 8
    assert q.data == 7
    assert (q + 1).data == 8


def test_a_deep_copy_shares_no_mutable_value():
    p = parameter([1], "p")
    for how in DEEP.values():
        q = how(p)
        q.data.append(2)
        assert p.data == [1]


@each_way
@pytest.mark.parametrize("fn", [shift, lower], ids=["shift", "lower"])
@pytest.mark.parametrize("trained", [False, True])
def test_code_parameters(how, fn, trained):
    source = fn.data
    try:
        if trained:
            fn.data = source.replace("1", "10")
        q = how(fn)
        assert type(q) is CodeParameter
        assert (q.data, q.name, q.__name__, q.__doc__) == (fn.data, fn.name, fn.__name__, fn.__doc__)
        assert q(node(1)).data == fn(node(1)).data
        assert backward(q(node(1))) == backward(fn(node(1)))
        q.data = source.replace("1", "100")
        assert abs(q(1).data - 1) == 100
        assert abs(fn(1).data - 1) == (10 if trained else 1)
        q.data = "def broken(:"
        with pytest.raises(SyntaxError):
            q(1)
    finally:
        fn.data = source


@each_way
def test_lines_of_errors_are_those_of_the_source(how):
    q = how(shift)
    with pytest.raises(TypeError) as e:
        q(node("a"))
    assert (e.value.line, e.value.text) == (3, "return x + 1")


@each_way
def test_operators(how):
    assert how(twice) is twice
    bound = how(Program().fixed)
    assert backward(bound(node(3)), []).nodes[0].value == 6


@each_deep_way
def test_nodes_keep_their_trace(how):
    x, n = parameter(2.0, "x"), node([1, 2], "list")
    y = twice(x) + n[0] - len(n)
    assert backward(how(y)) == backward(y)
    assert how(y).data == y.data
    assert repr(how(y)) == repr(y)


@each_deep_way
def test_what_two_nodes_share_stays_shared(how):
    x = parameter(2.0, "x")
    common = twice(x)
    outputs, q = how(([common + 1, common * 3], x))
    assert backward(batch(outputs), [q]) == backward(batch([common + 1, common * 3]), [x])


@pytest.mark.parametrize("n", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_long_trace_is_pickled_without_recursion(n):
    y = parameter(0, "x").node
    for _ in range(n):
        y = y + 1
    again = pickle.loads(pickle.dumps(y))
    assert (again.data, len(backward(again))) == (n, n + 1)


def test_stand_ins_are_dropped_after_pickling():
    from opto_gym.trace import pickling

    pickle.dumps(twice(parameter(1, "x")))
    gc.collect()
    assert not pickling._stand_ins


def test_threads_pickle_one_trace_at_once():
    y = parameter(0, "x").node
    for _ in range(2_000):
        y = y + 1
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(backward(pickle.loads(pickle.dumps(y))) for _ in range(5)))
        for _ in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [backward(y)] * 20


STEPS = (operator(lambda a, b: a + b, name="add2"), lambda a, b: a * 0.5 - b, lambda a, b: [a, b][0], lambda a, b: -b)


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=30))
def test_random_programs(steps):
    nodes = [parameter(1.5, "x"), parameter(2.5, "y"), node(3.0)]
    for step, a, b in steps:
        nodes.append(step(nodes[a % len(nodes)], nodes[b % len(nodes)]))
    everything = nodes[-1], nodes[:2], nodes
    output, parameters, _ = pickle.loads(pickle.dumps(everything))
    assert backward(output, parameters) == backward(nodes[-1], nodes[:2])


def trained():
    program = Program()
    program.w.data = 7.0
    program.act.data = "def act(self, x):\n    return x + 10 * self.settings['depth'][0]\n"
    program(1)
    program(2)
    return program


def state(program):
    return {p.name: p.data for p in program.parameters()}


@each_way
def test_models_go_on_as_the_original_would_and_on_their_own(how):
    one, other, reference = trained(), trained(), trained()
    made = how(one)
    assert type(made) is Program
    assert state(made) == state(one)
    assert made.same is made.w
    assert made.parameters()[0] is made.act
    assert backward(made(3), made.parameters()) == backward(reference(3), reference.parameters())
    for p in made.parameters():
        p.data = (
            "def act(self, x):\n    return 0\n" if p.name == "act" else "changed" if isinstance(p.data, str) else -1
        )
    assert state(one) == state(other)
    assert backward(one(3), one.parameters()) == backward(other(3), other.parameters())


def test_a_shallow_copy_of_a_model_shares_what_is_no_parameter():
    one = trained()
    made = copy.copy(one)
    assert made.settings is one.settings
    assert made.inner is not one.inner
    assert copy.deepcopy(one).settings is not one.settings


def test_a_model_keeps_a_copy_method_of_its_own():
    from opto_gym.trace import model

    @model
    class Own:
        def __copy__(self):
            return "own"

    assert copy.copy(Own()) == "own"


@each_way
def test_trained_methods_of_plain_classes_belong_to_the_copy(how):
    one = Plain(1)
    one.act.data = "def act(self, x):\n    return x * 10 + self.offset\n"
    made = how(one)
    made.offset = 2
    assert (made.act(1).data, one.act(1).data) == (12, 11)
    made.act.data = "def act(self, x):\n    return 0\n"
    assert (made.act(1).data, one.act(1).data) == (0, 11)
    made.act = 5  # as any attribute
    assert made.act == 5
    del made.act
    assert made.act(1).data == 3


@each_deep_way
def test_a_trained_method_by_itself_brings_its_object(how):
    one = Plain(1)
    act = how(one.act)
    one.offset = 100
    assert act(1).data == 2


def test_two_copies_in_one_program_are_two_parameters():
    p = parameter(1, "p")
    for how in HOW.values():
        q = how(p)
        with pytest.raises(TraceError, match="'p'"):
            backward(p + 1, [p, q])
        q.data = 2
        with pytest.raises(TraceError, match="'p'"):
            backward(p + q)


def test_a_function_that_no_module_holds_is_refused_by_name():
    @operator(trainable=True)
    def local(x):
        return x

    assert copy.copy(local)(1).data == copy.deepcopy(local)(1).data == 1
    with pytest.raises(pickle.PicklingError, match=r"'test_a_function.*local' can't be pickled.* top of a module"):
        pickle.dumps(local)


def test_a_pickle_is_read_by_another_process(tmp_path):
    program = trained()
    path = tmp_path / "program.pickle"
    path.write_bytes(pickle.dumps(program))
    code = (
        "import pickle, sys; from opto_gym.trace import backward; "
        "p = pickle.load(open(sys.argv[1], 'rb')); print(backward(p(3), p.parameters()).content_hash)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == backward(program(3), program.parameters()).content_hash


def test_what_was_trained_stays_where_the_source_has_changed_since(monkeypatch):
    saved = pickle.dumps(shift)
    monkeypatch.setattr(savable, "shift", operator(trainable=True)(renamed_shift))
    renamed_shift.__qualname__ = "shift"
    again = pickle.loads(saved)
    assert again.data == shift.data
    assert again(1).data == 2


def shift_as_written_later(x):
    return x + 1000


renamed_shift = shift_as_written_later
renamed_shift.__name__ = "shift"


def test_inner_models_are_models_of_their_own():
    one = Inner()
    made = copy.copy(one)
    made.scale.data = 4
    assert (one(1).data, made(1).data) == (3, 4)
