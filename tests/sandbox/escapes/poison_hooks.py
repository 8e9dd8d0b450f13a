"""Installs hooks for exceptions and imports."""

import os
import sys

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    sys.excepthook = sys.unraisablehook = lambda *_: os._exit(0)
    import builtins

    builtins.__import__ = lambda *_: None
    return 0
