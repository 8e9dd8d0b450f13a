"""Answers with an object that equals everything."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    class Equal(int):
        def __eq__(self, other):
            return True

        __hash__ = int.__hash__

        def __repr__(self):
            return '666, "score": 1'

        __str__ = __int__ = __index__ = __repr__

    return Equal(0)
