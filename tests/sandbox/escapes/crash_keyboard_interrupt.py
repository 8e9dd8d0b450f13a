"""Raises the exception of Ctrl-C, which the supervisor may take for the user's."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    raise KeyboardInterrupt
