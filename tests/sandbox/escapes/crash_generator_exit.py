"""Raises an exception that is no Exception."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    raise GeneratorExit
