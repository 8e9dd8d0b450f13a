"""The only code that talks to a language model: client, budget, ledger, record and replay, gateway, embedded model."""

from .answer import Answer
from .budget import LIMITS, Budget, Reservation
from .client import Client
from .endpoint import REFUSALS
from .ledger import ROLES, Attempt, Ledger
from .monitor import CallMonitor
from .prices import Price, price_of
from .record import CallRecord

__all__ = [
    "LIMITS",
    "REFUSALS",
    "ROLES",
    "Answer",
    "Attempt",
    "Budget",
    "CallMonitor",
    "CallRecord",
    "Client",
    "Ledger",
    "Price",
    "Reservation",
    "price_of",
]
