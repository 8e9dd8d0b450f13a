"""Pickling of nodes: a node goes with its whole trace, however long, and shared parts stay shared.

Pickle follows references recursively, so that a chain of some hundred nodes would exceed Python's recursion limit. A
node is therefore pickled as a list of stand-ins, one for each node of its trace, inputs before what was made of them:
when pickle comes to a stand-in, it has seen those of the inputs already. Each stand-in is unpickled as the node itself.

Within one pickle a node always has the same stand-in, since pickle keeps alive what it has seen. So two outputs of one
run still share their common part afterwards.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any


class _StandIn:
    """What pickle sees in the place of a node.

    Args:
        node: The node.
        base: The class of all nodes.
    """

    __slots__ = ("__weakref__", "base", "node")

    def __init__(self, node: Any, base: type) -> None:
        self.node, self.base = node, base

    def __reduce__(self) -> Any:
        n = self.node
        inputs = tuple(_stand_in(i, self.base) if isinstance(i, self.base) else i for i in n._inputs)
        return type(n), (n._op, inputs, n.data, n._depends, n._snap)


_stand_ins: weakref.WeakValueDictionary[int, _StandIn] = weakref.WeakValueDictionary()  # by the node's id
_lock = threading.Lock()


def _stand_in(node: Any, base: type) -> _StandIn:
    with _lock:
        found = _stand_ins.get(id(node))
        if found is None:
            found = _stand_ins[id(node)] = _StandIn(node, base)
        return found


def reduced(node: Any, base: type) -> Any:
    """What ``__reduce__`` of a node gives.

    Args:
        node: The node.
        base: The class of all nodes.
    """
    return _last, (tuple(_stand_in(n, base) for n in _in_order(node, base)),)


def _last(nodes: tuple[Any, ...]) -> Any:
    return nodes[-1]


def _in_order(node: Any, base: type) -> list[Any]:
    """The nodes of a trace, inputs before what was made of them."""
    order, done, stack = [], set[int](), [node]
    while stack:
        n = stack[-1]
        if id(n) not in done:
            waiting = [i for i in n._inputs if isinstance(i, base) and id(i) not in done]
            if waiting:
                stack += waiting
                continue
            done.add(id(n))
            order.append(n)
        stack.pop()
    return order
