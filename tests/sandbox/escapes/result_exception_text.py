"""Raises an exception whose text is code of its own."""

import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    class E(Exception):
        def __str__(self):
            os._exit(0)

    raise E
