"""Starts a process by vfork."""

import subprocess

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    return subprocess.run(["/bin/true"]).returncode == 0
