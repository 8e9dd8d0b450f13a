"""Answers with a list that never ends."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    class List(list):
        def __iter__(self):
            while True:
                yield 0

    return List([1])
