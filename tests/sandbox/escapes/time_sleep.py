"""Sleeps for ever."""

import time

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    time.sleep(1000)
