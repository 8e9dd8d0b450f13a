"""A traced program with everything that a program may hold, for tests that copy and pickle it."""

from __future__ import annotations

from opto_gym.trace import bundle, model, node, operator, parameter


@operator
def twice(x):
    """Doubles."""
    return x * 2


@bundle(trainable=True)
def shift(x):
    """Shifts."""
    return x + 1


def renamed(x):
    """A function that is trained under another name."""
    return x - 1


lower = operator(trainable=True, name="lower")(renamed)


@model
class Inner:
    """A model inside another."""

    def __init__(self):
        self.scale = parameter(3, "scale")

    def __call__(self, x):
        return x * self.scale


@model
class Program:
    """Parameters, trained methods, operators, a nested model, containers of parameters, and a node kept in mind."""

    def __init__(self):
        self.w = parameter(1.0, "w", description="a weight", constraint="a number")
        self.inner = Inner()
        self.words = {"first": parameter("a", "first"), "others": [parameter("b", "second")]}
        self.same = self.w
        self.seen = None
        self.settings = {"depth": [1, 2]}

    @bundle(trainable=True)
    def act(self, x):
        """Acts."""
        return x + self.settings["depth"][0]

    @bundle()
    def fixed(self, x):
        """Is fixed."""
        return x * self.settings["depth"][1]

    def __call__(self, x):
        y = self.fixed(self.act(node(x))) * self.w
        self.seen = y if self.seen is None else self.seen + y
        return self.inner(self.seen) + len(self.words["first"].data)


class Plain:
    """A class without `model` that has a trained method."""

    def __init__(self, offset):
        self.offset = offset

    @bundle(trainable=True)
    def act(self, x):
        """Acts."""
        return x + self.offset
