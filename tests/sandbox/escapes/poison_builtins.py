"""Replaces builtins for whoever comes next."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    import builtins

    builtins.len = builtins.sum = lambda *_: 666
    return 0
