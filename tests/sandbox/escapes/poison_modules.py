"""Replaces modules in sys.modules for whoever comes next."""

import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    import types

    for name in ("json", "math", "os", "random"):
        sys.modules[name] = types.ModuleType(name)
    return 0
