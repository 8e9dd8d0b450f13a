"""Replaces the code of a library's function for whoever comes next."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    import statistics

    statistics.mean.__code__ = (lambda data: 666).__code__
    return 0
