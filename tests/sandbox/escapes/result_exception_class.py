"""Raises an exception that calls itself by the supervisor's name for a spent budget."""

STOPPED_AT = "L0"
THROUGH_AT = None


def attack(t):
    raise type("BudgetSpent", (BaseException,), {})("of the whole run")
