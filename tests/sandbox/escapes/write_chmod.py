"""Opens a file of the user's to everybody."""

import os

STOPPED_AT = "L1"
THROUGH_AT = "L0"


def attack(t):
    os.chmod(t["victim"], 0o777)
