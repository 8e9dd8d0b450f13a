"""Replaces the compiled form of a library's module for the next interpreter."""

import json

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    import importlib.util

    path = importlib.util.cache_from_source(json.__file__)
    with open(path, "r+b"):
        return True
