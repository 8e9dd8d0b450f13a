"""Answers with a list that is nested 100,000 deep."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    a = []
    for _ in range(100_000):
        a = [a]
    return a
