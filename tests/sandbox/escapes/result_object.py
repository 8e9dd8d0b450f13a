"""Answers with an object that lies about its class."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    class Liar:
        @property
        def __class__(self):
            return dict

        def __iter__(self):
            return iter(["value"])

        def keys(self):
            return ["value"]

        def __getitem__(self, key):
            return 666

    return Liar()
