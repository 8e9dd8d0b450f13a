"""Leaves the random generators in a state of its own."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    import random

    import numpy

    random.seed(7)
    numpy.random.seed(7)
    return 0
