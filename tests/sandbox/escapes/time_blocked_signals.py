"""Blocks every signal and goes on."""

import signal

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    while True:
        pass
