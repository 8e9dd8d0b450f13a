"""Opens what the supervisor has open."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    return open(f"/proc/{t['supervisor']}/fd/{t['leaked']}").read()
