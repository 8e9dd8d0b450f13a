"""Starts 200 threads."""

import threading
import time

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    held = [threading.Thread(target=time.sleep, args=(3,), daemon=True) for _ in range(200)]
    for thread in held:
        thread.start()
    return len(held) == 200
