"""The only code that talks to a language model: client, ledger, budget, record and replay, the embedded model."""

from .budget import LIMITS, Budget, Reservation
from .client import Answer, Client
from .endpoint import REFUSALS
from .ledger import ROLES, Attempt, Ledger
from .prices import Price, price_of
from .record import CallRecord

__all__ = [
    "LIMITS",
    "REFUSALS",
    "ROLES",
    "Answer",
    "Attempt",
    "Budget",
    "CallRecord",
    "Client",
    "Ledger",
    "Price",
    "Reservation",
    "price_of",
]
