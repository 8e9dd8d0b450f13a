"""Makes itself a batch process of another scheduling class."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    return True
