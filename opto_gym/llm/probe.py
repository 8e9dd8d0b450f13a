"""One small call to each endpoint before a run, so that a wrong key or address ends it at once and not in each trial.

Only what would refuse every call counts: a host that is not there, a wrong key, an unknown model or path, a page in
place of JSON. Anything else may pass, and a slow answer is not waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import BudgetSpent, EndpointError
from .answer import believed_usage, claimed_usage, json_data
from .attempts import hint_for, wrong_address
from .endpoint import REFUSALS, AttemptFailed
from .request import token_bound

if TYPE_CHECKING:
    from .accounting import Account
    from .client import Client
    from .prices import Price

PROBE_TEXT = "Answer with the word OK."
_MAX_TOKENS = 16
PATIENCE = 2.0  # seconds


def probe(clients: Sequence[Client]) -> None:
    """Makes a small call by each client, side by side. They are booked in the clients' budgets, and not recorded.

    Raises:
        EndpointError: If an endpoint refuses every call, and says so within two seconds; or without a key.
    """
    for client in clients:
        client.prepare()  # it takes a second or more, which is no delay of the endpoint
    outcomes: list[list[EndpointError]] = [[] for _ in clients]

    def ask(client: Client, outcome: list[EndpointError]) -> None:
        try:
            client.probe()
        except EndpointError as e:
            outcome.append(e)

    threads = [
        threading.Thread(target=ask, args=pair, name="opto-gym-probe", daemon=True)
        for pair in zip(clients, outcomes, strict=True)
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    for outcome in outcomes:
        if outcome:
            raise outcome[0]


def refusal(
    model: str, post: Callable[[dict[str, Any]], bytes], account: Account, price: Price | None
) -> tuple[str, int | None] | None:
    """Makes one small call and books it.

    Args:
        model: The model's name.
        post: Sends a request and returns the body of its response.
        account: Where the call is booked; without room for it no call is made.
        price: The price of the model's tokens, or None.

    Returns:
        (why every call would be refused, with what to check; the HTTP status or None), or None if nothing says so.
    """
    messages = [{"role": "user", "content": PROBE_TEXT}]
    request: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": _MAX_TOKENS}
    try:
        bound = token_bound(request)
        reservation = account.reserve(bound)
    except BudgetSpent:
        return None
    try:
        body = post(request)
        tokens = believed_usage(claimed_usage(json_data(body)), bound, request, len(body))
        if tokens is None:
            reservation.settle()
        else:
            reservation.settle(tokens=sum(tokens), usd=price.of(*tokens) if price else 0.0)
    except AttemptFailed as e:
        if e.may_be_billed:
            reservation.settle()
        return _final(model, e)
    finally:
        reservation.cancel()  # no effect if it is settled
    if body.lstrip()[:1] == b"<":
        return f"answered with a page in place of JSON{wrong_address(model)}", None
    return None


def _final(model: str, failed: AttemptFailed) -> tuple[str, int | None] | None:
    """(why, status) of a failed attempt after which every other would fail too, or None."""
    status = failed.status
    if status is None:
        unreachable = not failed.may_be_billed and not failed.timed_out
        return (
            (f"can't be reached: {failed.error}. Is the server up, and the URL right?", None) if unreachable else None
        )
    if not failed.final or (status in REFUSALS and status != 404):
        return None
    return f"refused {model!r}: {failed.error}{hint_for(model, failed)}", status
