"""Changes a control group."""

import os

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    for folder, _, files in os.walk("/sys/fs/cgroup"):
        if "cgroup.procs" in files:
            with open(folder + "/cgroup.procs", "r+"):
                return True
    return None
