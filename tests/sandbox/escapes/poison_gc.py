"""Has code run whenever garbage is collected."""

import gc
import os

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    gc.callbacks.append(lambda *_: os._exit(0))
    return 0
