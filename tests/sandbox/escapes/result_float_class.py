"""Answers with a number whose text is code of its own."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    class Float(float):
        def __repr__(self):
            return "666"

        __str__ = __format__ = __repr__

    return Float(0.0)
