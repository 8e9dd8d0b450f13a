from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opto_gym.errors import BudgetSpent
from opto_gym.llm import LIMITS, Budget


def test_reserve_settle_cancel():
    budget = Budget({"llm_calls": 2, "tokens": 100})
    held = budget.reserve(llm_calls=1, tokens=60)
    assert budget.left("tokens") == 40
    assert budget.spent["tokens"] == 0
    with pytest.raises(BudgetSpent, match=r"100 tokens can't hold 50 more: 60 are") as error:
        budget.reserve(llm_calls=1, tokens=50)
    assert error.value.limit == "tokens"
    assert budget.left("llm_calls") == 1  # the refused reservation holds nothing
    held.settle(tokens=10)
    assert (budget.spent["tokens"], budget.spent["llm_calls"]) == (10, 1)
    budget.reserve(llm_calls=1).cancel()
    assert budget.left("llm_calls") == 1
    held.cancel()  # settled already
    assert budget.spent["tokens"] == 10


def test_more_than_reserved_is_booked_too():
    budget = Budget({"tokens": 10})
    budget.reserve(tokens=10).settle(tokens=14)
    assert budget.spent["tokens"] == 14
    assert budget.left("tokens") == 0


def test_reservation_as_a_context():
    budget = Budget({"evaluations": 3})
    with budget.reserve(evaluations=2):
        pass
    with pytest.raises(KeyError), budget.reserve(evaluations=1):
        raise KeyError
    assert budget.spent["evaluations"] == 2
    assert budget.left("evaluations") == 1


def test_parents_hold_every_amount():
    run = Budget({"tokens": 10})
    one, two = Budget({"tokens": 8}, parent=run), Budget(parent=run)
    one.reserve(tokens=8).settle()
    with pytest.raises(BudgetSpent):
        two.reserve(tokens=3)
    two.reserve(tokens=2).settle()
    assert run.spent["tokens"] == 10
    assert two.spent["tokens"] == 2
    assert two.limited("tokens")
    assert not two.limited("usd")


def test_no_limit_is_endless():
    budget = Budget({"usd": None})
    budget.reserve(usd=1e9, llm_calls=1).settle()
    assert budget.left("usd") == float("inf")
    assert budget.to_dict()["limits"] == {}


def test_a_stopped_budget_refuses_everything_at_once():
    budget = Budget({"oracle_calls": 5})
    budget.stop()
    assert budget.left("seconds") == 0
    with pytest.raises(BudgetSpent):
        budget.reserve(oracle_calls=1)


def test_time_is_a_limit():
    with pytest.raises(BudgetSpent, match="seconds"):
        Budget({"seconds": 10}, seconds_before=11).reserve(llm_calls=1)
    budget = Budget({"seconds": 0.05})
    budget.reserve(llm_calls=1)
    time.sleep(0.06)
    with pytest.raises(BudgetSpent, match="seconds"):
        budget.reserve()


@pytest.mark.parametrize("limits", [{"dollars": 1}, {"usd": -1}, {"usd": float("nan")}])
def test_wrong_limits_are_refused(limits: dict[str, float]):
    with pytest.raises(ValueError, match="expected"):
        Budget(limits)


@pytest.mark.parametrize("amounts", [{"dollars": 1}, {"usd": -1}, {"usd": float("nan")}])
def test_wrong_amounts_are_refused(amounts: dict[str, float]):
    with pytest.raises(ValueError, match="expected"):
        Budget().reserve(**amounts)


def test_fifty_threads_cannot_overspend():
    budget = Budget({"llm_calls": 5})
    gate, passed = threading.Barrier(50), []

    def ask() -> None:
        gate.wait()
        try:
            with budget.reserve(llm_calls=1):
                time.sleep(0.01)
                passed.append(1)
        except BudgetSpent:
            pass

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 5
    assert budget.spent["llm_calls"] == 5


@given(
    st.integers(0, 50),
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["settle", "cancel", "hold"]), st.integers(0, 20))),
)
def test_spent_and_held_never_pass_the_limit(limit: int, calls: list[tuple[int, str, int]]):
    parent = Budget({"tokens": limit})
    budget = Budget(parent=parent)
    spent = held = 0
    for amount, end, actual in calls:
        if spent + held + amount > limit:
            with pytest.raises(BudgetSpent):
                budget.reserve(tokens=amount)
            continue
        reservation = budget.reserve(tokens=amount)
        if end == "settle":
            actual = min(actual, amount)
            reservation.settle(tokens=actual)
            spent += actual
        elif end == "cancel":
            reservation.cancel()
        else:
            held += amount
        assert parent.left("tokens") == limit - spent - held
    assert parent.spent["tokens"] == budget.spent["tokens"] == spent
    assert set(budget.spent) == set(LIMITS)
