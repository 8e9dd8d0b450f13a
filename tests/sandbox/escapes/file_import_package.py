"""Imports opto_gym and looks for its examples there."""

import os
import sys

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    sys.path.insert(0, os.path.dirname(t["package"]))
    import opto_gym.envs.battleship as b

    return bool(b)
