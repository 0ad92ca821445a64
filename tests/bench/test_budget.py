"""The budget benchmark sees what it is to see: a till above a limit, and a run that says less than it was charged."""

import pytest

from bench.budget_runs import violations
from domain.request.run_request import Limits

LIMITS = Limits(max_cost_usd=1.0, max_model_calls=5)


def test_a_run_within_its_limits_that_says_what_it_was_charged_breaks_no_promise() -> None:
    assert violations(1.0, 5, 1.0, 5, LIMITS) == []
    assert violations(0.4, 3, 0.9, 4, LIMITS) == [], "more may be set aside than was charged"
    assert violations(9.0, 99, 9.0, 99, Limits()) == [], "without limits"


@pytest.mark.parametrize(
    ("till_usd", "till_calls", "said_usd", "said_calls"),
    [(1.0001, 5, 1.0, 5), (0.9, 6, 0.9, 6), (0.9, 5, 0.8, 5), (0.9, 5, 0.9, 4), (0.9, 5, 1.0001, 5)],
    ids=["too dear", "too many calls", "less said", "fewer calls said", "more said than may be spent"],
)
def test_each_promise_that_is_broken_is_told(
    till_usd: float, till_calls: int, said_usd: float, said_calls: int
) -> None:
    assert violations(till_usd, till_calls, said_usd, said_calls, LIMITS)
