"""Traced programs: a class with trainable methods, plain functions, and code parameters with a given source."""

from __future__ import annotations

import copy

from opto_gym import trace

OFFSET = 3


@trace.model
class Greeter:
    """Two methods that an optimizer may change, and a text."""

    def __init__(self):
        self.mark = trace.parameter("?", "mark", description="what ends the greeting", constraint="one character")

    @trace.bundle(trainable=True)
    def choose(self, name):
        """Chooses a word."""
        return "Hello"

    @trace.bundle(trainable=True)
    def join(self, word, name):
        """Joins word and name."""
        return word + name

    def __call__(self, name):
        name = trace.node(name, "name")
        return self.join(self.choose(name), name) + self.mark


@trace.bundle(trainable=True)
def shifted(x):
    """Uses a global of this module, which only this process knows."""
    return x + OFFSET


x = trace.parameter(-1.0, "x", description="the position")


def parabola():
    return (x - 2) * (x - 2)


@trace.bundle(trainable=True)
def act(x):
    """Acts."""
    y = x
    return y[9]


def acting(source):
    """A code parameter `act(x)` with another source."""
    made = copy.deepcopy(act)
    made.data = source
    return made
