"""Replaces NumPy's functions for whoever comes next."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    import numpy

    numpy.mean = numpy.ndarray = lambda *_: 666
    return 0
