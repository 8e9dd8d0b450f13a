"""Traced programs at random, whose graphs are hard to show: for property tests of what is made of graphs."""

from __future__ import annotations

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from opto_gym.trace import PARTS, ExecutionError, backward, batch, node, operator, parameter

LONG = st.sampled_from(["", "x", 'q"uote\n', "word " * 300, "\\", "a" * 30_000, "ü<b>&#;", "```", "%", "{}", "--> n0"])
FLOATS = st.one_of(
    st.floats(),
    st.sampled_from([0.1234567, 0.1234568, 0.12345678, 123456.04, 123456.0, 1 / 3, 0.3333333, 1e-7, 1e300, -0.0]),
    st.floats(0, 1).map(lambda x: 1000.0 + x * 1e-5),
)
BOARDS = st.integers(0, 63).map(lambda k: [["X" if 8 * r + c == k else "." for c in range(8)] for r in range(8)])
VALUES = st.one_of(
    st.integers(),
    st.booleans(),
    st.none(),
    FLOATS,
    LONG,
    st.text(max_size=20),
    st.lists(st.integers(), max_size=50),
    st.lists(FLOATS, max_size=50),
    st.just(list(range(1500))),
    BOARDS,
    st.dictionaries(st.sampled_from(["a", "b", 1, 0.1234567, (2, "x")]), st.one_of(FLOATS, LONG, st.booleans())),
    st.fixed_dictionaries({"value": st.integers(), "right": st.booleans()}),
    st.tuples(FLOATS, st.text(max_size=5)),
    st.sets(st.one_of(st.integers(0, 9), st.sampled_from(["a", "bc", "d"]))),
    FLOATS.map(lambda x: np.array([x, 0.1234567])),
    FLOATS.map(np.float64),
    st.just({"k": ["v" * 500] * 20}),
    st.just(10**4000),
    st.just("# ... 3 lines left out\n(int) f0=7; 8 (2 times) ..(5 more characters).. grid"),
)
ATOMS = st.one_of(st.none(), st.integers(-9, 9), FLOATS, LONG, st.booleans())


def _raise(*_):
    raise IndexError("list index out of range\nat 'x'")


def _numeric(draw, p, nodes):
    """Arithmetic and comparisons on numbers, and items of what has been shown."""
    x = node(draw(st.one_of(st.integers(-9, 9), FLOATS.filter(lambda v: abs(v) < 1e9))), "number") * 1
    y = node([[1, 2.5], {"k": draw(FLOATS)}], "nested")
    y = operator(lambda a, b: a, name="keep", description="")(y, p)
    for _ in range(draw(st.integers(0, 6))):
        step = draw(
            st.sampled_from(
                [
                    lambda v: v * 1.0000001,
                    lambda v: -v,
                    lambda v: v < 3,
                    lambda v: 2 - v,
                    lambda v: v * 0,
                    lambda v: -2 * v,
                ]
            )
        )
        x = step(operator(lambda a, b: a, name="pass", description="Hands on.")(x, p))
    return [*nodes, y, y[0], y[0][1], y[1], y[1]["k"], x]


def _loop(draw, operators, many, nodes):
    """Rounds of the same operations, with constant or changing values."""
    rounds = draw(st.sampled_from([0, 3, 5, 21, 300]))
    changing = draw(st.sampled_from(["never", "always", "now and then", "boards", "checks", "floats"]))
    values = {
        "never": lambda k: "same" * 20,
        "always": lambda k: k,
        "now and then": lambda k: k // 7,
        "boards": lambda k: [["X" if 8 * r + c == k % 64 else "." for c in range(8)] for r in range(8)],
        "checks": lambda k: {"right": k != rounds - 2, "k": k},
        "floats": lambda k: 1 + k * 1e-8,
    }[changing]
    turn = operator(lambda x, k: values(k), name=draw(st.sampled_from(["turn", "f1"])), description=draw(LONG))
    others = [*operators, None][: draw(st.integers(0, 3))]
    given = [
        lambda k: [many[0]],
        lambda k: [k * 0.1],
        lambda k: [many[k % len(many)], (True, 1, 1.0, 0.0, -0.0)[k // 3 % 5]],
        lambda k: [many[0] if k % 2 else "text " * (k % 40)],
        lambda k: many[: 1 + k // 9 % 2],  # two arguments now and then
        lambda k: [nodes[-1 - k // 8 % 2]],
        lambda k: [min(k, 1)],
    ]
    arguments = draw(st.lists(st.sampled_from(given), min_size=len(others), max_size=len(others)))
    for k in range(rounds):
        nodes = [*nodes, turn(nodes[-1], k if changing != "never" else 0)]
        for f, given_in in zip(others, arguments, strict=True):
            try:
                nodes.append(f(nodes[-1], *given_in(k)) if f else nodes[-1] == many[0])
            except (OverflowError, ExecutionError):  # too large a whole number beside a float, arrays of unlike shapes
                reject()
    return nodes


@st.composite
def graphs(draw):
    """Programs with many parameters, long values, loops, odd names, failed checks and errors."""
    pick = draw(st.randoms(use_true_random=False))
    many = [
        parameter(
            draw(VALUES),
            f"p{k}{'x' * draw(st.sampled_from([0, 0, 50]))}",
            description=draw(st.sampled_from(["", "what it is\nfor", "long " * 100])),
            constraint=draw(st.sampled_from(["", "a number"])),
        )
        for k in range(draw(st.integers(1, 4)))
    ]
    many += [parameter(k, f"q{k}") for k in range(draw(st.sampled_from([0, 0, 100])))]
    fixed = [node(draw(VALUES), draw(st.sampled_from(["in", None, "n" * 100]))) for _ in range(draw(st.integers(0, 3)))]
    names = ["f", "g", "h" * 80, "add"]
    operators = []
    for n in names[: draw(st.integers(1, 4))]:
        value = draw(VALUES)
        operators.append(operator(lambda *v, value=value: value, name=n, description=draw(LONG)))
    nodes = [*many, *fixed]
    for _ in range(draw(st.sampled_from([0, 1, 5, 30]))):
        nodes.append(pick.choice(operators)(pick.choice(many), *pick.choices(nodes, k=pick.randint(0, 3)), draw(ATOMS)))
    if draw(st.booleans()):
        nodes = _numeric(draw, many[0], nodes)
    for _ in range(draw(st.integers(0, 2))):
        nodes = _loop(draw, operators, many, nodes)
    if draw(st.booleans()):
        try:
            operator(_raise, name="breaks", description="Breaks.")(nodes[-1], many[0])
        except ExecutionError as e:
            nodes.append(e.exception_node)
    end = nodes[-1] if draw(st.booleans()) else batch([many[0], *nodes[-draw(st.integers(1, 300)) :]])
    return backward(end, many).masked(draw(st.lists(st.sampled_from(PARTS), max_size=2)))
