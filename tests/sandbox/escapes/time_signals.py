"""Handles every signal and goes on."""

import signal

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    for number in range(1, 65):
        try:
            signal.signal(number, lambda *_: None)
        except (OSError, ValueError):
            pass
    while True:
        pass
