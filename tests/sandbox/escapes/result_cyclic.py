"""Answers with a list that holds itself."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    a = []
    a.append(a)
    return a
