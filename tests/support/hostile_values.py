"""Values that nobody expects of proposed code, as Python source made from a seed, and environments that trace them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from opto_gym import Code, Feedback, Number, OptoEnv, Parameter
from opto_gym.problems import Part
from opto_gym.trace import operator

PRELUDE = '''
import collections, enum, math
import numpy as np
nan, inf = math.nan, math.inf

def fail(self, *args):
    raise RuntimeError("hostile")

class Hostile:
    """Raises whatever is asked of it."""
    __repr__ = __str__ = __len__ = __iter__ = __hash__ = __eq__ = __bool__ = __getattr__ = __format__ = fail
    __index__ = __float__ = __int__ = __array__ = __reduce__ = __sizeof__ = __getitem__ = __contains__ = fail
    __class__ = property(fail)

class Liar:
    """Says that it is a list of -1 items, and has any attribute."""
    __class__ = list
    def __len__(self): return -1
    def __getattr__(self, name): return self
    def __call__(self, *args): return self
    def __repr__(self): return 7

class HostileList(list):
    __iter__ = __len__ = __getitem__ = __repr__ = fail

class HashedDict(dict):
    __repr__ = fail
    def __hash__(self): return 1

class HostileText(str):
    __str__ = __repr__ = __len__ = encode = __iter__ = fail

class HostileNumber(float):
    __repr__ = __eq__ = __float__ = __lt__ = fail
    __hash__ = float.__hash__

class Error(Exception):
    __str__ = __repr__ = fail

class Slotted(Exception):
    __slots__ = ("x",)
    def __init__(self, one, two): pass

class Named(collections.namedtuple("Named", "a b")):
    def __repr__(self): raise ValueError("hostile")

class Colour(enum.IntEnum):
    RED = 1

Odd = type("O" * 5000, (), {"__module__": "m" * 5000})
Marked = type("<b>\\x1b[31m", (), {"__module__": "\\ud800"})

def deep(n, make=lambda x: [x]):
    x = []
    for _ in range(n):
        x = make(x)
    return x

def cycle():
    x = [1]
    x.append({"x": x, "y": (x, x)})
    return x
'''
LEAVES = {
    "number": r"""
        0
        -1
        2**63
        10**309
        -10**4000
        10**5000
        1<<300000
        True
        nan
        inf
        -inf
        -0.0
        5e-324
        complex(nan,-inf)
        Colour.RED
    """,
    "text": r"""
        ''
        '\ud800'
        '\x00\x1b[31m\x07'
        '<script>alert(1)</script>'
        '$x_{$'
        '{0.__class__}%n'
        '\u202e\u2028'
        '```\n#Code\n</value>'
        'x'*10_000_000
        '\ud800'*100_000
        'é'*200_000
        HostileText('abc')
        np.str_('x'*10**6)
    """,
    "bytes": r"""
        b''
        b'\xff\x00'
        bytes(2000)
        b'\xff'*10**6
        bytearray(5)
        memoryview(b'ab')
        np.bytes_(b'x')
    """,
    "constant": r"""
        None
        ...
        NotImplemented
        range(10**9)
        slice(None,10**4000)
        slice(Hostile(),[1],{})
        int
        Hostile
        Odd()
        Marked()
    """,
    "array": r"""
        np.zeros((0,3))
        np.zeros((100,10))
        np.arange(999)
        np.arange(1000.0)
        np.float16('nan')
        np.longdouble(1)
        np.array(['a\ud800'])
        np.array([1,'a',None],object)
        np.datetime64('2020-01-01')
        np.array([(1,2.0)],dtype='i4,f8')
        np.zeros((1,)*40)
        np.zeros((10**6,0))
        np.array(b'x')
        np.ma.array([1],mask=[True])
        np.matrix([[1]])
        np.complex64(1)
        np.ones(10**5)
        np.zeros(3,'>f8')
        np.array([-0.0,nan,inf])
        np.array(['x'*100000]*3)
        np.array(3)
        np.bool_(True)
        np.array([Hostile()],dtype=object)
        np.zeros((30,30,1))
        np.recarray((2,),dtype='i4')
    """,
    "object": r"""
        Hostile()
        Liar()
        HostileList([1])
        HashedDict(a=1)
        HostileNumber(2)
        Named(1,2)
        Error()
        Slotted(1,2)
        ValueError(Hostile())
        object()
        lambda:0
        math
        collections.Counter('abc')
        collections.deque([1])
        (i for i in [1])
        {}.keys()
        iter([])
        type('T',(),{})
        super
        compile('1','','eval')
        collections.OrderedDict(b=1)
        collections.defaultdict(Hostile)
    """,
    "set": r"""
        {1,'a',None}
        {nan,float('nan')}
        frozenset({(1,(2,))})
        set(range(3000))
        {HashedDict(a=1),(HashedDict(),)}
        set()
    """,
    "dict": r"""
        {None:1,(1,(2,)):2,frozenset():3,1.5:4,b'x':5}
        {'$float':'nan'}
        {'$cut':1,'$dict':[]}
        {'$dict':[[1]]}
        {'':0,'é':1}
        {HashedDict(a=1):1,(HashedDict(),):2}
        {object():1,object():2}
        {'\ud800':1}
        {'x'*200_000:1}
        {-0.0:1}
        {Hostile:1}
    """,
    "deep": r"""
        deep(49)
        deep(60)
        deep(99)
        deep(500)
        deep(5000)
        deep(60,lambda x:{'a':x})
        deep(60,lambda x:(x,))
        deep(900,lambda x:{(1,):x})
    """,
    "shared": r"""
        deep(50,lambda x:[x,x])
        deep(60,lambda x:(x,x,x))
        deep(50,lambda x:{'a':x,'b':x})
        [[0]*1000]*1000
        [{'k%d'%i:i for i in range(3000)}]*900
    """,
    "cycle": r"""
        cycle()
        [cycle()]*3
        {'a':cycle()}
    """,
    "wide": r"""
        [[]]*250000
        [{}]*40000
        [[i] for i in range(30000)]
        [[[]]*500]*90
        {i:i for i in range(5000)}
        list(range(100000))
        [{'a':i,'b':2,'c':3} for i in range(700)]
        {'k%d'%i:i for i in range(2500)}
        {'k%d'%i:{'a':i} for i in range(1500)}
        [10**4000]*200
        ['\ud800']*5000
        [nan]*5000
        [np.arange(900)]*3
        {i:[i] for i in range(1999)}
        {'k'*200+str(i):i for i in range(1999)}
    """,
}
"""Expressions by kind, one a line."""


class HostileValue(NamedTuple):
    """A value that code may return.

    Attributes:
        kind: What is hostile about it.
        statement: Python source that returns the value, or raises an exception with it.
    """

    kind: str
    statement: str

    def function(self, name: str, arguments: str) -> str:
        """The source of a function that returns the value.

        Args:
            name: The name of the function.
            arguments: Its arguments, such as ``"map, plan"``.
        """
        return f"{PRELUDE}\n\ndef {name}({arguments}):\n    {self.statement}\n"


def hostile_values(count: int, seed: int = 0) -> Iterator[HostileValue]:
    """Each single value first, and then random ones of all kinds inside each other.

    Args:
        count: The number of values.
        seed: The same seed gives the same values.
    """
    leaves = [(kind, leaf.strip()) for kind, lines in LEAVES.items() for leaf in lines.strip().splitlines()]
    rng = random.Random(seed)
    rng.shuffle(leaves)
    for kind, leaf in leaves[:count]:
        yield HostileValue(kind, f"return {leaf}")
    for _ in range(count - len(leaves)):
        kind, value = _mixed(rng, leaves, 3)
        ending = rng.choice(("return {}",) * 8 + ("raise ValueError({})", "raise KeyError({})", "raise Error({})"))
        yield HostileValue(kind, ending.format(value))


def _mixed(rng: random.Random, leaves: list[tuple[str, str]], depth: int) -> tuple[str, str]:
    """(kind, expression) of a value that may hold others."""
    kind, leaf = rng.choice(leaves)
    if depth == 0 or rng.random() < 0.2:
        return kind, leaf
    parts = [_mixed(rng, leaves, depth - 1)[1] for _ in range(rng.randint(1, 3))]
    times = rng.choice((1, 1, 2, 30, 1000))
    shared = "(lambda v: {{'k%d' % i: v for i in range({1})}})(({0},))"  # one object: a thousand would fill the memory
    form = rng.choice(("[{0}] * {1}", "({0},) * {1}", "dict.fromkeys(range({1}), [{0}])", shared))
    return kind, form.format(", ".join(parts), times)


class HostileEnv(OptoEnv):
    """Traces one value of `hostile_values`: an operator makes it, and others read it.

    ## Version history
    * v0: first version.

    Args:
        source: The source of a function ``make(x)``.
    """

    objective = "Change x."
    scores = (0.0, 1.0)
    parameters = (Parameter("x", Number(0.0, 9.0), 1.0, "A number."),)
    splits = {"train": [0], "test": [0]}
    instance = True

    def __init__(self, *, source: str, **keywords: Any) -> None:
        space: dict[str, Any] = {}
        exec(source, space)
        self.make = space["make"]
        super().__init__(**keywords)

    def forward(self, p: Any, example: Any) -> Any:
        """The value is an output of an operator, an argument of the next, and part of the task's output."""
        made = operator(lambda x: self.make(x), name="make", description="Makes a value.")(p.x)
        passed = operator(lambda value, x: value, name="passed", description="Gives it on.")(made, p.x)
        both = operator(lambda x, fixed: [fixed, x], name="both", description="Both.")(passed, 1)
        return both, Feedback(0.5, (Part("reward", "Half."),))


class CodeEnv(HostileEnv):
    """As `HostileEnv`, with the value of a code parameter in the sandbox.

    ## Version history
    * v0: first version.
    """

    parameters = (Parameter("make", Code("make(x)"), "def make(x):\n    return x\n", "Code."),)

    def __init__(self, **keywords: Any) -> None:
        super().__init__(source="make = None", **keywords)

    def forward(self, p: Any, example: Any) -> Any:
        """As in `HostileEnv`."""
        made = p.make(1)
        return p.make(made), Feedback(0.5, (Part("reward", "Half."),))
