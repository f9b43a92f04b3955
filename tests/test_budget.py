import pytest

from maieutic.budget import Account, Budget
from maieutic.errors import BudgetExceeded, UserError
from maieutic.types import Usage


def test_a_child_spends_from_all_its_ancestors() -> None:
    root = Account(Budget(tokens=100))
    leaf = root.child(Budget(tokens=80)).child()
    leaf.open_call().settle(Usage(prompt_tokens=30, completion_tokens=20, cost=0.5))
    assert root.tokens == leaf.tokens == 50
    assert root.usage.calls == 1
    assert root.usage.cost == 0.5
    assert leaf.tokens_left() == 30
    assert root.tokens_left() == 50


def test_siblings_share_what_is_left() -> None:
    root = Account(Budget(calls=2))
    root.child().open_call()
    root.child().open_call()
    with pytest.raises(BudgetExceeded, match="The budget of 2 calls is used up") as caught:
        root.child().open_call()
    assert caught.value.limit == "calls"
    assert root.usage.calls == 2


def test_streamed_tokens_stop_the_call_that_passes_the_limit() -> None:
    root = Account(Budget(tokens=10))
    first, second = root.child().open_call(), root.child().open_call()
    first.progress(6)
    with pytest.raises(BudgetExceeded):
        second.progress(6)
    second.settle(None)
    assert root.tokens == 12, "what was streamed stays charged when a call is cut off"


def test_the_true_usage_replaces_the_streamed_count() -> None:
    root = Account(Budget(tokens=100))
    lease = root.open_call()
    lease.progress(7)
    lease.settle(Usage(prompt_tokens=5, completion_tokens=9))
    assert root.tokens == 14


def test_the_nearest_deadline_counts() -> None:
    root = Account(Budget(seconds=100))
    child = root.child(Budget(seconds=5))
    left = child.seconds_left()
    assert left is not None and 4 < left <= 5
    assert Account().seconds_left() is None


@pytest.mark.parametrize("limit", ["tokens", "calls", "cost", "seconds"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_budget_of_nothing_is_refused(limit: str, value: int) -> None:
    with pytest.raises(UserError, match=rf"A budget of {value} {limit} leaves nothing to run with"):
        Budget(**{limit: value})
