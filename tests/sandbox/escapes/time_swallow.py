"""Swallows every exception and goes on."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
