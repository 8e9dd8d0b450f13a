"""Fills a folder with symbolic links that hold data in their names."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    for k in range(600):
        os.symlink("x" * 1000, f"{t['scratch']}/links{k}")
    return True
