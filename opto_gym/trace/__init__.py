"""The tracer: run a program, get the graph that led from its parameters to its output.

>>> from opto_gym import trace
>>> x = trace.parameter(-1.0, "x")
>>> y = (x + 3) * 2
>>> print(trace.backward(y).to_pseudocode())
#Code
add0 = x + 3
mul0 = add0 * 2
<BLANKLINE>
#Variables
(float) x=-1.0
<BLANKLINE>
#Others
(float) add0=2.0
<BLANKLINE>
#Outputs
(float) mul0=4.0
"""

from ..errors import TraceError
from .data import PARTS, Data, GraphNode, Literal, OperatorInfo
from .failures import ExecutionError
from .graph import TraceGraph
from .nodes import Node, Operator, error_node
from .operators import bundle, model, operator
from .parameters import CodeParameter, InProcess, Parameter, node, parameter
from .propagation import backward, batch
from .values import Cut

__all__ = [
    "PARTS",
    "CodeParameter",
    "Cut",
    "Data",
    "ExecutionError",
    "GraphNode",
    "InProcess",
    "Literal",
    "Node",
    "Operator",
    "OperatorInfo",
    "Parameter",
    "TraceError",
    "TraceGraph",
    "backward",
    "batch",
    "bundle",
    "error_node",
    "model",
    "node",
    "operator",
    "parameter",
]
