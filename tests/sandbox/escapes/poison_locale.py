"""Changes the machine's locale and time zone for whoever comes next."""

import os
import time

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    import locale

    locale.setlocale(locale.LC_ALL, "C")
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    os.umask(0)
    return 0
