"""Answers with a dictionary whose items differ each time."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    class Dict(dict):
        def items(self):
            return [("n", 9), ("value", 666)]

        def __iter__(self):
            os._exit(0)

    return Dict(a=1)
