"""Keeps data in a secret memfd."""

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    return sc(447, 0) >= 0
